"""`ddpg study`: many runs, and what they come to."""

from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any, Literal, get_type_hints

from ddpg.cli.flags import PERHAPS, VALUES, absolute, named_as_flags, value_of
from ddpg.config import RESUMABLE, DDPGConfig, TrainConfig, hint
from ddpg.errors import UsageError, shown
from ddpg.study.plan import Asked, folder_name, product

Algorithm = Literal["ddpg", "td3"]
OWN = ("study", "study_dir", "env_ids", "seeds", "set", "jobs", "ray", "preset")
"""Flags of the command that are no settings of its runs."""


@dataclass(frozen=True)
class Study:
    """Run all combinations of environments, settings and seeds.

      ddpg study --env-ids Hopper-v5 Ant-v5 --seeds 5
      ddpg study --env-ids Pendulum-v1 --seeds 5 --set critic_lr=1e-3,3e-4
      ddpg study --env-ids Hopper-v5 --set algorithm=ddpg,td3 n_step=1,3
      ddpg study studies/s1                  what is there, and goes on with it
      ddpg study studies/s1 --seeds 10       and has more seeds

    One seed says nothing: settings are compared by intervals over many.
    Each run is an ordinary one (ddpg train, evaluate, plot, watch take it), in
    a process of its own, on a core of its own. What is in the folder:
      study.html    all of it as a page: tables, curves, definitions
      study.png     the curves with their intervals, and how settings compare
      summary.csv   a row per environment and setting
      study.csv     a row per run
      runs/         the runs; beside each what it said (.log), how it ended

    Ctrl-C saves what goes on; the same command, or ddpg study FOLDER, goes on,
    bit for bit, also after a kill. A run that fails takes no other one along.
    A study is extended by naming more: seeds, environments, values of --set.
    """

    study: Path | None = None
    """Folder of a study that is there."""
    study_dir: Path | None = None
    """Folder of a new study, or of one that is there; studies/ENV_IDS where it is left out."""
    env_ids: tuple[str, ...] = ()
    """The environments' gymnasium ids."""
    seeds: int = 1
    """How many seeds each setting is run with, from --seed on; an interval takes two, and is worth
    something from five on."""
    set: VALUES = field(default_factory=dict)
    """Settings that differ between runs: every combination of these values is run. NAME is that of
    a flag, or algorithm; hidden is written 64x64, a flag without a value on or off."""
    jobs: int | None = None
    """Runs at a time, each on --threads cores of its own; as many as there are cores for where it
    is left out."""
    ray: PERHAPS = False
    """Runs take place on the Ray cluster at HOST:PORT. Without a value on the one that RAY_ADDRESS
    names or that runs on this machine, else on one of this machine's cores. Each node must see the
    study's folder, and have the same versions of everything."""
    preset: str | None = None
    """As of ddpg train: by default each environment begins with what is known to be best for it."""
    algorithm: Algorithm | None = None
    """As of ddpg train, for all runs."""
    settings: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> "StudyToRun":
        """The work that these flags ask for.

        Raises
        ------
        UsageError : for flags that do not go together, values that are not allowed, or no scipy.
        """
        if find_spec("scipy") is None:
            raise UsageError("ddpg study needs scipy: pip install 'tinygrad-rl[scipy]'")
        if "study" in given and "study_dir" in given:
            raise UsageError("the folder stands there twice: leave out --study-dir")
        env_ids = given.get("env_ids")
        folder = given.get("study", given.get("study_dir"))
        if folder is None and env_ids is None:
            raise UsageError("--env-ids is missing: the environments of a new study, or its FOLDER")
        if folder is None:
            folder = absolute(f"studies/{folder_name('+'.join(env_ids or ()))}")
        fixed = {name: value for name, value in given.items() if name not in OWN}
        settings = product(_values(given["set"])) if "set" in given else None
        asked = Asked(env_ids, settings, given.get("seeds"), given.get("preset"), fixed)
        return StudyToRun(folder, asked, given.get("jobs"), given.get("ray", False), (*fixed, *OWN))


@dataclass(frozen=True)
class StudyToRun:
    """What is asked for; `names` are the fields that were given, as complaints may name them."""

    study_dir: Path
    asked: Asked
    jobs: int | None
    ray: str | bool
    names: tuple[str, ...]

    def run(self) -> int:
        """Exit status: 1 if a run failed or diverged."""
        from rich.console import Console

        from ddpg.run.progress import ProgressConsole
        from ddpg.study.api import go_on
        from ddpg.study.outcome.page import PAGE
        from ddpg.study.outcome.terminal import print_summary

        with named_as_flags(*self.names):
            study = go_on(self.study_dir, self.asked, self.jobs, ProgressConsole(), self.ray)
        print_summary(study.summary, Console())
        print(f"The page is {self.study_dir / PAGE}")
        if study.stopped_by is not None:
            print(f"{self.study_dir}: stopped; to go on: ddpg study {quote(str(self.study_dir))}")
            return 128 + study.stopped_by
        return int(any(result.state != "finished" for result in study.results))


def _values(texts: Mapping[str, tuple[str, ...]]) -> dict[str, list[Any]]:
    """Of each setting by name, of its own type."""
    kinds = get_type_hints(TrainConfig) | get_type_hints(DDPGConfig)
    for name in ("ddpg", "env_id", "env_kwargs", "seed", *RESUMABLE):
        del kinds[name]
    kinds["algorithm"] = Algorithm
    values = {}
    for given, parts in texts.items():
        name = given.replace("-", "_")
        if name not in kinds:
            advice = hint(name, sorted(kinds)) or "ddpg study --help lists those that there are"
            raise UsageError(f"--set: there is no setting {shown(given)} to vary; {advice}")
        try:
            values[name] = [value_of(kinds[name], part) for part in parts if part != ""]
        except ArgumentTypeError as error:
            raise UsageError(f"--set {name} {error}") from error
    return values
