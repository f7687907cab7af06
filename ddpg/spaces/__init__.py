"""Which environments DDPG can learn: what their spaces must be, said where they are not.

    env = make_env("Pendulum-v1")
    row = Observations(env.observation_space).flat(obs)      # what reset or step gave, as numbers
    low, high = action_bounds(env.action_space)

This room alone of the algorithm knows the environments' library, and gives the others its types.
"""

import difflib
import re
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import Env
from gymnasium.spaces import Box, Space

from ddpg.errors import UsageError, in_one_line, shown
from ddpg.spaces.answers import begun, check_finite, stepped
from ddpg.spaces.observations import Entry, Observations

__all__ = [
    "Entry",
    "Env",
    "Observations",
    "Space",
    "action_bounds",
    "begun",
    "check_finite",
    "make_env",
    "stepped",
]

_EXTRAS = {"mujoco": "mujoco", "Box2D": "box2d"}
"""Module that environments need, and the extra of this project that brings it."""


def make_env(env_id: str, env_kwargs: Mapping[str, Any] | None = None) -> Env:
    """`gymnasium.make(env_id, **env_kwargs)`, with errors that say what to do.

    An id `module:Env-v0` imports that module: the code in it runs.

    Raises
    ------
    UsageError : for an unknown id (with near ones), one whose dependencies are not installed, or an
        environment that fails while it is imported or made.
    """
    try:
        with warnings.catch_warnings(record=True, action="always") as said:
            env = gymnasium.make(env_id, **(env_kwargs or {}))
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        module = _missing_module(error)
        if module and f"{env_id.partition(':')[0]}.".startswith(f"{module}."):
            raise UsageError(
                f"environment {shown(env_id)} cannot be imported: Python finds no module {module}; "
                "if it is a file or folder here, write PYTHONPATH=. before the command"
            ) from error
        if module in _EXTRAS:
            raise UsageError(
                f"environment {shown(env_id)} needs {module}, which is not installed: "
                f"pip install 'tinygrad-rl[{_EXTRAS[module]}]'"
            ) from error
        what = f"No module named {module!r}" if module else in_one_line(error)
        raise UsageError(f"environment {shown(env_id)} cannot be imported: {what}") from error
    except (Exception, SystemExit) as error:  # it is anybody's code
        is_known = env_id.rpartition(":")[2] in gymnasium.registry
        if isinstance(error, gymnasium.error.Error) and not is_known:
            near = _near_ids(env_id)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(f"unknown environment {shown(env_id)}{hint}") from error
        what = in_one_line(error, longest=300)
        reason = f"{type(error).__name__}: {what}" if what else type(error).__name__
        raise UsageError(f"environment {shown(env_id)} cannot be made: {reason}") from error
    for w in said:
        warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)
    return env


def action_bounds(space: Space) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest action per dimension, (act_dim,) each, of a finite flat Box of floats.

    Raises
    ------
    UsageError : for any other space.
    """
    required = "actions must come from a flat Box of floats with finite bounds"
    if not isinstance(space, Box):
        raise UsageError(f"{required}, found {_in_short(space)}")
    if len(space.shape) != 1 or space.shape[0] == 0 or space.dtype.kind != "f":
        raise UsageError(f"{required}, found shape {space.shape} of {space.dtype}")
    for index, (low, high) in enumerate(zip(space.low, space.high, strict=True)):
        if not (np.isfinite(low) and np.isfinite(high)):
            raise UsageError(f"{required}, found [{low}, {high}] in dimension {index}")
    return space.low, space.high


def _in_short(space: Space) -> str:
    return in_one_line(space, longest=80)


def _missing_module(error: BaseException | None) -> str:
    """What could not be found and led to this error, or nothing: gymnasium wraps it in its own."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            return error.name
        error = error.__cause__
    return ""


def _near_ids(env_id: str) -> list[str]:
    """Ids that look like this one; the same name in another version comes first."""
    name = re.sub(r"-v\d+$", "", env_id).lower()
    known = {spec_id: re.sub(r"-v\d+$", "", spec_id).lower() for spec_id in gymnasium.registry}
    same = [spec_id for spec_id, known_name in known.items() if known_name == name]
    if same:
        return same[-1:]
    near = difflib.get_close_matches(name, set(known.values()), n=2, cutoff=0.7)
    return [max(s for s, known_name in known.items() if known_name == match) for match in near]
