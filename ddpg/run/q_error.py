"""How far Q is off: what it says along whole episodes, against the return that followed.

    compared = [compare(values, rewards, terminated, gamma) for ... in episodes]
    q_error(compared)                  # QError(q_bias=0.12, q_spread=0.07, q_rank=0.95, q_tail=0.0)

Of an episode that terminated, the return from each of its states is known. Of one that was cut off
after `T` steps, nobody saw the rest. Q's own word at the last observation stands for it, and it
counts with the weight `gamma^(T - t)` in the return from step `t`. So only the first half of such
an episode is looked at, and `q_tail` is the mean of those weights. With `gamma` 0.99:

    steps until cut off         1000               200               50
    weights, t = 0 to T/2       0.00004 to 0.0066  0.13 to 0.37      0.61 to 0.78
    for instance                HalfCheetah        Pendulum          Reacher

A Q that is wrong by the same number everywhere is wrong in its word about the rest too, and the
difference shows only `1 - gamma^(T - t)` of that: nearly all of it in HalfCheetah, about three
quarters in Pendulum, less than a third in Reacher. `q_bias / (1 - q_tail)` undoes this for an error
that is the same everywhere, and for no other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

SMALLEST_SCALE = 10.0
"""Errors are shares of the mean return, but of no smaller one than this: it may be near 0."""


class Comparison(NamedTuple):
    """What Q said at states of an episode, and what followed.

    Attributes
    ----------
    said : Q's values, float64, (n,).
    followed : discounted returns from there on, (n,).
    tail : how much of each of them is Q's own word at the end, from 0 to 1, (n,).
    """

    said: np.ndarray
    followed: np.ndarray
    tail: np.ndarray


@dataclass(frozen=True)
class QError:
    """Q's error over the states of some episodes; the names are those of a run's table.

    Attributes
    ----------
    q_bias, q_spread : mean and standard deviation of what Q says too much, divided by the mean
        return, or by `SMALLEST_SCALE` where that is larger (as Chen et al. 2021, section 3.1,
        measure it).
    q_rank : Spearman's correlation of what Q says with what followed: 1 if it puts all states in
        the right order. NaN where one of both is constant.
    q_tail : mean share of the returns that is Q's own word at the end of an episode, from 0 to 1.
    """

    q_bias: float
    q_spread: float
    q_rank: float
    q_tail: float

    def __str__(self) -> str:
        """What to say after the word Q: `12 % too high, rank correlation 0.95`."""
        rank = "" if math.isnan(self.q_rank) else f", rank correlation {self.q_rank:.2f}"
        return f"{_in_words(self.q_bias)}{rank}"


def compare(values: np.ndarray, rewards: np.ndarray, terminated: bool, gamma: float) -> Comparison:
    """Q against the returns: at all states of an episode that terminated, else at its first half.

    Parameters
    ----------
    values : what Q says at each of the episode's observations, the last one included: (T + 1,).
    rewards : the rewards between them, (T,).
    terminated : whether the last observation has no future; if not, the episode was cut off there.
    gamma : the discount of a step.
    """
    length = len(rewards)
    count = length if terminated else length // 2 + 1  # t <= T/2
    left = length - np.arange(count)
    followed, rest = np.empty(length), 0.0 if terminated else float(values[-1])
    for step, reward in zip(range(length - 1, -1, -1), rewards.tolist()[::-1], strict=True):
        followed[step] = rest = reward + gamma * rest
    tail = np.zeros(count) if terminated else gamma ** left.astype(np.float64)
    return Comparison(values[:count].astype(np.float64), followed[:count], tail)


def q_error(compared: Sequence[Comparison]) -> QError:
    """The error over all states of these episodes together; a Q that overflows gives inf or NaN."""
    said, followed, tail = map(np.concatenate, zip(*compared, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        too_much = said - followed
        scale = np.maximum(abs(followed.mean()), SMALLEST_SCALE)
        return QError(
            q_bias=float(too_much.mean() / scale),
            q_spread=float(too_much.std() / scale),
            q_rank=rank_correlation(said, followed),
            q_tail=float(tail.mean()),
        )


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's, of two arrays of shape (n,); NaN where one is constant or has a NaN.

    (`scipy.stats` has it too, and takes longer to import than an evaluation may.)
    """
    if np.isnan(x).any() or np.isnan(y).any():
        return float("nan")
    x, y = (rank - rank.mean() for rank in map(_ranks, (x, y)))
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size > 0.0 else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1; what is equal shares the average."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _in_words(bias: float) -> str:
    if not math.isfinite(bias):
        return "not finite"
    size = 100 * abs(bias)
    if size < 0.5:
        return "right on average"
    number = f"{size:,.0f}" if size < 1e6 else f"{size:.0e}"
    return f"{number} % too {'high' if bias > 0 else 'low'}"
