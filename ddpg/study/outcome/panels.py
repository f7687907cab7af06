"""The drawings that a study's picture and its page are made of, each into axes of the caller.

Settings have the colors of their place among those that are drawn, and their letters.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter, StrMethodFormatter

from ddpg.errors import UsageError, counted
from ddpg.run.look.curves import LearningCurve, make_curves
from ddpg.run.look.picture import COLORS, draw_band, draw_curve, tidy, what
from ddpg.run.look.saved import SavedRun
from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.summary import Summary
from ddpg.study.outcome.words import letter
from ddpg.study.results import Result

MOST_DRAWN = len(COLORS)
"""Of more settings the best are drawn, as many as there are colors."""


def drawn(summary: Summary) -> list[int]:
    """The settings that are drawn, in their order."""
    return sorted(summary.ranking[:MOST_DRAWN])


def is_compared(summary: Summary) -> bool:
    """Whether there are profiles and probabilities to draw beside learning curves."""
    return sum(summary.profiles[i] is not None for i in drawn(summary)) > 1


def said_of_curves(summary: Summary) -> str:
    """What the lines of an environment are, and of which settings."""
    what = "mean over runs, with its 95 % bootstrap interval"
    if len(summary.settings) > MOST_DRAWN:
        return f"The best {MOST_DRAWN} of {counted(len(summary.settings), 'setting')}: {what}"
    return what.capitalize()


def draw_environment(axes: Axes, summary: Summary, env_id: str) -> None:
    """A learning curve for each setting, over the runs that neither failed nor diverged."""
    curves = []
    for place, setting in enumerate(drawn(summary)):
        curve = _learning_curve(summary.outcomes[env_id, setting].runs)
        if curve is not None:
            draw_curve(axes, curve, place)
            curves.append(curve)
    tidy(axes)
    axes.set_title(plain(env_id))
    if not curves:
        _say(axes, "no run has come far enough yet")
        return
    axes.set(xlabel="environment steps", ylabel=what(curves))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


def _learning_curve(runs: Sequence[Result]) -> LearningCurve | None:
    """Of the runs so far; None if there is no step that all of them have come to."""
    saved = [
        SavedRun(Path(run.run), run.setting, run.episodes, run.evaluations)
        for run in runs
        if run.state in ("finished", "unfinished") and (run.episodes or run.evaluations)
    ]
    try:
        return make_curves({"": saved}, "mean", lambda text: None)[0] if saved else None
    except UsageError:
        return None


def draw_profiles(axes: Axes, summary: Summary) -> None:
    """The share of each setting's runs above a score, over that score."""
    for place, setting in enumerate(drawn(summary)):
        profile = summary.profiles[setting]
        if profile is not None:
            draw_band(axes, profile.thresholds, (profile.share, profile.low, profile.high), place)
    tidy(axes)
    scale = "score, from 0 (lowest run) to 1 (highest)" if summary.overall else "score"
    axes.set(title="Performance profiles", xlabel=scale, ylabel="runs with a higher score")
    axes.set_ylim(-0.02, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(4))  # by default it takes labels for three digits long
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def draw_improvements(axes: Axes, summary: Summary) -> None:
    """For each pair, how probable it is that a run of the one is better than one of the other."""
    places = {setting: place for place, setting in enumerate(drawn(summary))}
    rows = shown_pairs(summary)
    band: dict[str, Any] = {"linewidth": 6, "alpha": 0.3, "solid_capstyle": "butt"}
    for height, (x, _, found) in enumerate(rows):
        color = COLORS[places[x]]
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [height] * 2, **band, color=color)
        axes.plot([found.value], [height], "o", color=color)
    axes.axvline(0.5, color="black", linewidth=1)
    tidy(axes)
    axes.set_yticks(range(len(rows)), [f"{letter(x)} over {letter(y)}" for x, y, _ in rows])
    axes.set(title="Is the one better than the other?", xlim=(-0.02, 1.02))
    axes.set(xlabel="probability that its run has the higher score", ylim=(-0.6, len(rows) - 0.4))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_xticks((0, 0.25, 0.5, 0.75, 1))


def shown_pairs(summary: Summary) -> list[tuple[int, int, Estimate]]:
    """The pairs that are drawn: of two directions that in which the first is likely the better."""
    settings, found = drawn(summary), summary.improvements
    rows = [(x, y, found[x, y]) for x, y in found if x in settings and y in settings]
    rows = [row for row in rows if (row[1], row[0]) not in found or _is_first(*row)]
    return sorted(rows, key=lambda row: row[2].value)


def _is_first(x: int, y: int, x_over_y: Estimate) -> bool:
    return x_over_y.value > 0.5 or (x_over_y.value == 0.5 and x < y)


def _say(axes: Axes, text: str) -> None:
    axes.set(xticks=(), yticks=())
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="#555555")


def plain(text: str) -> str:
    """For matplotlib, which takes dollars for mathematics."""
    return text.replace("$", r"\$")
