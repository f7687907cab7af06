"""`ddpg compare`: the two lessons, as tables, pictures, pages, generated code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ddpg.cli.flags import absolute
from ddpg.errors import UsageError

if TYPE_CHECKING:
    from ddpg.compare.training import Curve
    from ddpg.run.progress import StageProgress

PICTURE, CRITICS_PICTURE = "compare.png", "critics.png"
_NOT_FOR_SOURCE = {
    "critics": "is of the first lesson",
    "json": "prints text",
    "picture": "prints text",
    "report": "prints text",
    "seeds": "trains nothing",
    "steps": "trains nothing",
}
"""Flags that would be of no effect beside it, and why."""


@dataclass(frozen=True)
class Compare:
    """See what freezing the critic does, and what blocking Q does.

    ddpg compare                   a table: eight ways to handle the critic in one
                                   actor update; a picture: three of them, trained
                                   on Pendulum
    ddpg compare --report out      a page with both and more, over several seeds
    ddpg compare --source          only the compiled code, compared
    ddpg compare --critics         the second lesson: what the critic claims and
                                   what is true, of plain DDPG and of three remedies
    """

    seed: int = 0
    """Where the initial weights, the batch and the training runs come from."""
    steps: int = 6000
    """Environment steps of each training run, the first ones without updates."""
    picture: Path | None = None
    """Where the picture goes, a PNG; compare.png or critics.png here by default."""
    threads: int = 1
    """Threads of an update, where the networks are wide enough to gain by it."""
    json: bool = False
    """Print all numbers as one JSON object instead of the tables."""
    source: bool = False
    """Only print the compiled backward pass of the actor's step, as a diff of three cases."""
    critics: bool = False
    """Compare critics: plain, with LayerNorm, twins, TD3."""
    report: Path | None = None
    """Folder for a page with everything: pictures, explanations, several seeds, generated code."""
    seeds: int = 5
    """Training runs of each kind in the report, from --seed on."""

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : for what cannot be compared, or written where it is asked for.
        """
        command = cls(**given)
        if command.source:
            for name in sorted(given.keys() & _NOT_FOR_SOURCE.keys()):
                raise UsageError(f"--source {_NOT_FOR_SOURCE[name]}: leave out --{name}")
        if "seeds" in given and command.report is None:
            raise UsageError("--seeds is of the report: leave it out, or add --report FOLDER")
        picture = CRITICS_PICTURE if command.critics else PICTURE
        command = replace(command, picture=command.picture or absolute(picture))
        command._check()
        return command

    def run(self) -> int:
        """Exit status."""
        if self.source:
            return self._print_source()
        return self._compare_critics() if self.critics else self._compare()

    def _check(self) -> None:
        from ddpg.compare.critics.training import LEAST_STEPS as LEAST_STEPS_OF_CRITICS
        from ddpg.compare.report.folder import check_folder
        from ddpg.compare.show import check_picture
        from ddpg.compare.training import LEAST_STEPS
        from ddpg.run.machine import check_threads

        least_steps = LEAST_STEPS_OF_CRITICS if self.critics else LEAST_STEPS
        least = {"seed": 0, "threads": 1, "steps": least_steps, "seeds": 1}
        for name, value in least.items():
            got = getattr(self, name)
            if got < value:
                raise UsageError(f"--{name} must be {value} or more, got {got}")
        check_threads(self.threads)
        if not self.source:
            check_picture(self._picture)
            if self.report is not None:
                check_folder(self.report)

    @property
    def _picture(self) -> Path:
        assert self.picture is not None  # from_flags has found one
        return self.picture

    @property
    def _seeds(self) -> range:
        return range(self.seed, self.seed + (1 if self.report is None else self.seeds))

    def _compare(self) -> int:
        from rich.console import Console

        from ddpg.compare.cases import CASES
        from ddpg.compare.formula import evaluate_formula
        from ddpg.compare.lesson import QUESTIONS
        from ddpg.compare.measure import Size, measure
        from ddpg.compare.report.folder import PAGE, write
        from ddpg.compare.report.gather import PARTS, gather
        from ddpg.compare.report.html import render
        from ddpg.compare.show import (
            as_json,
            print_formula,
            print_questions,
            print_table,
            print_training,
            save_picture,
        )
        from ddpg.run.process import limited_threads
        from ddpg.run.progress import StageProgress

        size, out = Size(), Console(quiet=self.json)
        print_questions(QUESTIONS, out)
        with limited_threads(self.threads):
            formula, rows = evaluate_formula(size, self.seed), []
            print_formula(formula, out)
            # What is printed between two bars would spoil a bar that is still drawn.
            with StageProgress(Console(stderr=True)) as progress:
                progress.stage("one update, eight ways", len(CASES))
                for row in measure(size, self.seed):
                    rows.append(row)
                    progress.advance()
            print_table(rows, size, out)
            with StageProgress(Console(stderr=True)) as progress:
                runs = self._train(progress)
                if self.report is not None:
                    progress.stage("explaining, compiling", PARTS)
                    found = formula, rows, runs
                    report = gather(size, self._seeds, *found, progress.advance)
                    page = write(render(report), self.report, PAGE)
        curves = {name: curves_of[0] for name, curves_of in runs.items()}
        save_picture(curves, self._picture)
        print_training(curves, out)
        if self.json:
            print(json.dumps(as_json(formula, rows, curves, size, self.seed, self._picture)))
        else:
            print(f"The picture is {self.picture}")
            if self.report is None:
                print("With explanations, pictures and several seeds: ddpg compare --report out")
            else:
                print(f"The report is {page}")
        return 0

    def _train(self, progress: "StageProgress") -> dict[str, list["Curve"]]:
        """A curve for each seed, by the case's name in training."""
        from ddpg.compare.cases import TRAINED
        from ddpg.compare.training import train_case

        runs = {}
        for name, case in TRAINED.items():
            progress.stage(f"training: {name}", self.steps * len(self._seeds))
            runs[name] = [
                train_case(case, self.steps, seed, progress.advance) for seed in self._seeds
            ]
        return runs

    def _compare_critics(self) -> int:
        from rich.console import Console

        from ddpg.compare.critics.cost import costs
        from ddpg.compare.critics.report import render
        from ddpg.compare.critics.show import as_json, print_costs, print_critics, save_picture
        from ddpg.compare.critics.training import train_variant
        from ddpg.compare.critics.variants import VARIANTS
        from ddpg.compare.lesson import QUESTIONS_ABOUT_CRITICS
        from ddpg.compare.measure import Size
        from ddpg.compare.report.folder import CRITICS_PAGE, write
        from ddpg.compare.show import print_questions
        from ddpg.run.process import limited_threads
        from ddpg.run.progress import StageProgress

        seeds, size, runs, out = self._seeds, Size(), {}, Console(quiet=self.json)
        print_questions(QUESTIONS_ABOUT_CRITICS, out)
        with limited_threads(self.threads), StageProgress(Console(stderr=True)) as progress:
            progress.stage("what an update costs", 1)
            prices = costs(size, self.seed)
            progress.advance()
            for variant in VARIANTS:
                progress.stage(f"training: {variant.name}", self.steps * len(seeds))
                runs[variant.name] = [
                    train_variant(variant, self.steps, seed, progress.advance) for seed in seeds
                ]
        save_picture(runs, self._picture)
        if self.report is not None:
            page = write(render(runs, prices, size, seeds), self.report, CRITICS_PAGE)
        if self.json:
            print(json.dumps(as_json(runs, prices, size, seeds)))
        else:
            print_costs(prices, size, out)
            print_critics(runs, out)
            print(f"The picture is {self.picture}")
            if self.report is None:
                print("Over several seeds, with intervals: ddpg compare --critics --report out")
            else:
                print(f"The report is {page}")
        return 0

    def _print_source(self) -> int:
        from rich.console import Console

        from ddpg.compare.cases import COMPILED
        from ddpg.compare.listing import print_source
        from ddpg.compare.measure import Size
        from ddpg.compare.source import compile_case

        steps = [compile_case(case, Size(), self.seed) for case in COMPILED.values()]
        print_source(steps, Console())
        return 0
