"""`ddpg tune`: settings that are better than the ones at hand."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, Literal

from ddpg.cli.flags import PERHAPS, absolute, named_as_flags
from ddpg.config import TrainConfig
from ddpg.errors import UsageError
from ddpg.study.plan import Asked, folder_name
from ddpg.study.tuning.space import space_text

if TYPE_CHECKING:
    from ddpg.study.tuning.search import Wanted

Algorithm = Literal["ddpg", "td3"]
OWN = ("tuning", "tune_dir", "env_id", "trials", "seeds", "space", "jobs", "ray", "preset")
"""Flags of the command that are no settings of its runs."""


@dataclass(frozen=True)
class Tune:
    """Search for better settings than those at hand, and check them.

      ddpg tune --env-id Pendulum-v1 --trials 40
      ddpg tune --env-id MyEnv-v0 --total-timesteps 50_000 --gamma 0.98
      ddpg tune --env-id Hopper-v5 --space actor_lr critic_lr tau
      ddpg tune tunings/Hopper-v5                what is there, and goes on with it
      ddpg tune tunings/Hopper-v5 --trials 80    and has more trials

    The first trial has the settings at hand: a preset's, or the defaults, and
    those that flags fix. Each further one is chosen by Optuna (TPE) from what
    the earlier ones came to, and stopped early where its evaluations are below
    their median. Then the three best and the settings at hand are run again, on
    seeds that no trial had, for the best of many trials is so by luck as well.
    Only those runs, with their intervals, are the result. In the folder:
      best.json     what came out best there: ddpg train --config takes it
      tune.html     the result, how much each setting matters, every trial
      trials.csv    a row per trial
      trials/       their runs, which ddpg plot and ddpg watch take
      rerun/        the runs on new seeds: a study, as of ddpg study
      journal.log   Optuna's, for its dashboard

    Ctrl-C saves what goes on; the same command, or ddpg tune FOLDER, goes on, bit
    for bit, also after a kill. One job or two give the same. A trial that diverges
    counts as the worst, and the search goes on.
    """

    tuning: Path | None = None
    """Folder of a tuning that is there."""
    tune_dir: Path | None = None
    """Folder of a new tuning, or of one that is there; tunings/ENV_ID where it is left out."""
    trials: int = 40
    """How many settings are tried; all of them take as many steps as --total-timesteps says,
    unless they are stopped."""
    seeds: int = 5
    """Runs of each setting in the end, from --seed on."""
    space: tuple[str, ...] = ()
    """Names of the settings that are searched, of the list above; all that no flag fixes where it
    is left out."""
    jobs: int | None = None
    """Runs at a time, each on --threads cores of its own; as many as there are cores for where it
    is left out."""
    ray: PERHAPS = False
    """As of ddpg study: runs take place on a Ray cluster."""
    preset: str | None = None
    """As of ddpg train: by default what is known to be best for the environment is at hand."""
    algorithm: Algorithm | None = None
    """As of ddpg train, for all runs."""
    settings: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> "TuningToRun":
        """The work that these flags ask for.

        Raises
        ------
        UsageError : for flags that do not go together, or no Optuna.
        """
        from ddpg.study.tuning.journal import check_optuna
        from ddpg.study.tuning.search import Wanted

        check_optuna()
        if "tuning" in given and "tune_dir" in given:
            raise UsageError("the folder stands there twice: leave out --tune-dir")
        env_id = given.get("env_id")
        folder = given.get("tuning", given.get("tune_dir"))
        if folder is None and env_id is None:
            raise UsageError("--env-id is missing: the environment of a new tuning, or its FOLDER")
        if folder is None:
            folder = absolute(f"tunings/{folder_name(env_id or '')}")
        fixed = {name: value for name, value in given.items() if name not in OWN}
        asked = Asked(None if env_id is None else [env_id], None, None, given.get("preset"), fixed)
        wanted = Wanted(asked, *(given.get(name) for name in ("trials", "seeds", "space")))
        return TuningToRun(
            folder, wanted, given.get("jobs"), given.get("ray", False), (*fixed, *OWN)
        )


Tune.__doc__ = f"{inspect.getdoc(Tune)}\n\nWhat is searched:\n{space_text()}"


@dataclass(frozen=True)
class TuningToRun:
    """What is asked for; `names` are the fields that were given, as complaints may name them."""

    tune_dir: Path
    wanted: "Wanted"
    jobs: int | None
    ray: str | bool
    names: tuple[str, ...]

    def run(self) -> int:
        """Exit status: 1 if nothing came out."""
        from rich.console import Console

        from ddpg.run.progress import ProgressConsole
        from ddpg.study.tuning.api import go_on
        from ddpg.study.tuning.terminal import print_tuning

        with named_as_flags(*self.names):
            tuning = go_on(self.tune_dir, self.wanted, self.jobs, ProgressConsole(), self.ray)
        if tuning.stopped_by is not None:
            print(f"{self.tune_dir}: stopped; to go on: ddpg tune {quote(str(self.tune_dir))}")
            return 128 + tuning.stopped_by
        print_tuning(tuning, Console())
        return int(tuning.best is None)
