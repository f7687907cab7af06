"""A study as one picture: learning curves in each environment, and how settings compare."""

import itertools
import math
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ddpg.run.look.picture import look
from ddpg.run.plots import save
from ddpg.study.outcome.panels import (
    draw_environment,
    draw_improvements,
    draw_profiles,
    drawn,
    is_compared,
    plain,
    said_of_curves,
    shown_pairs,
)
from ddpg.study.outcome.summary import Summary
from ddpg.study.outcome.words import letter

PICTURE = "study.png"

_WIDTH, _HEIGHT, _LINE = 3.9, 3.1, 0.2
"""Of a panel, and the height of a line of text, in inches."""
_LETTERS = 13
"""Of the legend, to an inch."""


def save_picture(summary: Summary, path: Path) -> None:
    """Write `picture` of it as PNG; the same runs give the same bytes."""
    save(picture(summary), path)


def picture(summary: Summary) -> Figure:
    """Draw all of it."""
    columns = _columns(len(summary.env_ids))
    rows = math.ceil(len(summary.env_ids) / columns)
    heights = [rows * _HEIGHT]
    if is_compared(summary):
        heights.append(max(_HEIGHT, 1.0 + _LINE * len(shown_pairs(summary))))
    width = max(columns, 2) * _WIDTH
    legend = _legend(summary, round(width * _LETTERS))
    across = max(1, round(width * _LETTERS) // (max(map(len, legend), default=1) + 8))
    lines = sum(label.count("\n") + 1 for label in legend[::across])
    size = width, sum(heights) + _LINE * lines + 0.4
    figure = Figure(figsize=size, layout="constrained")
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    _draw_environments(above.subplots(rows, columns, squeeze=False), summary)
    for part in below:
        left, right = part.subplots(1, 2)
        draw_profiles(left, summary)
        draw_improvements(right, summary)
    figure.suptitle(said_of_curves(summary), fontsize="small", color="#555555")
    handles = [Line2D([], [], color=look(i)[0], label=label) for i, label in enumerate(legend)]
    if handles:
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": across}
        figure.legend(handles=handles, **place, frameon=False, fontsize="small")
    return figure


def _draw_environments(grid: np.ndarray, summary: Summary) -> None:
    for axes, env_id in itertools.zip_longest(grid.flat, summary.env_ids):
        if env_id is None:
            axes.set_axis_off()
        else:
            draw_environment(axes, summary, env_id)
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")


def _columns(environments: int) -> int:
    """As many panels side by side as leave the fewest places empty."""
    return environments if environments <= 3 else {4: 2, 5: 3, 6: 3}.get(environments, 4)


def _legend(summary: Summary, letters: int) -> list[str]:
    """What the colors stand for; nothing if there is one only."""
    if len(summary.settings) == 1:
        return []
    labels = (f"{letter(i)}  {summary.labels[i]}" for i in drawn(summary))
    return [plain(textwrap.fill(label, letters)) for label in labels]
