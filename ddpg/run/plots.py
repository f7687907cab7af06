"""Pictures of runs, drawn into files; no window, no touch of the caller's matplotlib state."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinygrad_rl import files

BLUE, GREY, RED = "#1f5fa8", "#9a9a9a", "#c0392b"


def save_learning_curve(
    path: Path, episodes: Sequence[Mapping[str, float]], evaluations: Sequence[Mapping[str, float]]
) -> None:
    """Draw returns over environment steps: training episodes as dots, evaluations as a line.

    The rows are those of the run's tables.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    steps, returns = _columns(episodes, "step", "return")
    axes.plot(steps, returns, "o", markersize=3, color=GREY, label="training episode (with noise)")
    if evaluations:
        steps, low, high, mean = _columns(evaluations, "step", "min", "max", "mean")
        shade: dict[str, Any] = {"color": BLUE, "alpha": 0.15, "linewidth": 0}
        axes.fill_between(steps, low, high, **shade, label="evaluation, worst to best")
        axes.plot(steps, mean, "o-", markersize=4, color=BLUE, label="evaluation, mean")
    axes.set(xlabel="environment steps", ylabel="return")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", framealpha=0.9)
    save(figure, path)


def _columns(rows: Sequence[Mapping[str, float]], *names: str) -> list[list[float]]:
    return [[row[name] for row in rows] for name in names]


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG; the same drawing gives the same bytes."""
    canvas, png = FigureCanvasAgg(figure), io.BytesIO()
    figure.set_dpi(130)
    canvas.print_png(png)
    files.write_atomically(path, png.getvalue())
