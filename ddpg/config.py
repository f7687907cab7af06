"""Every setting of the algorithm and of a run, with its meaning and its default.

    DDPGConfig(hidden=(64, 64), batch_size=64)          # the algorithm alone
    TrainConfig(env_id="Pendulum-v1", seed=1)           # a whole run; its .ddpg is the algorithm's

Both are frozen and check themselves, so a configuration that exists is a valid one. The command
line is made from these two classes: a field is a flag, the line below it is the flag's help.
"""

import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

from ddpg.errors import UsageError

NoiseName = Literal["gaussian", "ou"]


@dataclass(frozen=True)
class DDPGConfig:
    """Settings of the algorithm (Lillicrap et al. 2015, https://arxiv.org/abs/1509.02971).

    Raises
    ------
    UsageError : (a `ValueError`) if a field has the wrong type or lies outside its range; the
        message names the field, what is allowed and what was found.
    """

    hidden: tuple[int, ...] = (64, 64)
    """Units of each hidden layer, from input to output; actor and critic alike."""
    batch_size: int = 64
    """Transitions in one update, drawn from the replay uniformly and with replacement."""
    gamma: float = 0.99
    """Discount: how much a reward one step later is worth now, from 0 to 1."""
    tau: float = 0.01
    """How far the targets follow at each update, from 0 (not at all) to 1 (they are copies)."""
    actor_lr: float = 1e-3
    """Learning rate of the actor's Adam."""
    critic_lr: float = 2e-3
    """Learning rate of the critic's Adam."""
    noise: NoiseName = "gaussian"
    """Exploration noise: gaussian is fresh at each step, ou (Ornstein-Uhlenbeck) drifts."""
    noise_std: float = 0.1
    """Size of the noise as a share of half the action range; for ou the sigma of one step."""
    warmup_steps: int = 1000
    """Steps at the start with uniformly random actions and without updates."""
    buffer_size: int = 1_000_000
    """Transitions that the replay keeps; the oldest are overwritten first."""
    updates_per_step: int = 1
    """Updates after each environment step."""
    compile: bool = True
    """Run the update as one compiled function; off, every operation runs on its own."""

    def __post_init__(self) -> None:
        _set(self, "hidden", _sizes(self.hidden))
        for name in ("batch_size", "buffer_size", "updates_per_step"):
            _check_integer(self, name, at_least=1)
        _check_integer(self, "warmup_steps", at_least=0)
        for name in ("gamma", "tau"):
            _check_number(self, name, "from 0 to 1", lambda value: 0.0 <= value <= 1.0)
        for name in ("actor_lr", "critic_lr"):
            _check_number(self, name, "above 0", lambda value: value > 0.0)
        _check_number(self, "noise_std", "of 0 or more", lambda value: value >= 0.0)
        if self.noise not in get_args(NoiseName):
            raise _refusal("noise", "'gaussian' or 'ou'", self.noise)
        _check_flag(self, "compile")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run: everything that, with the installed versions, decides its result.

    The folder that the run is written to is not among them: the same configuration in two folders
    gives the same files.

    Raises
    ------
    UsageError : as `DDPGConfig`.
    """

    env_id: str = "Pendulum-v1"
    """The environment's gymnasium id; flat Box observations and finite Box actions."""
    total_timesteps: int = 20_000
    """Environment steps of the whole run."""
    seed: int = 0
    """Where all randomness comes from; the same seed gives the same files."""
    eval_every: int = 1000
    """Environment steps between evaluations; 0 turns them off."""
    eval_episodes: int = 10
    """Episodes of one evaluation, always from the same start states."""
    threads: int = 1
    """Threads of an update; more than 1 pays off, and is used, only for wide networks."""
    ddpg: DDPGConfig = field(default_factory=DDPGConfig)

    def __post_init__(self) -> None:
        if not isinstance(self.env_id, str) or not self.env_id:
            raise _refusal("env_id", "the id of a gymnasium environment", self.env_id)
        for name in ("total_timesteps", "eval_episodes", "threads"):
            _check_integer(self, name, at_least=1)
        for name in ("seed", "eval_every"):
            _check_integer(self, name, at_least=0)
        if not isinstance(self.ddpg, DDPGConfig):
            raise _refusal("ddpg", "a DDPGConfig", self.ddpg)


def config_to_dict(config: TrainConfig) -> dict[str, Any]:
    """All fields of a run in one flat dict, named as the flags are, of JSON's types."""
    flat = asdict(config)
    flat.update(flat.pop("ddpg"))
    flat["hidden"] = list(flat["hidden"])
    return flat


def config_from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """Inverse of `config_to_dict`; fields that are absent take their defaults.

    Raises
    ------
    UsageError : if a name is unknown (with the nearest known one) or a value is not allowed.
    """
    algorithm = {f.name for f in fields(DDPGConfig)}
    run = {f.name for f in fields(TrainConfig)} - {"ddpg"}
    for name in values:
        if name not in algorithm | run:
            near = get_close_matches(str(name), algorithm | run, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"unknown setting {name!r}{hint}")
    ddpg = DDPGConfig(**{name: values[name] for name in values if name in algorithm})
    return TrainConfig(**{name: values[name] for name in values if name in run}, ddpg=ddpg)


def read_config(path: Path) -> TrainConfig:
    """The configuration that a `config.json` holds.

    Raises
    ------
    UsageError : if there is none, it is not JSON, or its settings are not allowed; the message
        names it.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} must hold a JSON object of settings, got {type(values).__name__}")
    try:
        return config_from_dict(values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _refusal(name: str, allowed: str, found: object) -> UsageError:
    return UsageError(f"{name} must be {allowed}, got {found!r}")


def _set(config: object, name: str, value: object) -> None:
    """Store the plain Python form of a checked value (a NumPy integer would not go into JSON)."""
    object.__setattr__(config, name, value)


def _sizes(found: object) -> tuple[int, ...]:
    sizes = tuple(found) if isinstance(found, (list, tuple)) else ()
    if not sizes or not all(_is_integer(size) and size >= 1 for size in sizes):
        raise _refusal("hidden", "one or more positive integers", found)
    return tuple(int(size) for size in sizes)


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_integer(config: object, name: str, at_least: int) -> None:
    value = getattr(config, name)
    if not _is_integer(value) or value < at_least:
        raise _refusal(name, f"an integer of {at_least} or more", value)
    _set(config, name, int(value))


def _check_number(config: object, name: str, allowed: str, accepts: Any) -> None:
    value = getattr(config, name)
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not accepts(value):
        raise _refusal(name, f"a number {allowed}", value)
    _set(config, name, float(value))


def _check_flag(config: object, name: str) -> None:
    value = getattr(config, name)
    if not isinstance(value, bool):
        raise _refusal(name, "true or false", value)
