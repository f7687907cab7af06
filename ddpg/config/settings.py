"""Every setting of the algorithm and of a run, with its meaning and its default.

Both classes are frozen and check themselves, so a configuration that exists is a valid one. The
command line is made from them: a field is a flag, the line below it is the flag's help.
"""

import json
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from ddpg.config.elsewhere import hint
from ddpg.errors import UsageError, in_one_line, shown

NoiseName = Literal["gaussian", "ou"]
Vectorization = Literal["sync", "async"]
MOST_ENVS = 1024
"""Environments side by side at most: all of them act before anything is learned of it."""


@dataclass(frozen=True)
class DDPGConfig:
    """Settings of the algorithm (Lillicrap et al. 2015, arxiv.org/abs/1509.02971).

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
    critics: int = 1
    """Critics; of 2 to 4 the smallest target counts, of 5 and more that of a random pair."""
    target_noise: float = 0.0
    """Noise on the target's action as a share of half the action range; 0 is none."""
    target_noise_clip: float = 0.5
    """What that noise does not exceed, as a share of half the action range."""
    actor_every: int = 1
    """Updates of the critics to one of the actor, with which all targets move."""
    n_step: int = 1
    """Rewards that a target sums up before it asks Q; an episode's end makes them fewer."""
    critic_layer_norm: bool = False
    """Normalise each hidden layer of the critics."""
    critic_weight_decay: float = 0.0
    """L2 penalty on the critics' parameters, added to their gradient as in the paper (1e-2)."""
    grad_clip: float = 0.0
    """Largest norm of a network's gradient; 0 does not limit it."""
    normalize_observations: bool = False
    """Show the networks observations less their mean and divided by their standard deviation, of
    those seen in training so far; for observations that are far from 1 or of unlike sizes."""
    compile: bool = True
    """Run the update as one compiled function; off, every operation runs on its own."""

    def __post_init__(self) -> None:
        _check(self, _SIZES, "hidden")
        _check(self, _integer(at_least=1), "batch_size", "buffer_size", "updates_per_step")
        _check(self, _integer(at_least=1), "critics", "actor_every", "n_step")
        _check(self, _integer(at_least=0), "warmup_steps")
        _check(self, _BELOW, "batch_size", "buffer_size", "updates_per_step", "warmup_steps")
        _check(self, _BELOW, "critics", "actor_every", "n_step")
        _check(self, _number("from 0 to 1", lambda value: 0.0 <= value <= 1.0), "gamma", "tau")
        _check(self, _number("above 0", lambda value: value > 0.0), "actor_lr", "critic_lr")
        at_least_0 = _number("of 0 or more", lambda value: value >= 0.0)
        _check(self, at_least_0, "noise_std", "target_noise", "target_noise_clip")
        _check(self, at_least_0, "critic_weight_decay", "grad_clip")
        _check(self, ("'gaussian' or 'ou'", _is_one_of(NoiseName), None), "noise")
        is_flag = "true or false", lambda value: isinstance(value, bool), None
        _check(self, is_flag, "critic_layer_norm", "normalize_observations", "compile")


ALGORITHMS: dict[str, dict[str, Any]] = {
    "ddpg": {"critics": 1, "target_noise": 0.0, "target_noise_clip": 0.5, "actor_every": 1},
    "td3": {"critics": 2, "target_noise": 0.2, "target_noise_clip": 0.5, "actor_every": 2},
}
"""Settings that together have a name: DDPG, and TD3 (Fujimoto et al. 2018, algorithm 1)."""


def algorithm_named(name: Any) -> dict[str, Any]:
    """The settings of `ALGORITHMS` that have this name.

    Raises
    ------
    UsageError : if none have.
    """
    if not isinstance(name, str) or name not in ALGORITHMS:
        names = " or ".join(map(repr, ALGORITHMS))
        raise UsageError(f"algorithm must be {names}, got {shown(name)}")
    return dict(ALGORITHMS[name])


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run: all that, with the installed versions, decides its result.

    The folder that the run is written to is not among them: the same configuration in two folders
    gives the same files.

    Raises
    ------
    UsageError : as `DDPGConfig`.
    """

    env_id: str = "Pendulum-v1"
    """The environment's gymnasium id, or MODULE:ID for one that this Python module registers; its
    actions are a flat Box with finite bounds."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """What else the environment is made with, as NAME=VALUE: g=9.8 max_episode_steps=500."""
    num_envs: int = 1
    """Environments side by side that all make a step at a time; each counts as one."""
    vectorization: Vectorization = "sync"
    """How they are run: sync is one after the other, async a process for each."""
    total_timesteps: int = 20_000
    """Environment steps of the whole run."""
    seed: int = 0
    """Where all randomness comes from; the same seed gives the same files."""
    eval_every: int = 1000
    """Environment steps between evaluations; 0 turns them off."""
    eval_episodes: int = 10
    """Episodes of one evaluation, always from the same start states."""
    checkpoint_every: int = 0
    """Environment steps between checkpoints; 0 makes one with each evaluation."""
    threads: int = 1
    """Threads of an update; more than 1 pays off, and is used, only for wide networks."""
    ddpg: DDPGConfig = field(default_factory=DDPGConfig)

    def __post_init__(self) -> None:
        is_id = "the id of a gymnasium environment", lambda v: isinstance(v, str) and v != "", None
        _check(self, is_id, "env_id")
        _check(self, _ARGUMENTS, "env_kwargs")
        _check(self, _integer(at_least=1), "total_timesteps", "eval_episodes", "threads")
        _check(self, _integer(at_least=1), "num_envs")
        _check(self, ("'sync' or 'async'", _is_one_of(Vectorization), None), "vectorization")
        _check(self, _integer(at_least=0), "seed", "eval_every", "checkpoint_every")
        _check(self, _BELOW, "total_timesteps", "eval_episodes", "threads", "seed")
        _check(self, _BELOW, "eval_every", "checkpoint_every")
        _check(self, ("a DDPGConfig", lambda v: isinstance(v, DDPGConfig), None), "ddpg")
        most = min(MOST_ENVS, self.ddpg.buffer_size)
        _check(self, (f"at most {most:,}", lambda v: v <= most, None), "num_envs")


RESUMABLE = ("total_timesteps", "threads", "vectorization", "checkpoint_every")
"""Settings that may change when a run goes on: what it did so far does not depend on them."""


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
            advice = hint(str(name), sorted(algorithm | run))
            raise UsageError(f"unknown setting {shown(name)}" + (f"; {advice}" if advice else ""))
    ddpg = DDPGConfig(**{name: values[name] for name in values if name in algorithm})
    return TrainConfig(**{name: values[name] for name in values if name in run}, ddpg=ddpg)


def changed(config: TrainConfig, changes: Mapping[str, Any]) -> TrainConfig:
    """The configuration with other values for some fields, by their flat names.

    Raises
    ------
    UsageError : as `config_from_dict`.
    """
    return config_from_dict({**config_to_dict(config), **changes})


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as a label: `critics 2, hidden 64x64`; empty if there are none."""
    return ", ".join(f"{name} {written(value)}" for name, value in settings.items())


def written(value: Any) -> str:
    """The value of a setting in few characters: `64x64`, `0.001`, `on`."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else in_one_line(value, longest=40)


Rule = tuple[str, Callable[[Any], bool], Callable[[Any], Any] | None]
"""What is allowed, in words; whether a value is; and how it becomes a plain Python value, for a
NumPy integer, say, would not go into JSON."""


def _check(config: object, rule: Rule, *names: str) -> None:
    allowed, accepts, plain = rule
    for name in names:
        value = getattr(config, name)
        if not accepts(value):
            raise UsageError(f"{name} must be {allowed}, got {shown(value)}")
        if plain is not None:
            vars(config)[name] = plain(value)


def _integer(at_least: int) -> Rule:
    def accepts(value: Any) -> bool:
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return is_integer and value >= at_least

    return f"an integer of {at_least} or more", accepts, int


def _number(allowed: str, accepts: Callable[[float], bool]) -> Rule:
    def is_one(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return False
        try:
            return math.isfinite(value) and accepts(float(value))
        except OverflowError:  # an integer beyond every float
            return False

    return f"a number {allowed}", is_one, float


def _is_one_of(names: Any) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in get_args(names)


_BELOW: Rule = "below 2**63", lambda value: value < 2**63, None
"""No count comes near it, and beyond it neither NumPy nor a progress bar can go on."""


def _are_sizes(value: Any) -> bool:
    _, is_size, _ = _integer(at_least=1)
    _, is_below, _ = _BELOW
    if not isinstance(value, (list, tuple)) or len(value) == 0:
        return False
    return all(is_size(size) and is_below(size) for size in value)


def _are_arguments(value: Any) -> bool:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        return False
    try:
        return bool(json.loads(json.dumps(dict(value), allow_nan=False)) == dict(value))
    except (TypeError, ValueError, RecursionError):
        return False


_ARGUMENTS: Rule = "named values that JSON can hold", _are_arguments, dict
_SIZES: Rule = ("one or more positive integers", _are_sizes, lambda sizes: tuple(map(int, sizes)))
