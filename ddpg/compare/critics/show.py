"""The second lesson as its reader gets it: two tables, a picture, a JSON object."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ddpg.compare.critics import summary
from ddpg.compare.critics.cost import Cost
from ddpg.compare.critics.summary import Quantity
from ddpg.compare.critics.training import Course
from ddpg.compare.critics.variants import COMMON, VARIANTS
from ddpg.compare.measure import Size
from ddpg.compare.report.curves import Band, draw_band
from ddpg.compare.show import shade_above_0, titled_table
from ddpg.compare.training import ENV_ID
from ddpg.errors import counted
from ddpg.run.plots import BLUE, RED, save

LOOKS: Mapping[str, Mapping[str, Any]] = {
    variant.name: {"color": color, "linestyle": style, "linewidth": 2}
    for variant, color, style in zip(
        VARIANTS, (RED, BLUE, "#d98c00", "#3a3a3a"), ("-", "-", "--", "-."), strict=True
    )
}
"""How each variant is drawn, wherever it is."""

Runs = Mapping[str, Sequence[Course]]
"""The courses of each variant, one per seed."""

_COLUMNS: Mapping[str, Quantity] = {
    "Q\nclaims": summary.CLAIMED,
    "comes\nout": summary.REAL,
    "gap": summary.GAP,
    "gap at\nrandom": summary.GAP_AT_RANDOM,
    "flat-\ntered": summary.FLATTERED,
    "slope\ncosine": summary.COSINE,
    "right\nside": summary.RIGHT_SIDE,
}
_LEGEND = (
    "gap: what Q claims of the actor's actions minus what comes out; at random: of random actions. "
    "flattered: states where Q errs more in favour of the actor's action than of a random one "
    "(50 % would be chance). slope cosine, right side: of dQ/da with the true derivative."
)


def print_critics(runs: Runs, console: Console) -> None:
    """One line per variant; below, what the columns are, and what is done and seen."""
    seeds = len(next(iter(runs.values())))
    over = "" if seeds == 1 else f" and {counted(seeds, 'seed')}"
    table = titled_table(f"Q on {ENV_ID}, mean over the later half of training{over}")
    table.add_column("critic", no_wrap=True)
    for header in (*_COLUMNS, "last\nreturn"):
        table.add_column(header, justify="right", no_wrap=True)
    for name, courses in runs.items():
        cells = [quantity.text(courses) for quantity in _COLUMNS.values()]
        table.add_row(name, *cells, f"{summary.last_return(courses).mean[0]:,.0f}")
    console.print(table)
    console.print(Padding(Text(_LEGEND, "dim"), (0, 0, 1, 1)))
    for variant in VARIANTS:
        text = Text.assemble(
            (f"{variant.name}: ", "bold"),
            variant.meaning,
            " ",
            summary.sentence(runs[variant.name]),
        )
        console.print(Padding(text, (0, 0, 0, 1)))
    console.print(Text(f"\n{summary.conclusion(runs)}\n", "bold"))


def print_costs(costs: Mapping[str, Cost], size: Size, console: Console) -> None:
    """What an update of each variant costs, and how many times the first one's that is."""
    table = titled_table(f"One update\n({size})")
    table.add_column("critic", min_width=24)
    for header in ("MFLOP", "times", "ms", "times"):
        table.add_column(header, justify="right")
    first, *_ = costs.values()
    for name, cost in costs.items():
        flops, milliseconds = cost.flops / first.flops, cost.milliseconds / first.milliseconds
        table.add_row(
            name,
            *(f"{cost.flops / 1e6:.1f}", f"{flops:.2f}"),
            *(f"{cost.milliseconds:.2f}", f"{milliseconds:.2f}"),
        )
    console.print(table)


def as_json(
    runs: Runs, costs: Mapping[str, Cost], size: Size, seeds: Sequence[int]
) -> dict[str, Any]:
    """All numbers of the second lesson, of JSON's types."""
    return {
        "env_id": ENV_ID,
        "seeds": list(seeds),
        "settings": asdict(COMMON),
        "size": asdict(size),
        "variants": {
            variant.name: {
                "settings": dict(variant.settings),
                "cost": asdict(costs[variant.name]),
                "runs": [asdict(course) for course in runs[variant.name]],
            }
            for variant in VARIANTS
        },
    }


def save_picture(runs: Runs, path: Path) -> None:
    """Four questions: is Q true, does it flatter, is its slope right, what is earned."""
    figure = Figure(figsize=(10, 7.6), layout="constrained")
    (truth, flattery), (slope, earnings) = figure.subplots(2, 2)
    draw_gap(truth, runs)
    draw_flattery(flattery, runs)
    draw_cosine(slope, runs)
    draw_returns(earnings, runs)
    handles, labels = truth.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    save(figure, path)


def draw_gap(axes: Axes, runs: Runs) -> None:
    """How much too high Q is, over training; the truth is 0."""
    _draw(axes, runs, summary.GAP)
    shade_above_0(axes, "Q promises too much")
    axes.text(0.02, 0.02, "Q promises too little", transform=axes.transAxes, color="#555555")
    axes.set(title="Is Q true?", ylabel="Q minus what really comes out")


def draw_flattery(axes: Axes, runs: Runs) -> None:
    """In how many states the actor's action is the flattered one, by each of the critics."""
    for row, (name, courses) in enumerate(runs.items()):
        color = LOOKS[name]["color"]
        _bar(axes, row - 0.18, summary.FLATTERED.later(courses), color, filled=True)
        second = summary.FLATTERED_BY_SECOND.later(courses)
        if not math.isnan(second.mean[0]):
            _bar(axes, row + 0.18, second, color, filled=False)
    axes.axvline(50, color="black", linewidth=1)
    lowest = min(40, 10 * math.floor(axes.dataLim.x0 / 10))
    axes.set_xticks(
        ticks := range(lowest, 101, 10), ["50\nchance" if x == 50 else f"{x}" for x in ticks]
    )
    axes.set_yticks(range(len(runs)), list(runs))
    axes.invert_yaxis()
    axes.set(title="Does Q flatter the actor's choice?", xlim=(lowest, 100))
    axes.set_xlabel("states where Q favours it more than a random action, %")
    axes.grid(alpha=0.25, axis="x")


def draw_cosine(axes: Axes, runs: Runs) -> None:
    """Whether Q's slope points where the true one does, over training."""
    _draw(axes, runs, summary.COSINE)
    axes.set(title="Is its slope right, which is all the actor sees?")
    axes.set(ylabel="cosine of dQ/da with the true one")


def draw_returns(axes: Axes, runs: Runs) -> None:
    """What the policies earn over training."""
    for name, courses in runs.items():
        returns = [course.returns for course in courses]
        draw_band(axes, courses[0].steps, returns, {**LOOKS[name], "label": name})
    axes.set(title="What the policy earns", xlabel="environment steps", ylabel="mean return")


def _draw(axes: Axes, runs: Runs, quantity: Quantity) -> None:
    for name, courses in runs.items():
        look = {**LOOKS[name], "label": name}
        draw_band(axes, courses[0].steps, quantity.over_training(courses), look)
    axes.set_xlabel("environment steps")


def _bar(axes: Axes, y: float, share: Band, color: str, filled: bool) -> None:
    mean, low, high = (100 * x[0] for x in share)
    axes.barh(
        y, mean - 50, left=50, height=0.32, color=color if filled else "none", edgecolor=color
    )
    axes.plot([low, high], [y, y], color="black", linewidth=1)
    text = "" if filled else " second critic"
    axes.text(max(mean, high, 50) + 0.7, y, f"{mean:.0f} %{text}", verticalalignment="center")
