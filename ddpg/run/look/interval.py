"""What several runs come to: their mean or IQM, and how sure it is.

    middle(returns, "iqm")                                        # returns: (runs, ...)
    low, high = bootstrap([returns], lambda x, axis: x.mean(axis))

SciPy is an extra, for which the commands that come here have asked.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

Statistic = Literal["mean", "iqm"]

RESAMPLES, LEVEL = 2000, 0.95
_AT_ONCE = 2_000_000
"""Numbers that are drawn before the next ones are: many runs fit into memory, too."""


def middle(values: np.ndarray, statistic: Statistic, axis: int = 0) -> Any:
    """The mean or the IQM along an axis.

    Parameters
    ----------
    statistic : "iqm" is the mean without the lowest and the highest quarter (Agarwal et al. 2021,
        https://arxiv.org/abs/2108.13264), of which no more values are left out than are whole; of
        up to three values that is the mean.
    """
    if statistic == "mean":
        return values.mean(axis=axis)
    from scipy import stats

    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap(
    samples: Sequence[np.ndarray], statistic: Callable[..., Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the 95 % percentile bootstrap interval of a statistic (Efron 1979).

    Each sample is drawn from by itself, with replacement (a stratified bootstrap), by a generator
    of its own seed: same samples, same interval.

    Parameters
    ----------
    samples : runs along the first axis, two or more in each; they are drawn whole.
    statistic : called with samples in their order and an `axis` of theirs, which it takes away.
    """
    from scipy import stats

    found = stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, _AT_ONCE // sum(sample.size for sample in samples)),
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        random_state=np.random.default_rng(0),  # the name that every scipy from 1.13 on takes
    ).confidence_interval
    return found.low, found.high
