"""Learning curves of several runs as a picture, PNG or SVG."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from ddpg.errors import counted
from ddpg.run.look.curves import EPISODES, LearningCurve
from ddpg.run.look.interval import Statistic
from ddpg.run.plots import save
from tinygrad_rl import files

ENDINGS = (".png", ".svg")
COLORS = ("#1f5fa8", "#c0392b", "#2e8b57", "#8e5ea2", "#d98e04", "#17a2b8", "#7f7f7f", "#5d4037")
DASHES = ("-", "--", "-.", ":")
"""Each color comes with the first of them, then each with the second, and so on."""
_LEGEND_WIDTH = 84


def save_curves(
    curves: Sequence[LearningCurve], title: str, statistic: Statistic, path: Path
) -> None:
    """Draw lines and their intervals; the same curves give the same bytes.

    Parameters
    ----------
    title : above all, the environment for instance.
    statistic : what the lines are.
    path : its ending, `.png` or `.svg`, says what it becomes.
    """
    labels = [textwrap.fill(legend(curve, statistic), _LEGEND_WIDTH) for curve in curves]
    lines = sum(label.count("\n") + 1 for label in labels)
    figure = Figure(figsize=(7, 4.2 + 0.2 * lines), layout="constrained")
    axes = figure.subplots()
    for i, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        draw_curve(axes, curve, i, label)
    tidy(axes)
    axes.set_xlim(left=0)
    axes.set(title=title, xlabel="environment steps", ylabel=what(curves))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    figure.legend(loc="outside lower center", frameon=False, fontsize="small")
    if path.suffix.lower() == ".png":
        save(figure, path)
    else:
        files.write_atomically(path, _svg(figure))


def draw_curve(axes: Axes, curve: LearningCurve, place: int, label: str = "") -> None:
    """Draw a line and its interval; those of other places look otherwise."""
    mark = "o" if len(curve.steps) <= 30 else ""
    draw_band(axes, curve.steps, (curve.middle, curve.low, curve.high), place, label, mark)


def draw_band(
    axes: Axes,
    x: np.ndarray,
    ys: tuple[np.ndarray, np.ndarray | None, np.ndarray | None],
    place: int,
    label: str = "",
    mark: str = "",
) -> None:
    """Draw a line, and a band around it.

    Parameters
    ----------
    x : (n,).
    ys : middle, low and high, (n,) each; no band where low and high are None.
    place : of the line among others, by which it has its color and its dashes.
    label : for a legend.
    mark : of each point, as matplotlib names it.
    """
    color, dashes = look(place)
    middle, low, high = ys
    if low is not None and high is not None:
        axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    axes.plot(x, middle, dashes + mark, color=color, ms=3.5, label=label)


def look(place: int) -> tuple[str, str]:
    """The color and the dashes of one line among others."""
    return COLORS[place % len(COLORS)], DASHES[place // len(COLORS) % len(DASHES)]


def tidy(axes: Axes) -> None:
    """A light grid, and no frame above and to the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def legend(curve: LearningCurve, statistic: Statistic) -> str:
    """A curve's label, and what it is: `critics 2 (mean of 5 runs, 95 % interval)`."""
    name = {"mean": "mean", "iqm": "IQM"}[statistic]
    several = f"{name} of {counted(len(curve.runs), 'run')}, 95 % interval"
    made = several if len(curve.runs) > 1 else f"one run, {curve.runs[0]}"
    return f"{curve.label} ({made})" if curve.label else made


def what(curves: Sequence[LearningCurve]) -> str:
    """What is drawn upwards."""
    training = f"last {EPISODES} training episodes"
    kinds = {curve.in_training for curve in curves}
    if kinds == {False}:
        return "mean return of an evaluation"
    return f"return, {training}" if kinds == {True} else f"return (evaluation, or {training})"


def _svg(figure: Figure) -> bytes:
    data = io.BytesIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "curves"}):
        figure.savefig(data, format="svg", metadata=nothing)
    return data.getvalue()
