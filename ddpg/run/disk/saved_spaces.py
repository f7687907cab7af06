"""The spaces of a run, in its spaces.json: with them an agent is loaded without its environment.

    spaces = spaces_of(env)
    path.write_bytes(spaces_text(spaces).encode())
    read_spaces(path) == spaces
    check_spaces(run_dir, env)          # refuses an environment that is another one now

JSON with a checksum, like config.json. Nothing in it names code: reading it runs none.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from ddpg.config import read_json, sealed_text
from ddpg.errors import UsageError, in_one_line, shown
from ddpg.spaces import Env, Observations, Space, action_bounds

NAME = "spaces.json"
LARGEST = 10_000_000
"""Numbers in an observation, and bytes of the file, at most: beyond what anybody learns from."""
DEEPEST = 50
"""Spaces in one another."""


class Spaces(NamedTuple):
    """What an agent sees and what it does."""

    observations: Space
    actions: Space


def spaces_of(env: Env) -> Spaces:
    """Those of an environment."""
    return Spaces(env.observation_space, env.action_space)


def spaces_text(spaces: Spaces) -> str:
    """What a `spaces.json` holds."""
    values = {name: _encoded(space) for name, space in spaces._asdict().items()}
    _spaces(values)  # what could not be read again is said now
    return sealed_text(values)


def read_spaces(path: Path) -> Spaces:
    """What a `spaces.json` holds.

    Raises
    ------
    UsageError : if there is none, it is damaged, or it holds no spaces; the message names it.
    """
    return read_json(path, _spaces, sealed=True, largest=LARGEST)


def check_spaces(run_dir: Path, env: Env) -> None:
    """See that an environment has the spaces of a run.

    Raises
    ------
    UsageError : saying what differs, or as `read_spaces`.
    """
    saved, now = read_spaces(run_dir / NAME), spaces_of(env)
    other = Observations(now.observations).differs_from(Observations(saved.observations))
    if not other and now.actions != saved.actions:
        was, is_now = (in_one_line(space, longest=80) for space in (saved.actions, now.actions))
        other = f"actions were {was}, and are {is_now}"
    if other:
        raise UsageError(f"the environment is not that of {run_dir}: {other}")


def _spaces(values: dict[str, Any]) -> Spaces:
    if values.keys() != {*Spaces._fields}:
        raise UsageError(f"must hold {' and '.join(Spaces._fields)}, got {shown([*values])}")
    try:
        spaces = Spaces(**{name: _decoded(value, 0) for name, value in values.items()})
    except UsageError:
        raise
    except (ValueError, TypeError, OverflowError, AssertionError) as error:  # of gymnasium
        raise UsageError(f"holds no spaces: {in_one_line(error, longest=200)}") from error
    Observations(spaces.observations)
    action_bounds(spaces.actions)
    return spaces


def _encoded(space: Space) -> dict[str, Any]:
    match space:
        case Box():
            bounds = {"low": _bounds(space.low), "high": _bounds(space.high)}
            shape = {"shape": [*space.shape], "dtype": str(space.dtype)}
            return {"type": "Box"} | shape | bounds
        case Discrete():
            return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
        case MultiDiscrete():
            counts = {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
            return {"type": "MultiDiscrete"} | counts
        case MultiBinary():
            return {"type": "MultiBinary", "shape": [*space.shape]}
        case Dict():  # pairs, for their order counts
            pairs = [[key, _encoded(inner)] for key, inner in space.spaces.items()]
            return {"type": "Dict", "spaces": pairs}
        case Tuple():
            return {"type": "Tuple", "spaces": [*map(_encoded, space.spaces)]}
    raise AssertionError(f"an agent has taken {space}")


def _bounds(array: np.ndarray) -> Any:
    """All of them, or one where they are the same; JSON has no infinity: it becomes text."""
    each = [x if math.isfinite(x) else str(x) for x in array.ravel().tolist()]
    return each[0] if len({*each}) == 1 else each


def _decoded(values: Any, depth: int) -> Space:
    if depth > DEEPEST:
        raise UsageError("its spaces are nested too deeply")
    match values:
        case {"type": "Box", "shape": list(shape), "dtype": str(name), "low": low, "high": high}:
            dtype = np.dtype(name)
            low, high = (_array(bound, _shape(shape), dtype) for bound in (low, high))
            return Box(low, high, dtype=dtype.type)
        case {"type": "Discrete", "n": int(n), "start": int(start)}:
            return Discrete(_count(n), start=start)
        case {"type": "MultiDiscrete", "nvec": list(nvec), "start": list(start)}:
            if np.array(nvec).dtype.kind != "i" or np.array(start).dtype.kind != "i":
                raise UsageError("a MultiDiscrete holds what is no integer")
            _count(int(np.max(nvec)))
            return MultiDiscrete(nvec, start=start)
        case {"type": "MultiBinary", "shape": list(shape)}:
            sizes = _shape(shape)
            return MultiBinary(sizes[0] if len(sizes) == 1 else sizes)
        case {"type": "Dict", "spaces": list(pairs)}:
            inner = {str(key): _decoded(space, depth + 1) for key, space in pairs}
            if len(inner) != len(pairs):
                raise UsageError("a Dict holds a key twice")
            return Dict([*inner.items()])
        case {"type": "Tuple", "spaces": list(spaces)}:
            return Tuple([_decoded(space, depth + 1) for space in spaces])
    raise UsageError(f"{shown(values)} is no space")


def _shape(sizes: list[Any]) -> tuple[int, ...]:
    if not all(type(size) is int and size >= 0 for size in sizes) or len(sizes) > 32:
        raise UsageError(f"{shown(sizes)} is no shape")
    _count(math.prod(sizes))
    return tuple(sizes)


def _count(count: int) -> int:
    if count > LARGEST:
        raise UsageError(
            f"holds a space of size {count:.0e}, and {LARGEST:,} is the largest allowed"
        )
    return count


def _array(bounds: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    each = bounds if isinstance(bounds, list) else [bounds]
    for bound in each:
        if type(bound) not in (int, float, bool) and bound not in ("inf", "-inf"):
            raise UsageError(f"{shown(bound)} is no bound")
    found = np.array([float(x) if isinstance(x, str) else x for x in each])
    with np.errstate(all="ignore"):
        kept = found.astype(dtype)
    if not (kept == found).all():
        raise UsageError(f"{shown(bounds)} is no bound of {dtype}")
    return np.full(shape, kept[0]) if len(each) == 1 else kept.reshape(shape)
