"""Which environments DDPG can learn: what their spaces must be, said where they are not.

This file alone knows the environments' library; the others take its types from here.
"""

import difflib
import re
from textwrap import shorten

import gymnasium
import numpy as np
from gymnasium import Env
from gymnasium.spaces import Box, Space

from ddpg.errors import UsageError


def make_env(env_id: str) -> Env:
    """`gymnasium.make`, with errors that say what to do.

    Raises
    ------
    UsageError : for an unknown id (with near ones), or one whose dependencies are not installed.
    """
    try:
        return gymnasium.make(env_id)
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise UsageError(f"environment {env_id!r} cannot be imported: {error}") from error
    except gymnasium.error.Error as error:
        near = _near_ids(env_id)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"unknown environment {env_id!r}{hint}") from error


def observation_size(space: Space) -> int:
    """Length of an observation, after checking that the space is a flat Box.

    Raises
    ------
    UsageError : for any other space.
    """
    if not isinstance(space, Box):
        raise UsageError(f"observations must come from a flat Box, found {_in_short(space)}")
    if len(space.shape) != 1 or space.shape[0] == 0:
        raise UsageError(
            f"observations must come from a flat Box, of shape (n,), found shape {space.shape}; "
            "gymnasium.wrappers.FlattenObservation makes one"
        )
    return space.shape[0]


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
    return shorten(str(space), 80, placeholder="...")


def _near_ids(env_id: str) -> list[str]:
    """Ids that look like this one; the same name in another version comes first."""
    name = re.sub(r"-v\d+$", "", env_id).lower()
    known = {spec_id: re.sub(r"-v\d+$", "", spec_id).lower() for spec_id in gymnasium.registry}
    same = [spec_id for spec_id, known_name in known.items() if known_name == name]
    if same:
        return same[-1:]
    near = difflib.get_close_matches(name, set(known.values()), n=2, cutoff=0.7)
    return [max(s for s, known_name in known.items() if known_name == match) for match in near]
