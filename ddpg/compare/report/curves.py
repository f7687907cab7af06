"""Learning curves of several seeds: their mean, how sure it is, and a picture of both.

band = bootstrap([curve.returns for curve in runs["frozen"]])
band.mean, band.low, band.high                                # one number per point
svg = draw_returns(runs)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpg.compare.show import IMPOSSIBLE, LOOKS, shade_above_0
from ddpg.compare.training import Curve
from ddpg.run.look.html.parts import number
from ddpg.run.look.html.svg import as_svg

RESAMPLES, LEVEL = 2000, 0.95

Runs = Mapping[str, Sequence[Curve]]
"""The curves of each variant, one per seed."""


class Band(NamedTuple):
    """A mean and its confidence interval, an array of numbers each."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def bootstrap(values: Sequence[Sequence[float]]) -> Band:
    """Mean over the runs at each point, with its 95 % percentile bootstrap interval.

    Runs are drawn whole, with replacement (Efron 1979), from a generator of its own seed: the same
    runs give the same interval. `values` has one sequence per run, of the same length.
    """
    runs = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(0).integers(len(runs), size=(RESAMPLES, len(runs)))
    means = runs[draws].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Band(runs.mean(axis=0), low, high)


def last(runs: Sequence[Curve], what: str) -> Band:
    """Mean and interval, at the end of training, of a curve's "returns" or "mean_q"."""
    return bootstrap([[getattr(curve, what)[-1]] for curve in runs])


def mean_curve(runs: Sequence[Curve]) -> Curve:
    """The mean of several runs, point by point."""
    returns, mean_q = (
        bootstrap([getattr(curve, what) for curve in runs]).mean.tolist()
        for what in ("returns", "mean_q")
    )
    return replace(runs[0], returns=returns, mean_q=mean_q)


def interval(band: Band) -> str:
    """`-160 (-170 to -150)`, of arrays of one number."""
    return f"{number(band.mean[0])} ({number(band.low[0])} to {number(band.high[0])})"


def draw_returns(runs: Runs) -> str:
    """What the policies earn over environment steps, as SVG."""
    figure, axes = _draw(runs, "steps", "returns")
    axes.set(xlabel="environment steps", ylabel="mean return of 10 episodes")
    axes.legend(loc="best", frameon=False)
    return as_svg(figure, "returns", "Return over environment steps: " + _summary(runs, "returns"))


def draw_values(runs: Runs) -> str:
    """What the critics believe over updates, against the bound that no true value exceeds."""
    figure, axes = _draw(runs, "updates", "mean_q")
    shade_above_0(axes, IMPOSSIBLE)
    axes.set(xlabel="updates", ylabel="mean Q(s, mu(s))")
    return as_svg(figure, "values", "Mean Q over updates: " + _summary(runs, "mean_q"))


def _summary(runs: Runs, what: str) -> str:
    ends = [f"{name} {last(curves, what).mean[0]:,.0f}" for name, curves in runs.items()]
    return "in the end " + ", ".join(ends)


def _draw(runs: Runs, where: str, what: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    for name, curves in runs.items():
        x, values = getattr(curves[0], where), [getattr(curve, what) for curve in curves]
        draw_band(axes, x, values, {**LOOKS[name], "label": name})
    return figure, axes


def draw_band(
    axes: Axes, x: Sequence[float], values: Sequence[Sequence[float]], look: Mapping[str, Any]
) -> None:
    """The mean of several runs over `x` as a line, its interval as a band around it.

    Parameters
    ----------
    values : one sequence per run.
    look : of the line, as matplotlib's `plot` takes it; the band has its color.
    """
    band = bootstrap(values)
    axes.grid(alpha=0.25)
    axes.fill_between(x, band.low, band.high, color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(x, band.mean, **look)
