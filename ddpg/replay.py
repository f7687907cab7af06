"""Replay memory: the last transitions, and uniform draws from them.

    replay.add(obs, action, reward, next_obs, terminated, truncated)
    index = replay.sample_indices(rng, 64)               # NumPy, outside the compiled update
    batch = replay.gather(tg.from_numpy(index), gamma)   # tensors, inside it

    steps = replay.follow(index, 3, gamma)               # the same with three rewards in each row
    batch = replay.gather_steps(steps)

Storage is one table, allocated once, a row per transition: whoever draws a row at random waits for
memory, and waits once for a row that lies in one place instead of five times for its parts. A batch
is a lookup of rows, which autograd and the compiler see as an ordinary operation.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rl as tg
from ddpg.errors import UsageError, counted

_LARGEST = float(np.finfo(np.float32).max)


class Batch(NamedTuple):
    """Transitions side by side, float32: (B, obs_dim), (B, act_dim), and (B, 1) for the scalars.

    `discount` is what a value at `next_obs` is worth at `obs`: gamma to the power of the steps
    between them, whose rewards `reward` sums up, discounted as well.
    """

    obs: tg.Tensor
    action: tg.Tensor
    reward: tg.Tensor
    next_obs: tg.Tensor
    terminated: tg.Tensor
    discount: tg.Tensor | float


class Steps(NamedTuple):
    """Transitions of several steps, as NumPy finds them: rows of the table, and what they sum to.

    Attributes
    ----------
    first, last : int64, (B,).
    reward, discount : float32, (B, 1), as in `Batch`.
    """

    first: tg.Tensor
    last: tg.Tensor
    reward: tg.Tensor
    discount: tg.Tensor


class Transition(NamedTuple):
    """One transition as it is stored: float32, and whether `next_obs` has no future.

    `first` says that an episode begins with it.
    """

    obs: np.ndarray
    action: np.ndarray
    reward: np.float32
    next_obs: np.ndarray
    terminated: bool
    first: bool


class Replay:
    """The last `capacity` transitions, in a float32 table that is allocated once.

    Parameters
    ----------
    obs_dim, act_dim : length of an observation and of an action.
    capacity : how many transitions are kept. Rows cost memory only once they are written to,
        because operating systems hand out zeroed pages at the first touch: a short run needs no
        smaller replay, and with the same one it finds the same compiled update.
    num_envs : environments side by side, at most `capacity`: their transitions come at once, and
        what follows one of them stands so many rows later.

    Raises
    ------
    UsageError : for a capacity below `num_envs`.
    """

    def __init__(self, obs_dim: int, act_dim: int, capacity: int, num_envs: int = 1) -> None:
        if capacity < num_envs:
            raise UsageError(
                f"the replay must hold a transition of each environment: {capacity} is less than "
                f"{num_envs}"
            )
        self.capacity, self.num_envs = capacity, num_envs
        self._added = 0
        # Scalars get a column of their own, so that they meet Q's (B, 1) without broadcasting.
        widths = (obs_dim, act_dim, 1, obs_dim, 1, 1)
        ends = np.cumsum(widths).tolist()
        self._parts = tuple(slice(b - width, b) for b, width in zip(ends, widths, strict=True))
        self._rows = np.zeros((capacity, ends[-1]), dtype=np.float32)
        self._table = tg.from_numpy(self._rows)
        _, _, reward, _, terminated, first = self._parts
        self._reward_column, self._terminated_column = reward.start, terminated.start
        self._first_column = first.start
        # Of each environment, whether its next transition is an episode's first, and the incoming
        # one its last.
        self._begins, self._ends = [True] * num_envs, [False] * num_envs
        # Of all that were ever added, whether they are still there or not.
        self._lowest, self._highest, self._terminates = math.inf, -math.inf, False
        # Rows before they are checked, and where in them the parts lie.
        self._incoming = np.zeros(num_envs * ends[-1])
        self._incoming_rows = [*self._incoming.reshape(num_envs, -1)]
        self._incoming_parts = [[row[part] for part in self._parts] for row in self._incoming_rows]

    def __len__(self) -> int:
        return min(self._added, self.capacity)

    def add(
        self,
        obs: np.ndarray,
        action: np.ndarray,
        reward: float | np.ndarray,
        next_obs: np.ndarray,
        terminated: bool | np.ndarray,
        truncated: bool | np.ndarray,
    ) -> None:
        """Store one transition, over the oldest one when full; of several environments one of each.

        Then all shapes have `num_envs` in front.

        Parameters
        ----------
        obs : shape (obs_dim,).
        action : shape (act_dim,), in the environment's units.
        reward : a number.
        next_obs : shape (obs_dim,). At a time limit the last observation of the episode, not the
            first of the next one.
        terminated : whether `next_obs` has no future. A time limit (gymnasium's `truncated`) has
            one.
        truncated : whether the episode was cut off here: the next transition does not follow.

        Raises
        ------
        UsageError : (a `ValueError`) for a wrong shape, a NaN or an infinite value; nothing is
            stored.
        """
        if self.num_envs == 1:
            self._take(0, (obs, action, reward, next_obs, terminated, truncated))
        else:
            answers: tuple[Any, ...] = obs, action, reward, next_obs, terminated, truncated
            if any(np.ndim(answer) == 0 or len(answer) != self.num_envs for answer in answers):
                shapes = ", ".join(str(np.shape(answer)) for answer in answers)
                raise UsageError(
                    f"all of it must be of {counted(self.num_envs, 'environment')}, got shapes "
                    f"{shapes}"
                )
            for env, answer in enumerate(zip(*answers, strict=True)):
                self._take(env, answer)
        # Compared this way round, a NaN fails too.
        if not np.maximum.reduce(np.abs(self._incoming)) <= _LARGEST:
            raise self._not_finite()
        for row in self._incoming_rows:
            self.add_row(row)
        self._begins = self._ends.copy()

    def _take(self, env: int, transition: tuple[Any, ...]) -> None:
        """Write what `add` was given of an environment into its incoming row."""
        obs, action, reward, next_obs, terminated, truncated = transition
        obs_, action_, reward_, next_obs_, terminated_, first_ = self._incoming_parts[env]
        obs_[:] = _vector("obs", obs, obs_.shape)
        action_[:] = _vector("action", action, action_.shape)
        reward_[0] = _number("reward", reward)
        next_obs_[:] = _vector("next_obs", next_obs, next_obs_.shape)
        terminated_[0] = has_no_future = _flag("terminated", terminated)
        self._ends[env] = _flag("truncated", truncated) or has_no_future
        first_[0] = self._begins[env]

    def begin_episode(self, env: int = 0) -> None:
        """The next transition of an environment does not follow its last, however that ended."""
        self._begins[env] = True

    @property
    def width(self) -> int:
        """Numbers in a row of the table."""
        return self._rows.shape[1]

    def add_row(self, row: np.ndarray) -> None:
        """Store a transition that is known to be right, (width,), as `last_rows` gave it."""
        place = self._added % self.capacity
        self._rows[place] = row
        self._added += 1
        reward = float(self._rows[place, self._reward_column])  # as float32, as a restore finds it
        self._see(reward, reward, bool(row[self._terminated_column]))

    def _see(self, lowest: float, highest: float, terminates: bool) -> None:
        if lowest < self._lowest:
            self._lowest = lowest
        if highest > self._highest:
            self._highest = highest
        self._terminates |= terminates

    def value_bounds(self, gamma: float) -> tuple[float, float]:
        """What no discounted sum of rewards can be below, or above, given those ever added.

        `r_min / (1 - gamma)` and `r_max / (1 - gamma)`, as if one of them came for ever. Where an
        episode has terminated, the sum may also end with its first reward, which is what bounds it
        from the side where more rewards only lead away.
        """
        return _value_bounds(self._lowest, self._highest, self._terminates, gamma)

    def last_rows(self, count: int) -> np.ndarray:
        """Rows of the transitions that were added last, (count, width), the newest at the end."""
        return self._rows[np.arange(self._added - count, self._added) % self.capacity]

    def transitions(self, rows: np.ndarray) -> Iterator[Transition]:
        """What rows of the table mean: (n, width), as `last_rows` gave them."""
        parts = zip(*(rows[:, part] for part in self._parts), strict=True)
        for obs, action, reward, next_obs, terminated, first in parts:
            yield Transition(obs, action, reward[0], next_obs, bool(terminated[0]), bool(first[0]))

    def observations(self, rows: np.ndarray) -> np.ndarray:
        """The observations of such rows before their step, (n, obs_dim)."""
        return rows[:, self._parts[0]]

    def restore(self, rows: np.ndarray) -> None:
        """Be as after adding all of `rows`, (n, width), and nothing else; each in its place."""
        self._added = len(rows)
        self._begins = [False] * self.num_envs
        self._lowest, self._highest, self._terminates = math.inf, -math.inf, False
        if len(rows):
            rewards = rows[:, self._reward_column]
            ends = rows[:, self._terminated_column].any()
            self._see(float(rewards.min()), float(rewards.max()), bool(ends))
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

    def follow(self, index: np.ndarray, count: int, gamma: float) -> Steps:
        """Sum up `count` rewards from each transition on, fewer where no more follow.

        What follows ends with the episode, whether that was terminated, truncated or given up, and
        with the newest transition: the value of the observation there stands for the rest.

        Parameters
        ----------
        index : int64, (B,), as `sample_indices` gives it.
        count : at least 1.
        gamma : the discount of a step.
        """
        ahead = np.arange(count) * self.num_envs
        window = (index[:, None] + ahead) % self.capacity
        follows = self._rows[window, self._first_column] == 0.0
        # Beyond the newest are the oldest, or rows without anything.
        follows &= ((index - self._added) % self.capacity)[:, None] + ahead < self.capacity
        follows[:, 0] = True
        follows = np.logical_and.accumulate(follows, axis=1)
        powers = gamma ** np.arange(count + 1)
        steps = follows.sum(axis=1)
        rewards = np.where(follows, self._rows[window, self._reward_column], 0.0)
        return Steps(
            first=tg.from_numpy(index),
            last=tg.from_numpy(window[np.arange(len(index)), steps - 1]),
            reward=tg.from_numpy((rewards @ powers[:count]).astype(np.float32)[:, None]),
            discount=tg.from_numpy(powers[steps].astype(np.float32)[:, None]),
        )

    def gather(self, index: tg.Tensor, gamma: float) -> Batch:
        """The transitions at `index`, an int64 tensor of shape (B,)."""
        rows = tg.take(self._table, index, axis=0)
        obs, action, reward, next_obs, terminated, _ = (rows[:, part] for part in self._parts)
        return Batch(obs, action, reward, next_obs, terminated, gamma)

    def gather_steps(self, steps: Steps) -> Batch:
        """The transitions that `follow` found."""
        obs, action, *_ = self.gather(steps.first, 1.0)
        *_, next_obs, terminated, _ = self.gather(steps.last, 1.0)
        return Batch(obs, action, steps.reward, next_obs, terminated, steps.discount)

    def _not_finite(self) -> UsageError:
        """Name the first of the incoming numbers that float32 cannot hold."""
        for env, parts in enumerate(self._incoming_parts):
            for name, part in zip(Transition.__annotations__, parts, strict=True):
                for n, number in enumerate(part.tolist()):
                    if not abs(number) <= _LARGEST:
                        place = name if name == "reward" else f"{name}[{n}]"
                        whose = f" of environment {env}" if self.num_envs > 1 else ""
                        return UsageError(
                            f"{place}{whose} is {number}, which is not a finite float32"
                        )
        raise AssertionError("every number is finite")


@lru_cache(maxsize=1)  # asked for at each update, and seldom another one
def _value_bounds(
    lowest: float, highest: float, terminates: bool, gamma: float
) -> tuple[float, float]:
    horizon = 1.0 / (1.0 - gamma) if gamma < 1.0 else math.inf

    def furthest(reward: float, outwards: bool) -> float:
        ends_at_once = terminates and not outwards
        return reward if ends_at_once or reward == 0.0 else reward * horizon

    return furthest(lowest, lowest < 0.0), furthest(highest, highest > 0.0)


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
