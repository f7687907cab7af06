"""Learning curves of groups of runs: one line each, and how sure it is.

    curves = make_curves(grouped(runs, tell), "iqm", tell)
    curve.steps, curve.middle, curve.low, curve.high      # an array each

Evaluations make the curve. A group that has none is drawn from its training episodes, which have
noise in them: the mean return of the last ten of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ddpg.errors import UsageError, counted
from ddpg.run.look.interval import Statistic, bootstrap, middle
from ddpg.run.look.saved import Rows, SavedRun, Tell

EPISODES = 10
"""Training episodes of which a point is the mean."""
_POINTS = 200
"""Of a curve of training episodes, which end at other steps in each run."""


@dataclass(frozen=True)
class LearningCurve:
    """A group's return over environment steps.

    Attributes
    ----------
    label : what tells the group from the others; empty if there is no other.
    runs : the names of their folders.
    steps : int64, (n,).
    middle : mean or IQM over the runs, float64, (n,).
    low, high : the 95 % bootstrap interval of `middle`, (n,) each; None for a single run.
    in_training : whether the returns are those of training episodes.
    """

    label: str
    runs: tuple[str, ...]
    steps: np.ndarray
    middle: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    in_training: bool


def make_curves(
    groups: Mapping[str, Sequence[SavedRun]], statistic: Statistic, tell: Tell
) -> list[LearningCurve]:
    """A curve of each group, as far as all of its runs have come.

    Parameters
    ----------
    groups : runs by label, each with a row at least.
    statistic : what the line is, as in `middle`.
    tell : hears what is left out, and why.

    Raises
    ------
    UsageError : if the runs of a group have no step in common yet.
    """
    return [_curve(label, runs, statistic, tell) for label, runs in groups.items()]


def _curve(label: str, runs: Sequence[SavedRun], statistic: Statistic, tell: Tell) -> LearningCurve:
    evaluated = [run for run in runs if run.evaluations]
    for run in runs if evaluated else ():
        if run not in evaluated:
            tell(f"{run.path} is left out: it has no evaluation yet, and others of its kind have")
    runs = evaluated or runs
    shortest = min(runs, key=lambda run: run.steps)
    if shortest.steps < max(run.steps for run in runs):
        tell(f"the last row of {shortest.path} is of step {shortest.steps:,}: its curve ends there")
    if evaluated:
        steps, returns = _evaluations([run.evaluations for run in runs])
    else:
        steps, returns = _episodes([run.episodes for run in runs])
    if len(steps) == 0:
        raise UsageError(
            f"the last row of {shortest.path} is of step {shortest.steps:,}, too early for a curve "
            f"of {counted(len(runs), 'run')}; leave it out"
        )
    low, high = None, None
    if len(runs) > 1:
        low, high = bootstrap([returns], lambda sample, axis: middle(sample, statistic, axis))
    names = tuple(run.path.name for run in runs)
    line = middle(returns, statistic)
    return LearningCurve(label, names, steps, line, low, high, not evaluated)


def _evaluations(tables: Sequence[Rows]) -> tuple[np.ndarray, np.ndarray]:
    """At the steps where every run was evaluated: steps (n,), mean returns (runs, n)."""
    means = [{int(row["step"]): row["mean"] for row in rows} for rows in tables]
    steps = sorted(set.intersection(*map(set, means)))
    return np.array(steps), np.array([[mean[step] for step in steps] for mean in means])


def _episodes(tables: Sequence[Rows]) -> tuple[np.ndarray, np.ndarray]:
    """Means of the last episodes, where every run has some: steps (n,), returns (runs, n)."""
    ends = [np.array([row["step"] for row in rows]) for rows in tables]
    first, last = max(end[0] for end in ends), min(end[-1] for end in ends)
    steps = np.unique(np.concatenate([end[(first <= end) & (end <= last)] for end in ends]))
    if len(steps) > _POINTS:
        steps = steps[np.linspace(0, len(steps) - 1, _POINTS).round().astype(int)]
    returns = [
        _running_means(np.array([row["return"] for row in rows]))[
            np.searchsorted(end, steps, side="right") - 1
        ]
        for end, rows in zip(ends, tables, strict=True)
    ]
    return steps.astype(np.int64), np.array(returns)


def _running_means(values: np.ndarray) -> np.ndarray:
    """Of each value and the nine before it, as far as there are so many."""
    return np.array([values[max(0, i - EPISODES + 1) : i + 1].mean() for i in range(len(values))])
