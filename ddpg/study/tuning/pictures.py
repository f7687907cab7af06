"""The drawings of a tuning's page, each into axes of the caller.

Complete trials are dots. Of a pruned one the last evaluation is no score, for it was early: it is a
mark at the lower edge.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from ddpg.config import written
from ddpg.run.look.picture import tidy
from ddpg.run.plots import BLUE, GREY, RED
from ddpg.study.tuning.journal import Trial
from ddpg.study.tuning.space import Choices, Range

_MARKS: Mapping[str, tuple[str, str]] = {"pruned": ("|", GREY), "failed": ("x", RED)}
_SPREAD = 0.25
"""How far dots of one choice are drawn from each other, to both sides."""


def draw_history(axes: Axes, trials: Sequence[Trial]) -> None:
    """Scores in the order of the trials, and the best one so far."""
    complete = _complete(trials)
    numbers, values = [t.number for t in complete], [t.value for t in complete]
    _draw_dots(axes, numbers, values)
    if complete:
        best = np.maximum.accumulate(np.array(values))
        axes.step(numbers, best, where="post", color=BLUE, linewidth=1.2, label="best so far")
    _draw_marks(axes, {t.number: t for t in trials})
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel="score")
    axes.legend(loc="lower right", fontsize="small", framealpha=0.9)


def draw_slice(axes: Axes, trials: Sequence[Trial], name: str, values: Range | Choices) -> None:
    """Scores over the values of one setting, whatever the others were."""
    complete = _complete(trials)
    places = _places(trials, name, values)
    _draw_dots(axes, [places[t.number] for t in complete], [t.value for t in complete])
    _draw_marks(axes, {places[t.number]: t for t in trials})
    if isinstance(values, Choices):
        axes.set_xticks(range(len(values.values)), [written(v) for v in values.values])
        axes.set_xlim(-0.5, len(values.values) - 0.5)
    else:
        axes.set_xscale("log")
        axes.set_xlim(values.low / 1.1, values.high * 1.1)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=name, ylabel="score")


def draw_importance(axes: Axes, importance: Mapping[str, float]) -> None:
    """A bar for each setting, the longest one above."""
    rows = sorted(importance.items(), key=lambda item: item[1])
    names, shares = [name for name, _ in rows], [100.0 * share for _, share in rows]
    bars = axes.barh(names, shares, color=BLUE)
    axes.bar_label(bars, fmt="{:.0f} %", padding=3, fontsize="small")
    tidy(axes)
    axes.set_xlim(0.0, max([*shares, 1.0]) * 1.15)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f} %"))


def _complete(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.state == "complete"]


def _draw_dots(axes: Axes, x: Sequence[float], y: Sequence[Any]) -> None:
    axes.plot(x, y, "o", color=BLUE, markersize=4.5, alpha=0.75, label="complete")
    tidy(axes)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))


def _draw_marks(axes: Axes, by_place: Mapping[float, Trial]) -> None:
    """Trials without a score."""
    shape: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    for state, (mark, color) in _MARKS.items():
        x = [place for place, trial in by_place.items() if trial.state == state]
        if x:
            axes.plot(x, np.full(len(x), 0.02), mark, color=color, label=state, **shape)


def _places(trials: Sequence[Trial], name: str, values: Range | Choices) -> dict[int, float]:
    """Where each trial is drawn; those of one choice beside each other, the earlier ones left."""
    if isinstance(values, Range):
        return {t.number: t.setting[name] for t in trials}
    spread = np.linspace(-_SPREAD, _SPREAD, max(2, len(trials)))
    return {
        t.number: values.values.index(t.setting[name]) + shift
        for t, shift in zip(trials, spread, strict=False)
    }
