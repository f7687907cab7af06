"""What the scores of several runs say, as Agarwal et al. 2021 advise, and how sure that is.

    estimate([scores], "iqm")                     # an `Estimate`: value, low, high
    estimate([on_hopper, on_ant], "iqm")          # over both environments, runs drawn in each
    improvement([x_on_hopper], [y_on_hopper])     # how often a run of X beats one of Y
    profile([scores], thresholds)                 # which share of the runs is above a threshold

All of it is of https://arxiv.org/abs/2108.13264. Scores come as one array for each environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ddpg.run.look.interval import Statistic, bootstrap, middle

Scores = Sequence[np.ndarray]
"""Those of one setting: an array for each environment, a number for each run in it."""


@dataclass(frozen=True)
class Estimate:
    """A number that runs come to.

    Attributes
    ----------
    value : of these runs.
    low, high : its 95 % bootstrap interval; None where an environment has a single run.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Profile:
    """Which share of the runs scored above each threshold.

    Attributes
    ----------
    thresholds : ascending, (n,).
    share : from 0 to 1, (n,).
    low, high : the 95 % bootstrap interval at each threshold, (n,) each; None where an environment
        has a single run.
    """

    thresholds: np.ndarray
    share: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None


def estimate(scores: Scores, statistic: Statistic) -> Estimate:
    """The mean or the IQM over all runs of all environments, each run counting the same."""
    value, low, high = _with_interval(scores, partial(_middle, statistic=statistic))
    return Estimate(float(value), _number(low), _number(high))


def improvement(x: Scores, y: Scores) -> Estimate:
    """How probable it is that a run of X scores above a run of Y.

    In each environment that is the share of the pairs of a run of X and one of Y in which X's is
    above, a tie counting half: the U of Mann and Whitney, divided by the number of pairs. The mean
    over environments is taken of it. 0.5 says nothing for either; `improvement(y, x)` is 1 minus
    this.

    Parameters
    ----------
    x, y : of the same environments, not necessarily of as many runs.
    """
    value, low, high = _with_interval([*x, *y], partial(_share_above, count=len(x)))
    return Estimate(float(value), _number(low), _number(high))


def profile(scores: Scores, thresholds: np.ndarray) -> Profile:
    """The performance profile of all runs of all environments: the share of them above each.

    Parameters
    ----------
    scores : on one scale, if there is more than one environment.
    thresholds : ascending, (n,).
    """
    above = [(runs[:, None] > thresholds).astype(np.float64) for runs in scores]
    return Profile(thresholds, *_with_interval(above, partial(_middle, statistic="mean")))


def _with_interval(samples: Scores, statistic: Any) -> tuple[Any, Any, Any]:
    value = statistic(*samples, axis=0)
    if min(map(len, samples)) < 2:
        return value, None, None
    return value, *bootstrap(samples, statistic)


def _middle(*samples: np.ndarray, axis: int, statistic: Statistic) -> Any:
    return middle(np.concatenate(samples, axis=axis), statistic, axis)


def _share_above(*samples: np.ndarray, axis: int, count: int) -> Any:
    from scipy import stats

    shares = [
        # The exact p-value, which nobody asks for, would take most of the time.
        stats.mannwhitneyu(x, y, axis=axis, method="asymptotic").statistic
        / (x.shape[axis] * y.shape[axis])
        for x, y in zip(samples[:count], samples[count:], strict=True)
    ]
    return np.mean(shares, axis=0)


def _number(end: Any) -> float | None:
    return None if end is None else float(end)
