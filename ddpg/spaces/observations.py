"""Observations as they come, of nested parts, as rows of numbers in one order.

observations = Observations(env.observation_space)
observations.layout                  # position 3, wind.gust 1
row = observations.flat(obs)         # of what reset or step gave
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space, Tuple
from gymnasium.spaces.utils import flatdim, flatten

from ddpg.errors import UsageError, in_one_line, kind, shown


class Entry(NamedTuple):
    """A part of an observation, and how many numbers of the row are its own.

    Attributes
    ----------
    name : keys and indices with dots between them, `wind.gust`; empty where there is one part only.
    size : how many.
    one_hot : whether they are 0 but for a 1 at the place of what was observed.
    """

    name: str
    size: int
    one_hot: bool


class Observations:
    """What an environment shows, as rows of numbers in the order of gymnasium's own `flatten`.

    Parameters
    ----------
    space : of Box, Discrete, MultiDiscrete and MultiBinary, alone or in a Dict or Tuple, nested
        too. A Dict has its keys in an order, and so have the rows.

    Attributes
    ----------
    space : as given.
    size : of a row.
    layout : what it consists of, in its order.
    is_flat : whether they are rows already: a Box of one dimension.

    Raises
    ------
    UsageError : for images, with what helps, and other spaces; the message names the entry.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.layout = [
            Entry(".".join(map(str, path)), flatdim(part), isinstance(part, _ONE_HOT))
            for path, part in _parts(space, ())
        ]
        self.size = sum(entry.size for entry in self.layout)
        self.is_flat = isinstance(space, Box) and len(space.shape) == 1
        if self.size < 1:
            raise UsageError(f"there is nothing to observe in {_in_short(space)}")

    def flat(self, obs: Any) -> np.ndarray:
        """One observation as the environment gives it as a row, (size,); a copy.

        Of float32; of a flat Box in its own dtype, and in whatever shape it was given.

        Raises
        ------
        UsageError : (a `ValueError`) for what does not belong to the space; it names the entry.
        """
        if self.is_flat:
            row = np.array(obs)
            _check_numbers(row, obs, ())
            return row
        return self._row(_values(self.space, obs, ()))

    def _row(self, values: "Iterable[_Value]") -> np.ndarray:
        row, start = np.empty(self.size, np.float32), 0
        with np.errstate(over="ignore", invalid="ignore"):  # what came of it is looked at
            for path, part, value in values:
                numbers = _flat_part(part, value, path)
                row[start : start + len(numbers)] = numbers
                start += len(numbers)
        if not np.isfinite(row).all():
            raise self._not_finite(row)
        return row

    def rows(self, obs: Any) -> np.ndarray:
        """One observation, or several, as they come: float32, (size,) or (B, size).

        Parameters
        ----------
        obs : an observation of the space; a batch as a vector environment gives it, in which each
            part has one more dimension; or either as rows of floats already.

        Raises
        ------
        UsageError : as `flat`. The length of what is flat already is not looked at.
        """
        if self.is_flat or self._is_rows(obs):
            with np.errstate(over="ignore"):  # an infinity is for the caller to see
                return np.asarray(obs, np.float32)
        count = self._batch_size(obs)
        if count is None:
            return self.flat(obs)
        batch = list(_values(self.space, obs, ()))
        for path, _, value in batch:
            if np.shape(value)[:1] != (count,):
                raise UsageError(
                    f"{_called(path)} has shape {np.shape(value)} in a batch of {count}"
                )
        rows = [self._row((path, part, v[i]) for path, part, v in batch) for i in range(count)]
        return np.array(rows, np.float32).reshape(count, self.size)

    def differs_from(self, earlier: "Observations") -> str:
        """The first thing in which this is not as it was, in words; nothing if there is none."""
        was, now = (dict(_parts(each.space, ())) for each in (earlier, self))
        for path, part in was.items():
            if part != now.get(path):
                become = f"is {_in_short(now[path])}" if path in now else "is gone"
                return f"{_called(path)} was {_in_short(part)}, and {become}"
        for path, part in now.items():
            if path not in was:
                return f"{_called(path)}, {_in_short(part)}, is new"
        return "" if [*was] == [*now] else "its observations have their parts in another order"

    def _not_finite(self, row: np.ndarray) -> UsageError:
        start = 0
        for name, size, _ in self.layout:
            part = row[start : start + size]
            start += size
            if len(wrong := np.flatnonzero(~np.isfinite(part))):
                place = f"is {part[wrong[0]]} at index {wrong[0]}"
                return UsageError(f"{_called((name,))} {place}, which is not a finite float32")
        raise AssertionError("every number is finite")

    def _is_rows(self, obs: Any) -> bool:
        """Whether it is flat already; an element of Discrete and its like is of integers."""
        if not isinstance(obs, np.ndarray) or obs.dtype.kind != "f" or obs.ndim not in (1, 2):
            return False
        return obs.shape[-1] == self.size and obs.shape != self.space.shape

    def _batch_size(self, obs: Any) -> int | None:
        """How many there are, by the first part; None for what is one observation, or none."""
        try:
            _, part, value = next(_values(self.space, obs, ()))
        except (UsageError, StopIteration):
            return None
        return len(value) if np.ndim(value) == len(part.shape or ()) + 1 else None


_Path = tuple[str | int, ...]
_Value = tuple[_Path, Space, Any]
"""A part, and what is observed there."""
_ONE_HOT = Discrete, MultiDiscrete
_PIXELS = 16
"""As many rows and columns at least are a picture."""


def _parts(space: Space, path: _Path) -> Iterator[tuple[_Path, Space]]:
    """Each Box, Discrete and so on, in gymnasium's order.

    Raises
    ------
    UsageError : naming what can't be flattened.
    """
    if isinstance(space, Dict | Tuple):
        for key, inner in _inner(space):
            if isinstance(space, Dict) and not isinstance(key, str):
                raise UsageError(f"{_called(path)} has the key {shown(key)}, which is no text")
            yield from _parts(inner, (*path, key))
        return
    if isinstance(space, Box):
        large = sum(length >= _PIXELS for length in space.shape)
        is_bytes = space.dtype == np.uint8 and len(space.shape) >= 2
        if is_bytes or (len(space.shape) == 3 and large >= 2):
            raise UsageError(
                f"{_called(path)} is an image, of shape {space.shape}, and these networks see rows "
                "of numbers: gymnasium.wrappers.GrayscaleObservation and ResizeObservation make it "
                "small, and FlattenObservation makes it a row"
            )
    elif not isinstance(space, Discrete | MultiDiscrete | MultiBinary):
        raise UsageError(
            f"{_called(path)} comes from {_in_short(space)}; what can be learned "
            "from is Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of them"
        )
    yield path, space


def _inner(space: Dict | Tuple) -> list[tuple[Any, Space]]:
    return list(space.spaces.items() if isinstance(space, Dict) else enumerate(space.spaces))


def _values(space: Space, obs: Any, path: _Path) -> Iterator[_Value]:
    """Each part, and what is observed there.

    Raises
    ------
    UsageError : where an observation is not built as its space is.
    """
    if isinstance(space, Dict):
        if not isinstance(obs, Mapping):
            raise UsageError(f"{_called(path)} must be a dict, got {kind(obs)}")
        if obs.keys() != space.spaces.keys():
            raise UsageError(f"{_called(path)} {_wrong_keys(space.spaces.keys(), obs.keys())}")
    elif isinstance(space, Tuple):
        if not isinstance(obs, tuple | list) or len(obs) != len(space.spaces):
            what = f"{len(obs)}" if isinstance(obs, tuple | list) else type(obs).__name__
            raise UsageError(f"{_called(path)} must be a tuple of {len(space.spaces)}, got {what}")
    else:
        yield path, space, obs
        return
    for key, inner in _inner(space):
        yield from _values(inner, obs[key], (*path, key))


def _wrong_keys(known: Any, found: Any) -> str:
    missing, unknown = (
        ", ".join(sorted(map(repr, keys))) for keys in (known - found, found - known)
    )
    said = [f"lacks {missing}"] * bool(missing) + [f"has {unknown} besides"] * bool(unknown)
    return in_one_line(" and ".join(said), longest=200)


def _flat_part(space: Space, value: Any, path: _Path) -> np.ndarray:
    """The numbers of one part; gymnasium's `flatten`, which looks at nothing."""
    array = np.asarray(value)
    _check_numbers(array, value, path)
    if array.shape != space.shape:
        raise UsageError(f"{_called(path)} must have shape {space.shape}, got {array.shape}")
    if isinstance(space, Discrete | MultiDiscrete):
        low = np.asarray(space.start)
        high = low + (space.n if isinstance(space, Discrete) else space.nvec) - 1
        # Beyond the end there is an error, and before the start, without a word, another element.
        if array.dtype.kind == "f" or ((array < low) | (array > high)).any():
            said = f"whole numbers from {low.tolist()} to {high.tolist()}"
            raise UsageError(f"{_called(path)} must be {said}, got {shown(array.tolist())}")
        array = array.astype(np.int64)
    return np.asarray(flatten(space, array))


def _check_numbers(array: np.ndarray, value: Any, path: _Path) -> None:
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{_called(path)} must be numbers, got {shown(value)}")


def _in_short(space: Space) -> str:
    return in_one_line(space, longest=80)


def _called(path: _Path) -> str:
    name = ".".join(map(str, path))
    return f"observation {shown(name)}" if name else "observation"
