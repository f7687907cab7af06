"""Pictures of runs, drawn into files; no window, no touch of the caller's matplotlib state."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ddpg.run.files import write_atomically

BLUE, GREY, GREEN, RED = "#1f5fa8", "#9a9a9a", "#2b7a3f", "#c0392b"

_DPI = 130


def save_learning_curve(
    path: Path, episodes: Sequence[Mapping[str, float]], evaluations: Sequence[Mapping[str, float]]
) -> None:
    """Returns over environment steps: training episodes as dots, evaluations as a line.

    Parameters
    ----------
    path : the PNG file.
    episodes : rows with `step` and `return`.
    evaluations : rows with `step`, `mean`, `std`, `min` and `max`.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(
        [row["step"] for row in episodes],
        [row["return"] for row in episodes],
        "o",
        markersize=3,
        color=GREY,
        label="training episode (with noise)",
    )
    if evaluations:
        steps = [row["step"] for row in evaluations]
        axes.fill_between(
            steps,
            [row["min"] for row in evaluations],
            [row["max"] for row in evaluations],
            color=BLUE,
            alpha=0.15,
            linewidth=0,
            label="evaluation, worst to best",
        )
        means = [row["mean"] for row in evaluations]
        axes.plot(steps, means, "o-", markersize=4, color=BLUE, label="evaluation, mean")
    axes.set(xlabel="environment steps", ylabel="return")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", framealpha=0.9)
    save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write `figure` as PNG; the same drawing gives the same bytes."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(_DPI)
    write_atomically(path, lambda beside: canvas.print_png(beside))
