"""A run's environments: one or several to learn in, one to evaluate in.

    with made(config) as (envs, evaluation_env): ...            # by the settings' id
    with made(config, MyEnv) as (envs, evaluation_env): ...     # by a function, called for each

A run whose environment was made in Python says so in its settings, and who by: its id can't be
looked up, and another environment must not take its place unnoticed.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeVar

import gymnasium

from ddpg.config import TrainConfig
from ddpg.errors import UsageError, counted, in_one_line, kind
from ddpg.learn import Environments, One
from ddpg.run.environments.vector import Vector
from ddpg.spaces import Env, make_env

Source = Env | Callable[..., Env]
"""An environment, or a function that makes one; a class is such a function."""

_IN_PYTHON = "python:"


class _Closable(Protocol):
    def close(self) -> None: ...


_Made = TypeVar("_Made", bound=_Closable)


def name_of(source: Source) -> str:
    """What stands in the settings as `env_id` for an environment that is made in Python."""
    thing = type(source.unwrapped) if isinstance(source, Env) else source
    module, name = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "")
    return in_one_line(f"{_IN_PYTHON}{module}.{name or type(thing).__qualname__}", longest=200)


@contextmanager
def made(config: TrainConfig, source: Source | None = None) -> Iterator[tuple[Environments, Env]]:
    """What to learn in, and to evaluate in; what is made here is closed at the end.

    Parameters
    ----------
    config : whose `env_id` and `env_kwargs` make them where there is no `source`; `num_envs` says
        how many there are to learn in.
    source : an environment, to learn in, while another one is made for the evaluations by
        gymnasium's record of how it was made; or a function that makes one of `env_kwargs`.

    Raises
    ------
    UsageError : if they can't be made, or the run's were made in Python and there is no `source`.
    """
    if isinstance(source, Env):
        if config.num_envs > 1:
            raise UsageError(
                f"for {counted(config.num_envs, 'environment')} side by side give a function that "
                "makes one, a lambda for instance: this one is made already"
            )
        with _closed_after(_again(source)) as evaluation_env:
            yield One(source), evaluation_env
        return
    if config.num_envs == 1:
        with one(config, source) as env, one(config, source) as evaluation_env:
            if env.unwrapped is evaluation_env.unwrapped:
                raise UsageError("env must make a new environment at each call, and gave one again")
            yield One(env), evaluation_env
        return
    make = partial(_new, config, source)
    vector = Vector(make, config.num_envs, config.vectorization)
    with _closed_after(vector) as envs, _closed_after(make()) as evaluation_env:
        yield envs, evaluation_env


@contextmanager
def one(config: TrainConfig, source: Source | None = None) -> Iterator[Env]:
    """One of them; what is made here is closed at the end.

    Raises
    ------
    UsageError : as `made`.
    """
    if isinstance(source, Env):
        yield source
        return
    with _closed_after(_new(config, source)) as env:
        yield env


@contextmanager
def _closed_after(made: _Made) -> Iterator[_Made]:
    """It, closed at the end: what it says then is a warning, for everything is done and saved."""
    try:
        yield made
    finally:
        try:
            made.close()
        except (Exception, SystemExit) as error:  # it is anybody's code
            said = in_one_line(f"{type(error).__name__}: {error}", longest=300)
            warnings.warn(f"the environment's close raised {said}", stacklevel=2)


def _new(config: TrainConfig, make: Callable[..., Env] | None) -> Env:
    if make is None:
        if config.env_id.startswith(_IN_PYTHON):
            raise UsageError(
                f"this run's environment was made in Python, by "
                f"{config.env_id.removeprefix(_IN_PYTHON)}: give it to ddpg.resume as env=; the "
                "command line knows environments by their id only"
            )
        return make_env(config.env_id, config.env_kwargs)
    try:
        env = make(**config.env_kwargs)
    except Exception as error:
        what = in_one_line(error, longest=300)
        raise UsageError(f"env cannot be made: {type(error).__name__}: {what}") from error
    if not isinstance(env, Env):
        raise UsageError(f"env must make a gymnasium.Env, got {kind(env)}")
    return env


def _again(env: Env) -> Env:
    """Another environment that is made as this one was."""
    way_out = "give a function that makes one instead, a lambda for instance"
    if env.spec is None:
        raise UsageError(
            f"a second {type(env.unwrapped).__name__} is needed for the evaluations, and gymnasium "
            f"does not know how this one was made: {way_out}"
        )
    try:
        return gymnasium.make(env.spec)
    except Exception as error:
        what = in_one_line(error, longest=300)
        raise UsageError(
            f"a second environment is needed for the evaluations, and cannot be made as this one "
            f"was ({what}): {way_out}"
        ) from error
