"""Replay memory: the last transitions, and uniform draws from them.

    replay.add(obs, action, reward, next_obs, terminated)
    index = replay.sample_indices(rng, 64)               # NumPy, outside the compiled update
    batch = replay.gather(tg.from_numpy(index))          # tensors, inside it

Storage is one table, allocated once, a row per transition: whoever draws a row at random waits for
memory, and waits once for a row that lies in one place instead of five times for its parts. A batch
is a lookup of rows, which autograd and the compiler see as an ordinary operation.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

import tinygrad_rl as tg
from ddpg.errors import UsageError

_LARGEST = float(np.finfo(np.float32).max)


class Batch(NamedTuple):
    """Transitions side by side, float32: (B, obs_dim), (B, act_dim), and (B, 1) for the scalars."""

    obs: tg.Tensor
    action: tg.Tensor
    reward: tg.Tensor
    next_obs: tg.Tensor
    terminated: tg.Tensor


class Transition(NamedTuple):
    """One transition as it is stored: float32, and whether `next_obs` has no future."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.float32
    next_obs: np.ndarray
    terminated: bool


class Replay:
    """The last `capacity` transitions, in a float32 table that is allocated once.

    Parameters
    ----------
    obs_dim, act_dim : length of an observation and of an action.
    capacity : how many transitions are kept. Rows cost memory only once they are written to,
        because operating systems hand out zeroed pages at the first touch: a short run needs no
        smaller replay, and with the same one it finds the same compiled update.
    """

    def __init__(self, obs_dim: int, act_dim: int, capacity: int) -> None:
        self.capacity = capacity
        self._added = 0
        # Scalars get a column of their own, so that they meet Q's (B, 1) without broadcasting.
        widths = (obs_dim, act_dim, 1, obs_dim, 1)
        ends = np.cumsum(widths).tolist()
        self._parts = tuple(slice(b - width, b) for b, width in zip(ends, widths, strict=True))
        self._rows = np.zeros((capacity, ends[-1]), dtype=np.float32)
        self._table = tg.from_numpy(self._rows)
        # A row before it is checked, and where in it the parts lie.
        self._incoming = np.zeros(ends[-1])
        self._incoming_parts = [self._incoming[part] for part in self._parts]

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    def add(
        self,
        obs: np.ndarray,
        action: np.ndarray,
        reward: float,
        next_obs: np.ndarray,
        terminated: bool,
    ) -> None:
        """Store one transition, over the oldest one when full.

        Parameters
        ----------
        obs : shape (obs_dim,).
        action : shape (act_dim,), in the environment's units.
        reward : a number.
        next_obs : shape (obs_dim,). At a time limit the last observation of the episode, not the
            first of the next one.
        terminated : whether `next_obs` has no future. A time limit (gymnasium's `truncated`) has
            one.

        Raises
        ------
        UsageError : (a `ValueError`) for a wrong shape, a NaN or an infinite value; nothing is
            stored.
        """
        obs_, action_, reward_, next_obs_, terminated_ = self._incoming_parts
        obs_[:] = _vector("obs", obs, obs_.shape)
        action_[:] = _vector("action", action, action_.shape)
        reward_[0] = _number("reward", reward)
        next_obs_[:] = _vector("next_obs", next_obs, next_obs_.shape)
        terminated_[0] = _flag("terminated", terminated)
        # Compared this way round, a NaN fails too.
        if not np.abs(self._incoming).max() <= _LARGEST:
            raise self._not_finite()
        self.add_row(self._incoming)

    @property
    def width(self) -> int:
        """Numbers in a row of the table."""
        return self._rows.shape[1]

    def add_row(self, row: np.ndarray) -> None:
        """Store a transition that is known to be right, (width,), as `last_rows` gave it."""
        self._rows[self._added % self.capacity] = row
        self._added += 1

    def last_rows(self, count: int) -> np.ndarray:
        """Rows of the transitions that were added last, (count, width), the newest at the end."""
        return self._rows[np.arange(self._added - count, self._added) % self.capacity]

    def transitions(self, rows: np.ndarray) -> Iterator[Transition]:
        """What rows of the table mean: (n, width), as `last_rows` gave them."""
        parts = zip(*(rows[:, part] for part in self._parts), strict=True)
        for obs, action, reward, next_obs, terminated in parts:
            yield Transition(obs, action, reward[0], next_obs, bool(terminated[0]))

    def restore(self, rows: np.ndarray) -> None:
        """Be as after adding all of `rows`, (n, width), and nothing else; each in its place."""
        self._added = len(rows)
        first, lap = max(0, len(rows) - self.capacity), len(rows) % self.capacity
        lap_starts = len(rows) - lap
        self._rows[:lap] = rows[lap_starts:]
        if first < lap_starts:
            self._rows[first % self.capacity :][: lap_starts - first] = rows[first:lap_starts]

    def sample_indices(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Rows of `count` transitions, uniformly and with replacement: int64, shape (count,).

        Raises
        ------
        UsageError : if nothing was stored yet.
        """
        if self._added == 0:
            raise UsageError("the replay is empty: add transitions before the first update")
        return rng.integers(len(self), size=count, dtype=np.int64)

    def gather(self, index: tg.Tensor) -> Batch:
        """The transitions at `index`, an int64 tensor of shape (B,)."""
        rows = tg.take(self._table, index, axis=0)
        return Batch(*(rows[:, part] for part in self._parts))

    def _not_finite(self) -> UsageError:
        """Name the first of the incoming numbers that float32 cannot hold."""
        for name, part in zip(Batch.__annotations__, self._incoming_parts, strict=True):
            for n, number in enumerate(part.tolist()):
                if not abs(number) <= _LARGEST:
                    place = name if name == "reward" else f"{name}[{n}]"
                    return UsageError(f"{place} is {number}, which is not a finite float32")
        raise AssertionError("every number is finite")


def _vector(name: str, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if np.shape(value) != shape:
        raise UsageError(f"{name} must have shape {shape}, got {np.shape(value)}")
    return value


def _number(name: str, value: float) -> float:
    if type(value) is not float and np.ndim(value) != 0:
        raise UsageError(f"{name} must be a single number, got shape {np.shape(value)}")
    return float(value)


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise UsageError(f"{name} must be True or False, got {value!r}")
    return bool(value)
