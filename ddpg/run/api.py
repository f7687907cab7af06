"""The package as a library: `ddpg.train`, `ddpg.resume`, `ddpg.load`.

    run = ddpg.train("Pendulum-v1", total_timesteps=10_000, seed=1, run_dir="runs/p1")
    run = ddpg.train(MyEnv, hidden=(256, 256), algorithm="td3")     # nothing is kept on disk
    agent = ddpg.load("runs/p1")

A run is the one that `ddpg train` makes, of the same files and the same bits.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from ddpg.agent import DDPG
from ddpg.config import (
    TrainConfig,
    algorithm_named,
    changed,
    config_from_dict,
    preset_for,
    read_config,
)
from ddpg.errors import UsageError, shown
from ddpg.run import runs
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.environments import Source, name_of
from ddpg.run.runs import Run
from ddpg.spaces import Env


def train(
    env: str | Source | None = None,
    *,
    run_dir: str | os.PathLike[str] | None = None,
    config: TrainConfig | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    preset: str | None = None,
    algorithm: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Learn in an environment, and give what came out: the agent, tables, the folder.

    Ctrl-C ends the run after the current step; `run.stopped_by` says so, the agent is as of then.

    Parameters
    ----------
    env : the id of an environment; a function that makes one, called again for each that is needed,
        since evaluations have one of their own; or an environment that `gymnasium.make` made. By
        default `config`'s.
    run_dir : a folder without a run, in which this one is kept; by default none is.
    config : what is not set otherwise; the preset, or the defaults, where it is left out.
    env_kwargs : what the environment is made with, `{"g": 9.8}`: arguments of `gymnasium.make`, or
        of the function; values that JSON can hold.
    preset : whose best known settings the run begins with; by default those of `env` where it is an
        id and they are known. The id of another environment takes that one's, "none" the defaults.
    algorithm : "ddpg" or "td3", sets of settings; those that are named win over it.
    progress : whether a bar is shown, on standard error, and which preset was used.
    **settings : fields of `TrainConfig` and of `DDPGConfig`, by their names.

    Returns
    -------
    Run : the agent with its replay, the rows of both tables, steps.

    Raises
    ------
    UsageError : (a `ValueError`) for a setting that there is not or that is not allowed, an
        environment that can't be made or is not supported, a folder that holds a run.
    TrainingError : for an environment that raises or gives numbers that are not finite, or networks
        that diverge; with `run_dir` the run is saved before.
    OSError : if the folder can't be written to any more.
    """
    source = None if env is None or isinstance(env, str) else env
    changes = ({} if algorithm is None else algorithm_named(algorithm)) | settings
    if isinstance(env, str):
        changes["env_id"] = env
    elif source is not None:
        changes["env_id"] = name_of(_checked(source))
    if env_kwargs is not None:
        if isinstance(source, Env):
            raise UsageError(
                "env_kwargs go with an id or a function, not with what is made already"
            )
        changes["env_kwargs"] = env_kwargs
    config, said = _settings(config, preset, changes)
    console = None if progress else Console(quiet=True)
    if run_dir is not None:
        return runs.train(config, folder.given(run_dir, "run_dir"), console, source, said=said)
    with TemporaryDirectory(prefix="ddpg-", ignore_cleanup_errors=True) as place:
        return replace(runs.train(config, Path(place), console, source, said=said), run_dir=None)


def resume(
    run_dir: str | os.PathLike[str],
    env: Source | None = None,
    *,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Go on with a run from its last checkpoint, bit for bit.

    Parameters
    ----------
    run_dir : its folder.
    env : where it was made in Python: the same function, or a like environment.
    progress : whether a bar is shown, on standard error.
    **settings : `total_timesteps`, `threads`, `vectorization` and `checkpoint_every` can be
        changed; more steps prolong the run.

    Returns
    -------
    Run : as of `train`.

    Raises
    ------
    UsageError, TrainingError, OSError : as `train`; also for a folder without a run, or a damaged
        one.
    """
    path = folder.given(run_dir, "run_dir")
    folder.check_run(path)
    config = changed(read_config(path, sealed=True), settings)
    source = None if env is None else _checked(env)
    return runs.resume(path, config, None, None if progress else Console(quiet=True), source)


def load(run_dir: str | os.PathLike[str], *, best: bool = False) -> DDPG:
    """The agent of a run, to act and to be looked at; without its replay.

    No environment is made, and no module imported for one: the folder says what its spaces are.

    Parameters
    ----------
    run_dir : the run's folder.
    best : the agent with the best evaluation instead of the last one.

    Raises
    ------
    UsageError : if there is no run, or one of its files is missing or damaged.
    """
    agent, _ = load_agent(folder.given(run_dir, "run_dir"), best)
    return agent


def _settings(
    config: TrainConfig | None, preset: str | None, changes: Mapping[str, Any]
) -> tuple[TrainConfig, str]:
    """Those of a new run, and what is said of its preset."""
    if config is not None:
        if preset is not None:
            raise UsageError("config has every setting: leave out preset")
        return changed(config, changes), ""
    row = preset_for(changes.get("env_id", TrainConfig.env_id), preset)
    if row is None:
        return changed(TrainConfig(), changes), ""
    config = changed(config_from_dict(row.settings), changes)
    return config, row.in_words(config)


def _checked(source: Any) -> Source:
    if not isinstance(source, Env) and not callable(source):
        raise UsageError(
            f"env must be an environment's id, a gymnasium.Env or a function that makes one, got "
            f"{shown(source)}"
        )
    return source
