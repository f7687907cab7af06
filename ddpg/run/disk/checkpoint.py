"""The agent of a run on disk, and the checkpoint from which the run goes on.

    agent, config = load_agent(run_dir)     # to look at, to evaluate

A checkpoint is saved in this order: transitions and tables, which only grow, and the agent; then,
at once, the state that says which of them, and how much, counts. Killed anywhere, a run has the
state before or this one, and what belongs to it. Only what is new is written, but for the agent.
"""

from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.agent import DDPG, METRICS
from ddpg.config import RESUMABLE, TrainConfig, config_to_dict, read_config
from ddpg.errors import UsageError, counted, in_one_line, shown
from ddpg.learn import Place
from ddpg.run.disk import folder
from ddpg.run.disk.agents import AgentFile, load_state
from ddpg.run.disk.saved_spaces import Spaces, read_spaces
from ddpg.run.disk.tables import read_table
from ddpg.run.disk.transitions import Transitions
from ddpg.run.disk.versions import installed
from ddpg.run.log import RunLog
from ddpg.run.machine import within_memory
from ddpg.spaces import Env, Observations, action_bounds


def new_agent(config: TrainConfig, spaces: Spaces, seed: rng.Seed) -> DDPG:
    """An agent for these spaces, if it fits into this machine.

    Raises
    ------
    UsageError : for spaces that are not supported, and settings that need too much memory.
    """
    obs_dim = Observations(spaces.observations).size
    with within_memory(config, obs_dim, len(action_bounds(spaces.actions)[0])):
        return DDPG(*spaces, config.ddpg, seed, config.num_envs)


def load_agent(run_dir: Path, best: bool = False) -> tuple[DDPG, TrainConfig]:
    """The agent that a run folder holds, without its replay, and the run's configuration.

    No environment is made.

    Parameters
    ----------
    run_dir : the run's folder.
    best : the agent with the best evaluation instead of the last one.

    Raises
    ------
    UsageError : if the folder or one of its files is missing, damaged, or of another network size.
    """
    folder.check_run(run_dir)
    config = read_config(run_dir / folder.CONFIG, sealed=True)
    agent = new_agent(config, read_spaces(run_dir / folder.SPACES), config.seed)
    path = run_dir / (folder.BEST if best else folder.MODEL)
    missing = "no evaluation was made yet" if best else "the run ended before its first save"
    _give_to(agent, load_state(path, f"{missing}; ddpg train --resume {run_dir}"), path)
    return agent, config


@dataclass
class Checkpoint:
    """Everything that is needed to go on.

    Attributes
    ----------
    place : of the environments.
    log, transitions : at the rows that belong to it.
    model, best : the agent, and the best one so far, if there is one.
    versions : of the packages that wrote it.
    """

    place: Place
    log: RunLog
    transitions: Transitions
    model: AgentFile
    best: AgentFile
    versions: dict[str, str]

    def save(self, agent: DDPG, config: TrainConfig, run_dir: Path) -> None:
        """Write it all; the state last.

        Raises
        ------
        OSError : if that can't be done; the checkpoint before is still there.
        """
        state: dict[str, Any] = {
            "config": config_to_dict(config),
            "place": {k: v for k, v in asdict(self.place).items() if k != "obs"},
            "log": self.log.save(),
            "transitions": self.transitions.save(),
            "versions": self.versions,
        }
        self.model.save(agent)
        state["agents"] = {"model": self.model.checksum, "best": self.best.checksum}
        tg.save(run_dir / folder.STATE, state)
        for file in (self.model, self.best):
            file.saved()

    def close(self) -> None:
        """No more of anything."""
        self.log.close()
        self.transitions.close()


def begin(agent: DDPG, env: Env, run_dir: Path) -> Checkpoint:
    """That of a run which has not begun; whatever lies in its tables is forgotten."""
    transitions = Transitions(run_dir / folder.TRANSITIONS, agent.replay)
    agents = _agents(run_dir, {"model": None, "best": None})
    return Checkpoint(
        Place.first(agent.num_envs), RunLog(run_dir), transitions, *agents, installed(env)
    )


def load(agent: DDPG, env: Env, config: TrainConfig, run_dir: Path) -> Checkpoint:
    """Read the checkpoint, give the agent its state and its replay, and write nothing.

    Raises
    ------
    UsageError : if a file is missing or damaged, or belongs to another run; it names the file.
    """
    path = run_dir / folder.STATE
    again = f"to begin again in another folder: ddpg train --config {run_dir}"
    state = load_state(path, f"the run cannot go on without it; {again}")
    try:
        _check(state, _FORM, "")
        _check_place(state["place"], env, config.num_envs)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    if wrong := different(config, state["config"]):
        differs = in_one_line(wrong[0], longest=80)
        raise UsageError(f"{path} belongs to another run than {folder.CONFIG}: {differs} differs")
    place = Place(**state["place"] | {"action": _array(state["place"]["action"]), "obs": None})
    most = place.step // config.num_envs
    if state["transitions"]["count"] != place.step or max(place.length) > most:
        raise UsageError(f"{path}: its transitions are not those of {counted(place.step, 'step')}")
    with ExitStack() as stack:
        log = stack.enter_context(closing(RunLog(run_dir, state["log"])))
        transitions = stack.enter_context(
            closing(Transitions(run_dir / folder.TRANSITIONS, agent.replay, **state["transitions"]))
        )
        model, best = _agents(run_dir, state["agents"])
        _give_to(agent, model.load(), run_dir / folder.MODEL)
        agent.replay.restore(transitions.rows())
        stack.pop_all()
    return Checkpoint(place, log, transitions, model, best, state["versions"])


def read_rows(run_dir: Path, table: str) -> list[dict[str, float]]:
    """The rows of one of a run's tables; the run may be going on.

    Those that its checkpoint knows must stand there as they were written. Where the checkpoint
    itself is damaged, nobody knows: who goes on with the run hears of that.

    Parameters
    ----------
    table : the name of the file.

    Raises
    ------
    UsageError : if it is damaged, or missing.
    """
    saved = {}
    with suppress(UsageError):  # of the state, which is read first: the table only grows
        state = load_state(run_dir / folder.STATE, "")
        _check(state, _FORM, "")
        saved = state["log"][table]
    return read_table(run_dir / table, _MEASURES[table], **saved)


_MEASURES = {folder.METRICS_TABLE: "return", folder.EVALUATIONS_TABLE: "mean"}
"""The column of each table that everybody looks at."""


def _agents(run_dir: Path, checksums: Mapping[str, int | None]) -> tuple[AgentFile, AgentFile]:
    return (
        AgentFile(run_dir / folder.MODEL, run_dir / folder.EARLIER_MODEL, checksums["model"]),
        AgentFile(run_dir / folder.BEST, run_dir / folder.EARLIER_BEST, checksums["best"]),
    )


def different(config: TrainConfig, saved: Mapping[str, Any]) -> list[str]:
    """Names of settings that can't change when a run goes on, and are not as saved."""
    now = config_to_dict(config)
    decisive = sorted({*now, *saved} - {*RESUMABLE})
    return [name for name in decisive if now.get(name) != saved.get(name)]


def _give_to(agent: DDPG, state: Any, path: Path) -> None:
    try:
        agent.load_state_dict(state)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} does not fit {folder.CONFIG}: {error.args[0]}") from error


COUNT, NUMBER, SETTING, ANYTHING = "a count", "a finite number", "a setting", "anything"
CHECKSUM = "a checksum or None"
_PLACE = {"step": COUNT, "episode": [COUNT], "length": [COUNT], "total_reward": [NUMBER]}
_TABLE = dict.fromkeys(("length", "checksum"), COUNT)
_TABLES = {folder.METRICS_TABLE: _TABLE, folder.EVALUATIONS_TABLE: _TABLE}
_FORM: dict[str, Any] = {
    "config": {str: SETTING},  # compared with the run's
    "place": _PLACE | {"action": ANYTHING},  # the action: as the space says
    "log": _TABLES
    | {"counts": dict.fromkeys(METRICS, COUNT), "sums": dict.fromkeys(METRICS, NUMBER)},
    "transitions": {"count": COUNT, "checksums": [COUNT]},
    "agents": {"model": COUNT, "best": CHECKSUM},
    "versions": {str: str},
}


def _check(value: Any, form: Any, name: str) -> None:
    """Hold a nested value against `_FORM`."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            raise UsageError(f"{name or 'the state'} must be a dict, got {shown(value)}")
        any_key = form.get(str)
        if any_key is None and (wrong := set(value) ^ set(form)):
            raise UsageError(f"entries missing or unknown: {shown(sorted(wrong))}")
        for key, entry in value.items():
            _check(entry, form.get(key, any_key), in_one_line(f"{name}.{key}") if name else key)
    elif isinstance(form, list):
        if not isinstance(value, list):
            raise UsageError(f"{name} must be a list, got {shown(value)}")
        for index, entry in enumerate(value):
            _check(entry, form[0], f"{name}.{index}")
    elif not _is(value, form):
        raise UsageError(f"{name} must be {'text' if form is str else form}, got {shown(value)}")


def _is(value: Any, form: Any) -> bool:
    if form is COUNT:
        return type(value) is int and 0 <= value < 1 << 63
    if form is NUMBER:
        return type(value) is float and np.isfinite(value)
    if form is CHECKSUM:
        return value is None or _is(value, COUNT)
    if form is SETTING:  # whatever JSON holds: what it must be, the run's own settings say
        return type(value) in (bool, int, float, str, list, dict)
    return form is ANYTHING or type(value) is form


def _check_place(place: Mapping[str, Any], env: Env, num_envs: int) -> None:
    for name in ("episode", "length", "total_reward"):
        if len(place[name]) != num_envs:
            raise UsageError(
                f"place.{name} must have {counted(num_envs, 'entry')}, got {len(place[name])}"
            )
    if place["step"] % num_envs:
        raise UsageError(f"place.step must be a multiple of {num_envs}, got {place['step']}")
    if (action := place["action"]) is None:
        return
    array = _array(action)
    rows = [] if array is None else [array] if num_envs == 1 else list(np.atleast_1d(array))
    if len(rows) != num_envs or not all(map(env.action_space.contains, rows)):
        raise UsageError(f"place.action is none of the environment's: {shown(action)}")


def _array(value: Any) -> np.ndarray | None:
    return value.numpy().copy() if isinstance(value, tg.Tensor) else None
