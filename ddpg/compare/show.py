"""The comparison as its reader gets it: a table, a picture, a JSON object."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ddpg.compare.cases import Row, Size
from ddpg.compare.training import ENV_ID, Curve
from ddpg.run.plots import BLUE, GREY, RED, save

_COLORS = {"frozen": BLUE, "blocked": GREY, "joint": RED}
_STYLES = {"frozen": "-", "blocked": "--", "joint": "-."}


def print_table(rows: Sequence[Row], size: Size, console: Console) -> None:
    """One line per case; below, what each of them does and what it had to say."""
    hidden = "x".join(map(str, size.hidden))
    table = Table(
        title=f"One actor update, {size.obs_dim}/{size.act_dim}/{hidden}, batch {size.batch_size}",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    table.add_column("case", no_wrap=True)
    for header in (
        "actor\ngradient",
        "against\nfrozen",
        "critic\ngrads",
        "critic\nmoved",
        "backward\nMFLOP",
        "update\nms",
    ):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.name,
            "none" if row.actor_gradient_norm is None else f"{row.actor_gradient_norm:.2e}",
            _difference(row),
            str(len(row.critic_tensors) or "none"),
            f"{row.critic_moved:.0e}" if row.critic_moved else "no",
            f"{row.backward_flops / 1e6:.1f}",
            f"{row.milliseconds:.1f}",
        )
    console.print(table)
    for row in rows:
        remark = f"\n→ {row.remark}" if row.remark else ""
        explanation = f"\n∇ {row.explanation}" if row.explanation else ""
        text = Text.assemble(
            (f"{row.name}: ", "bold"), row.meaning, (explanation, "dim"), (remark, "italic")
        )
        console.print(Padding(text, (0, 0, 0, 1)))
    console.print()


def print_training(curves: Mapping[str, Curve], console: Console) -> None:
    """The last return and the last mean Q of each variant."""
    table = Table(
        title=f"Training on {ENV_ID}, where no Q above 0 can be true",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    table.add_column("variant", min_width=24)
    for header in ("steps", "return", "updates", "mean Q", "can be true"):
        table.add_column(header, justify="right")
    for name, curve in curves.items():
        q = curve.mean_q[-1]
        table.add_row(
            name,
            f"{curve.steps[-1]:,}",
            f"{curve.returns[-1]:,.0f}",
            f"{curve.updates[-1]:,}",
            f"{q:,.1f}",
            "yes" if q <= 0 else "no",
        )
    console.print(table)


def as_json(
    rows: Sequence[Row], curves: Mapping[str, Curve], size: Size, seed: int, picture: Path
) -> dict[str, Any]:
    """All numbers of the comparison, of JSON's types."""
    return {
        "seed": seed,
        "size": size._asdict(),
        "cases": [asdict(row) for row in rows],
        "training": {
            "env_id": ENV_ID,
            "variants": {name: asdict(curve) for name, curve in curves.items()},
        },
        "picture": str(picture),
    }


def save_picture(curves: Mapping[str, Curve], path: Path) -> None:
    """Returns on the left, mean Q against its bound on the right."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, curve in curves.items():
        style = {"color": _COLORS[name], "linestyle": _STYLES[name], "linewidth": 2, "label": name}
        left.plot(curve.steps, curve.returns, **style)
        right.plot(curve.updates, curve.mean_q, **style)
    left.set(title="What the policy earns", xlabel="environment steps", ylabel="mean return")
    right.set(title="What the critic believes", xlabel="updates", ylabel="mean Q(s, mu(s))")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    left.legend(loc="best")
    _shade_the_impossible(right)
    save(figure, path)


def _shade_the_impossible(axes: Axes) -> None:
    bottom, top = axes.get_ylim()
    top = max(top, 0) + 0.12 * (top - bottom)  # room for the text
    axes.axhspan(0, top, color=RED, alpha=0.08, linewidth=0)
    axes.axhline(0, color="black", linewidth=1)
    axes.set_ylim(bottom, top)
    axes.text(
        0.02,
        0.98,
        "impossible: no reward is above 0",
        transform=axes.transAxes,
        verticalalignment="top",
        color=RED,
    )


def _difference(row: Row) -> str:
    if row.difference is None:
        return "-"
    return "same bits" if row.difference == 0 else f"{row.difference:.0e}"
