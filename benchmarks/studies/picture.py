"""The picture of the page: what was earned over the steps, and how wrong Q was meanwhile."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, StrMethodFormatter

from benchmarks.studies.published import curves
from benchmarks.studies.tables import evaluations
from ddpg.run.look.interval import bootstrap
from ddpg.run.look.picture import COLORS, draw_band, tidy
from ddpg.run.plots import save

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "results.png"

_PLACES = {"ddpg": 0, "td3": 1, "published": 6}
_LABELS = ("DDPG", "TD3", "TD3, published, on v1 (ten seeds)")


def save_picture(name: str) -> None:
    """Draw a study: returns above, Q's error below, a column for each environment."""
    save(_picture(name), PICTURE)


def _picture(name: str) -> Figure:
    found = evaluations(name)
    env_ids = list(dict.fromkeys(env_id for env_id, _ in found))
    figure = Figure(figsize=(3.1 * len(env_ids), 5.6), layout="constrained")
    grid = figure.subplots(2, len(env_ids), sharex=True, squeeze=False)
    for (above, below), env_id in zip(grid.T, env_ids, strict=True):
        lines = {"published": curves(env_id)}
        lines |= {algorithm: runs for (env, algorithm), runs in found.items() if env == env_id}
        for label, runs in lines.items():
            _draw(above, runs, "mean", _PLACES[label])
        for label in lines.keys() - {"published"}:
            _draw(below, lines[label], "q_bias", _PLACES[label])
        _finish(above, below, env_id)
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    handles = [
        Line2D([], [], color=COLORS[place], label=label)
        for label, place in zip(_LABELS, _PLACES.values(), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw(axes: Axes, runs: list[list[dict[str, float]]], column: str, place: int) -> None:
    """The mean over the runs of what each evaluation found, with its interval if there is one."""
    steps = np.array([row["step"] for row in runs[0]])
    values = np.array([[row[column] for row in rows] for rows in runs])
    mean = low = high = values.mean(axis=0)
    if len(runs) > 1:
        low, high = bootstrap([values], lambda sample, axis: sample.mean(axis=axis))
    draw_band(axes, steps, (mean, low, high), place)


def _finish(above: Axes, below: Axes, env_id: str) -> None:
    for axes in (above, below):
        tidy(axes)
        axes.set_xlim(left=0)
    above.set(title=env_id, ylabel="mean return of an evaluation")
    above.yaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
    below.axhline(0, color="black", linewidth=1)
    below.set_yscale("symlog", linthresh=1)
    below.set(xlabel="environment steps", ylabel="Q too high by, share of the return")
    below.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:,.0f} %"))
    below.xaxis.set_major_formatter(EngFormatter(sep=""))
