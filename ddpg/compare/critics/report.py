"""The second lesson as a page: `render(runs, costs, size, seeds)` is its HTML.

The text is in the template `page.html` beside this file; here are its numbers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from html import escape

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpg.compare.critics import show, summary
from ddpg.compare.critics.cost import Cost
from ddpg.compare.critics.show import Runs
from ddpg.compare.critics.summary import Quantity, written
from ddpg.compare.critics.training import Course
from ddpg.compare.critics.variants import COMMON, VARIANTS, Variant
from ddpg.compare.measure import Size
from ddpg.compare.report.curves import Band, interval
from ddpg.compare.report.folder import MARK
from ddpg.compare.training import ENV_ID
from ddpg.config import DDPGConfig
from ddpg.errors import counted
from ddpg.run.look.html.parts import fill, prose, table
from ddpg.run.look.html.svg import as_svg

_VALUES: Mapping[str, Quantity] = {
    "Q claims": summary.CLAIMED,
    "comes out": summary.REAL,
    "gap": summary.GAP,
    "gap at random actions": summary.GAP_AT_RANDOM,
    "flattered": summary.FLATTERED,
    "flattered by the second critic": summary.FLATTERED_BY_SECOND,
}
_ADVANTAGES: Mapping[str, Quantity] = {
    "better than random, says Q": summary.PROMISED,
    "better than random, in truth": summary.KEPT,
}
_SLOPES: Mapping[str, Quantity] = {
    "correlation of Q with the truth": summary.CORRELATION,
    "cosine of the slopes": summary.COSINE,
    "the same at random actions": summary.COSINE_AT_RANDOM,
    "right side": summary.RIGHT_SIDE,
}


def render(runs: Runs, costs: Mapping[str, Cost], size: Size, seeds: Sequence[int]) -> str:
    """The whole page."""
    courses = next(iter(runs.values()))
    return fill(
        "ddpg.compare.critics",
        mark=MARK,
        env=ENV_ID,
        seeds=counted(len(seeds), "seed"),
        steps=f"{courses[0].steps[-1]:,}",
        size=size,
        settings=_settings(),
        seen="\n".join(_seen(variant, runs[variant.name]) for variant in VARIANTS),
        gap=_svg(show.draw_gap, runs, "gap", "Q minus the truth over environment steps"),
        flattery=_svg(show.draw_flattery, runs, "flattery", "How often Q flatters the actor"),
        slope=_svg(show.draw_cosine, runs, "slope", "Cosine of the slopes over environment steps"),
        returns=_svg(show.draw_returns, runs, "returns", "Return over environment steps"),
        values=_table(runs, _VALUES, "What Q claims, and what is true"),
        advantages=_table(runs, _ADVANTAGES, "The actor's action against a random one"),
        slopes=_table(runs, _SLOPES, "Values and slopes against the truth"),
        outcomes=_outcomes(runs),
        costs=_costs(costs),
    )


def _seen(variant: Variant, courses: Sequence[Course]) -> str:
    return (
        f"<div><h3>{escape(variant.name)}</h3>\n"
        f"<p>{prose(variant.meaning)} {escape(summary.sentence(courses))}</p></div>"
    )


def _settings() -> str:
    default = asdict(DDPGConfig())
    changed = {n: v for n, v in asdict(COMMON).items() if v != default[n]}
    return ", ".join(f"<code>{escape(name)}</code> {value}" for name, value in changed.items())


def _svg(draw: Callable[[Axes, Runs], None], runs: Runs, name: str, title: str) -> str:
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    axes = figure.subplots()
    draw(axes, runs)
    if name == "gap":  # one legend for all
        axes.legend(loc="best", frameon=False)
    return as_svg(figure, name, title)


def _table(runs: Runs, columns: Mapping[str, Quantity], caption: str) -> str:
    body = [
        [escape(name), *(_with_interval(q.later(courses), q.shape) for q in columns.values())]
        for name, courses in runs.items()
    ]
    return table(("critic", *columns), body, caption)


def _with_interval(band: Band, shape: str) -> str:
    mean, low, high = (written(x[0], shape).replace("-", "−") for x in band)
    return mean if mean == "−" else f"{mean} <small>({low} to {high})</small>"


def _outcomes(runs: Runs) -> str:
    body = [
        [escape(name), interval(summary.last_return(courses))] for name, courses in runs.items()
    ]
    return table(("critic", "return at the end"), body, "What the policies earn")


def _costs(costs: Mapping[str, Cost]) -> str:
    first, *_ = costs.values()
    body = [
        [
            *(escape(name), f"{cost.flops / 1e6:.1f}", f"{cost.flops / first.flops:.2f}"),
            *(f"{cost.milliseconds:.2f}", f"{cost.milliseconds / first.milliseconds:.2f}"),
        ]
        for name, cost in costs.items()
    ]
    return table(("critic", "MFLOP", "times plain", "ms", "times plain"), body, "One update")
