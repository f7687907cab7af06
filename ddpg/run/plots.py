"""Pictures of runs, drawn into files; no window, no touch of the caller's matplotlib state."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinygrad_rl import files

BLUE, GREY, RED = "#1f5fa8", "#9a9a9a", "#c0392b"

_LARGE = 1000.0
"""Percent of error; where there is more, the axis is linear to a tenth of it only, and logarithmic
beyond."""
_Rows = Sequence[Mapping[str, float]]


def save_learning_curve(path: Path, episodes: _Rows, evaluations: _Rows) -> None:
    """Write `learning_curve` of these rows as PNG."""
    save(learning_curve(episodes, evaluations), path)


def learning_curve(episodes: _Rows, evaluations: _Rows) -> Figure:
    """Draw returns over environment steps, and below them how far Q was off in the evaluations.

    The rows are those of the run's tables. Without evaluations there is nothing below.
    """
    if evaluations:
        figure = Figure(figsize=(7, 6.5), layout="constrained")
        above, below, lowest = figure.subplots(3, height_ratios=(4, 1.6, 0.9), sharex=True)
        _draw_returns(above, episodes, evaluations)
        _draw_q_error(below, evaluations)
        _draw_q_rank(lowest, evaluations)
    else:
        figure = Figure(figsize=(7, 4), layout="constrained")
        lowest = figure.subplots()
        _draw_returns(lowest, episodes, evaluations)
    lowest.set_xlabel("environment steps")
    return figure


def _draw_returns(axes: Axes, episodes: _Rows, evaluations: _Rows) -> None:
    """Training episodes as dots, evaluations as a line."""
    steps, returns = _columns(episodes, "step", "return")
    axes.plot(steps, returns, "o", markersize=3, color=GREY, label="training episode (with noise)")
    if evaluations:
        steps, low, high, mean = _columns(evaluations, "step", "min", "max", "mean")
        shade: dict[str, Any] = {"color": BLUE, "alpha": 0.15, "linewidth": 0}
        axes.fill_between(steps, low, high, **shade, label="evaluation, worst to best")
        axes.plot(steps, mean, "o-", markersize=4, color=BLUE, label="evaluation, mean")
    axes.set_ylabel("return")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", framealpha=0.9)


def _draw_q_error(axes: Axes, evaluations: _Rows) -> None:
    """The bias as a line, one standard deviation to both sides as a band."""
    steps, bias, spread = map(np.array, _columns(evaluations, "step", "q_bias", "q_spread"))
    bias, spread = (100 * np.where(np.isfinite(part), part, np.nan) for part in (bias, spread))
    low, high = bias - spread, bias + spread
    band: dict[str, Any] = {"color": RED, "alpha": 0.15, "linewidth": 0}
    axes.fill_between(steps, low, high, **band, label="spread over states")
    axes.plot(steps, bias, "o-", markersize=4, color=RED, label="mean over states")
    axes.axhline(0.0, color="black", linewidth=0.8)
    if (np.abs([low, high]) > _LARGE).any():
        axes.set_yscale("symlog", linthresh=_LARGE / 10)
    axes.yaxis.set_major_formatter(_percent)
    axes.set_ylabel("Q too high by")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", ncols=2, framealpha=0.9)


def _percent(value: float, _place: float) -> str:
    if value == 0.0:
        return "0 %"
    text = f"{value:+,.0f} %" if abs(value) < 1e5 else f"{value:+.0e} %"
    return text.replace("-", "−")  # as matplotlib writes it


def _draw_q_rank(axes: Axes, evaluations: _Rows) -> None:
    steps, rank = _columns(evaluations, "step", "q_rank")
    axes.plot(steps, rank, "o-", markersize=4, color=RED)
    axes.set(ylim=(-1.1, 1.1), yticks=(-1, 0, 1), ylabel="Q's rank\ncorrelation")
    axes.grid(alpha=0.25)


def _columns(rows: _Rows, *names: str) -> list[list[float]]:
    return [[row[name] for row in rows] for name in names]


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG; the same drawing gives the same bytes."""
    files.write_atomically(path, as_png(figure))


def as_png(figure: Figure) -> bytes:
    """The picture as PNG, 130 pixels to an inch."""
    canvas, png = FigureCanvasAgg(figure), io.BytesIO()
    figure.set_dpi(130)
    canvas.print_png(png)
    return png.getvalue()
