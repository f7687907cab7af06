"""The command line: `ddpg train`, `ddpg evaluate`, `ddpg compare`.

Flags are made from the dataclasses below and in `ddpg.config`. What a command needs is
imported by the command itself, here and nowhere else in the package, so that help comes at once.
"""

import argparse
import atexit
import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

import ddpg
from ddpg.config import TrainConfig, read_config
from ddpg.errors import TrainingError, UsageError

DESCRIPTION = """DDPG on its own autograd engine: learn a task, see what freezing does.
  ddpg train --env-id Pendulum-v1 --run-dir runs/p1
  ddpg evaluate runs/p1
  ddpg compare
  ddpg --version"""

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


@dataclass(frozen=True)
class Train:
    """Learn in an environment and keep the run in a folder.

    What is in the folder afterwards:
    - config.json: every setting
    - metrics.csv: a row per training episode
    - evaluations.csv: a row per evaluation, without noise
    - learning_curve.png: both, drawn
    - model.safetensors: the networks and their optimizers

    Ctrl-C ends the run and keeps what is there.
    """

    run_dir: Annotated[
        Path | None, tyro.conf.arg(help_behavior_hint="(default: runs/ENV_ID-seedSEED)")
    ] = None
    """Folder of the run, which must not hold one yet."""
    config: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="(default: no file)")] = None
    """A config.json of an earlier run to take settings from; flags win over it."""
    settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self) -> int:
        """Exit status."""
        from ddpg.run.train import train

        settings = self.settings
        run_dir = self.run_dir or Path("runs", f"{settings.env_id}-seed{settings.seed}")
        try:
            log = train(settings, run_dir)
        except TrainingError as error:
            raise TrainingError(f"{error}; {run_dir} keeps the run up to there") from error
        reached = f", mean return {log.evaluations[-1]['mean']:,.1f}" if log.evaluations else ""
        end = "interrupted after" if log.stopped_by else "finished"
        print(f"{run_dir}: {end} {log.steps:,} steps{reached}")
        return 128 + log.stopped_by if log.stopped_by else 0


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with the policy of a run, without noise, from fixed start states."""

    run_dir: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int = 100
    """How many episodes; start states differ a lot, so fewer than 100 say little."""
    seed: int = 1000
    """Seed of the first episode's start state; the following ones count up."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print one JSON object: env_id, episodes, mean_return, std_return, returns."""

    def run(self) -> int:
        """Exit status."""
        from ddpg.run.checkpoint import load_agent
        from ddpg.run.evaluate import evaluate
        from ddpg.spaces import make_env

        _require(self.episodes >= 1, f"--episodes must be 1 or more, got {self.episodes}")
        _require(self.seed >= 0, f"--seed must be 0 or more, got {self.seed}")
        agent, config = load_agent(self.run_dir)
        env = make_env(config.env_id)
        returns = evaluate(agent.act, env, self.episodes, self.seed)
        env.close()
        mean, std = float(returns.mean()), float(returns.std())
        if self.json:
            result = {"env_id": config.env_id, "episodes": self.episodes, "mean_return": mean}
            print(json.dumps({**result, "std_return": std, "returns": returns.tolist()}))
        else:
            print(f"{config.env_id}: return {mean:,.1f} ± {std:,.1f} over {self.episodes} episodes")
        return 0


@dataclass(frozen=True)
class Compare:
    """See what freezing the critic does, and blocking the path through it does not.

    - A table: eight ways to handle the critic in one actor update, on one batch.
    - A picture: frozen, blocked and joint, trained on Pendulum from the same seed.
    - With --report: a page with both and more, over several seeds.
    - With --source: only the compiled code, compared.
    """

    seed: int = 0
    """Where the initial weights, the batch and the training runs come from."""
    steps: int = 6000
    """Environment steps of each of the three runs; the first 1000 are without updates."""
    picture: Path = Path("compare.png")
    """Where the picture goes."""
    threads: int = 1
    """Threads of an update, where the networks are wide enough to gain by it."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print all numbers as one JSON object instead of the tables."""
    source: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only print the compiled backward pass of the actor's step, as a diff of three cases."""
    report: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="(default: no report)")] = None
    """Folder for a page with everything: pictures, explanations, several seeds, generated code."""
    seeds: int = 5
    """Training runs of each kind in the report, from --seed on."""

    def run(self) -> int:
        """Exit status."""
        self._check()
        return self._print_source() if self.source else self._compare()

    def _check(self) -> None:
        from ddpg.compare.report.gather import check_folder
        from ddpg.compare.training import LEAST_STEPS

        _require(self.seed >= 0, f"--seed must be 0 or more, got {self.seed}")
        _require(self.threads >= 1, f"--threads must be 1 or more, got {self.threads}")
        _require(
            self.steps >= LEAST_STEPS, f"--steps must be {LEAST_STEPS} or more, got {self.steps}"
        )
        folder = self.picture.parent
        _require(folder.is_dir(), f"there is no folder {folder} for the picture")
        _require(self.seeds >= 1, f"--seeds must be 1 or more, got {self.seeds}")
        if self.report is not None:
            check_folder(self.report)
        _require(not (self.source and self.json), "--source prints text: leave out --json")

    def _compare(self) -> int:
        from rich.console import Console

        from ddpg.compare.cases import CASES, TRAINED
        from ddpg.compare.measure import Size, measure
        from ddpg.compare.report.gather import PARTS, gather, write
        from ddpg.compare.report.html import render
        from ddpg.compare.show import as_json, print_table, print_training, save_picture
        from ddpg.compare.training import train_case
        from ddpg.run.process import limited_threads
        from ddpg.run.progress import StageProgress

        seeds = range(self.seed, self.seed + (1 if self.report is None else self.seeds))
        size, rows, runs = Size(), [], {}
        with limited_threads(self.threads), StageProgress(Console(stderr=True)) as progress:
            progress.stage("one update, eight ways", len(CASES))
            for row in measure(size, self.seed):
                rows.append(row)
                progress.advance()
            for name, case in TRAINED.items():
                progress.stage(f"training: {name}", self.steps * len(seeds))
                runs[name] = [
                    train_case(case, self.steps, seed, progress.advance) for seed in seeds
                ]
            if self.report is not None:
                progress.stage("explaining, compiling", PARTS)
                report = gather(size, seeds, rows, runs, progress.advance)
                page = write(render(report), self.report)
        curves = {name: curves_of[0] for name, curves_of in runs.items()}
        save_picture(curves, self.picture)
        if self.json:
            print(json.dumps(as_json(rows, curves, size, self.seed, self.picture)))
        else:
            out = Console()
            print_table(rows, size, out)
            print_training(curves, out)
            print(f"The picture is {self.picture}")
            if self.report is None:
                print("With explanations, pictures and several seeds: ddpg compare --report out")
            else:
                print(f"The report is {page}")
        return 0

    def _print_source(self) -> int:
        from rich.console import Console

        from ddpg.compare.cases import COMPILED
        from ddpg.compare.measure import Size
        from ddpg.compare.show import print_source
        from ddpg.compare.source import compile_case

        steps = [compile_case(case, Size(), self.seed) for case in COMPILED.values()]
        print_source(steps, Console())
        return 0


_COMMANDS: dict[str, Any] = {"train": Train, "evaluate": Evaluate, "compare": Compare}
_STYLE = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit.

    The status is 0 when done, 1 when a run failed, 2 when something was asked for that cannot be
    done, 130 when the user interrupted.
    """
    _seldom_collect()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = _parse(arguments).run()
    except UsageError as error:
        status = _complain(error, EXIT_USAGE)
    except TrainingError as error:
        status = _complain(error, EXIT_FAILED)
    except KeyboardInterrupt:
        status = _complain("interrupted", EXIT_INTERRUPTED)
    sys.exit(status)


def _seldom_collect() -> None:
    """Do not search what a command has loaded for garbage again and again, nor at its very end.

    Numba, matplotlib and the rest stay as long as the process, and there are fewer of their objects
    than the threshold below. Training itself leaves no cycles behind.
    """
    gc.set_threshold(400_000)
    atexit.register(gc.freeze)


def _parse(arguments: list[str]) -> Any:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name == "--version":
        print(f"ddpg {ddpg.__version__}")
        sys.exit(0)
    if name not in _COMMANDS:
        # No command to run: help, or an error that names the commands.
        return tyro.extras.subcommand_cli_from_dict(
            _COMMANDS, prog="ddpg", description=DESCRIPTION, args=[name, *rest], config=_STYLE
        )
    command = _COMMANDS[name]
    saved: dict[str, Any] = {}
    if command is Train:
        saved["default"] = Train(settings=_saved_settings(rest))
    return tyro.cli(command, prog=f"ddpg {name}", args=rest, config=_STYLE, **saved)


def _saved_settings(arguments: list[str]) -> TrainConfig:
    """What `--config` names, read before the other flags so that they can win over it."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path, nargs="?")
    path = early.parse_known_args(arguments)[0].config
    return TrainConfig() if path is None else read_config(path)


def _complain(message: object, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
