"""Learning curves of several runs as a picture, PNG or SVG."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

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
        color, dashes = COLORS[i % len(COLORS)], DASHES[i // len(COLORS) % len(DASHES)]
        if curve.low is not None and curve.high is not None:
            axes.fill_between(
                curve.steps, curve.low, curve.high, color=color, alpha=0.18, linewidth=0
            )
        mark = "o" if len(curve.steps) <= 30 else ""
        axes.plot(curve.steps, curve.middle, dashes + mark, color=color, ms=3.5, label=label)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(title=title, xlabel="environment steps", ylabel=what(curves))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.grid(alpha=0.25)
    figure.legend(loc="outside lower center", frameon=False, fontsize="small")
    if path.suffix.lower() == ".png":
        save(figure, path)
    else:
        files.write_atomically(path, _svg(figure))


def legend(curve: LearningCurve, statistic: Statistic) -> str:
    """A curve's label, and what it is: `critics 2 (mean of 5 runs, 95 % interval)`."""
    name = {"mean": "mean", "iqm": "IQM"}[statistic]
    several = f"{name} of {len(curve.runs)} runs, 95 % interval"
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
