"""One number for each run, and runs of different environments on one scale.

A run's score is the mean return of its last ten evaluations, but of no more than a quarter of them
(rounded up). The best evaluation would be no measure: it is the higher the more often one looks.
And the early ones tell of learning, not of what was learned.
"""

import math
from collections.abc import Sequence

import numpy as np

from ddpg.study.results import Result, Rows

LAST, PART = 10, 4
"""Evaluations that a score is the mean of, and of how many in all it takes one at most."""


def score(result: Result) -> float | None:
    """Mean return of a run's last evaluations; None for one that has none, or did not finish."""
    if result.state != "finished" or not result.evaluations:
        return None
    return last_mean(result.evaluations)


def last_mean(evaluations: Rows) -> float:
    """Mean return of the last evaluations of a run that finished, of one or more."""
    count = min(LAST, math.ceil(len(evaluations) / PART))
    return math.fsum(row["mean"] for row in evaluations[-count:]) / count


def on_common_scale(scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The scores of an environment, from 0 for the lowest of any run to 1 for the highest.

    Where all are the same, nothing tells them apart: that is 0.5.

    Parameters
    ----------
    scores : an array for each setting, which may be empty.
    """
    every = np.concatenate(scores)
    if len(every) == 0 or every.min() == every.max():
        return [np.full(len(runs), 0.5) for runs in scores]
    low, high = every.min(), every.max()
    return [(runs - low) / (high - low) for runs in scores]
