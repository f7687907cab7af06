"""The comparison as its reader gets it: tables, a picture, a JSON object, merged code."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
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

from ddpg.compare.measure import Measurement, Size
from ddpg.compare.source import GROUPS, CompiledCase, MergedLine, merge_code, merge_group
from ddpg.compare.training import ENV_ID, Curve
from ddpg.errors import UsageError
from ddpg.run.machine import check_writable
from ddpg.run.plots import BLUE, GREY, RED, save

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "frozen": {"color": BLUE, "linestyle": "-", "linewidth": 2},
    "blocked": {"color": GREY, "linestyle": "--", "linewidth": 2},
    "joint": {"color": RED, "linestyle": "-.", "linewidth": 2},
}
"""How the curve of each training run is drawn, wherever it is."""

IMPOSSIBLE = "impossible: no reward is above 0"
"""Of values above 0."""
SIDE_BY_SIDE = 110
"""Narrower terminals get one merged text with a mark for each case."""
_PRESENT, _ABSENT = "■", "·"


def titled_table(title: str) -> Table:
    """An empty table with its title above it, as the comparison's tables are."""
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))


def print_table(rows: Sequence[Measurement], size: Size, console: Console) -> None:
    """One line per case; below, what each of them does and what it had to say."""
    table = titled_table(f"One actor update, {size}")
    table.add_column("case", no_wrap=True)
    first = ("actor\ngradient", "against\nfrozen", "critic\ngrads")
    for header in (*first, "critic\nmoved", "backward\nMFLOP", "update\nms"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row.name, *row.cells())
    console.print(table)
    for row in rows:
        warning = f"\n→ {row.warning}" if row.warning else ""
        explanation = f"\n∇ {row.explanation}" if row.explanation else ""
        text = Text.assemble(
            (f"{row.name}: ", "bold"), row.meaning, (explanation, "dim"), (warning, "italic")
        )
        console.print(Padding(text, (0, 0, 0, 1)))
    console.print()


def print_training(curves: Mapping[str, Curve], console: Console) -> None:
    """The last return and the last mean Q of each variant."""
    table = titled_table(f"Training on {ENV_ID}, where no Q above 0 can be true")
    table.add_column("variant", min_width=24)
    for header in ("steps", "return", "updates", "mean Q", "can be true"):
        table.add_column(header, justify="right")
    for name, curve in curves.items():
        policy = f"{curve.steps[-1]:,}", f"{curve.returns[-1]:,.0f}"
        q = curve.mean_q[-1]
        belief = f"{curve.updates[-1]:,}", f"{q:,.1f}", "yes" if q <= 0 else "no"
        table.add_row(name, *policy, *belief)
    console.print(table)


def as_json(
    rows: Sequence[Measurement], curves: Mapping[str, Curve], size: Size, seed: int, picture: Path
) -> dict[str, Any]:
    """All numbers of the comparison, of JSON's types."""
    return {
        "seed": seed,
        "size": asdict(size),
        "cases": [asdict(row) for row in rows],
        "training": {
            "env_id": ENV_ID,
            "variants": {name: asdict(curve) for name, curve in curves.items()},
        },
        "picture": str(picture),
    }


def check_picture(path: Path) -> None:
    """See that a picture can be written there, before the work.

    Raises
    ------
    UsageError : if it is a folder, lies in none, is called other than a PNG, or the system refuses.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --picture takes a file")
    if path.suffix.lower() != ".png":
        raise UsageError(f"the picture is a PNG: call it {path.stem}.png, not {path.name}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the picture")
    check_writable(path.parent)


def save_picture(curves: Mapping[str, Curve], path: Path) -> None:
    """Returns on the left, mean Q against its bound on the right."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, curve in curves.items():
        left.plot(curve.steps, curve.returns, **LOOKS[name], label=name)
        right.plot(curve.updates, curve.mean_q, **LOOKS[name], label=name)
    left.set(title="What the policy earns", xlabel="environment steps", ylabel="mean return")
    right.set(title="What the critic believes", xlabel="updates", ylabel="mean Q(s, mu(s))")
    for axes in (left, right):
        axes.grid(alpha=0.25)
    left.legend(loc="best")
    shade_above_0(right, IMPOSSIBLE)
    save(figure, path)


def shade_above_0(axes: Axes, text: str) -> None:
    """Mark all that is above 0, and say at the top what that means."""
    bottom, top = axes.get_ylim()
    top = max(top, 0) + 0.12 * (top - bottom)  # room for the text
    axes.axhspan(0, top, color=RED, alpha=0.08, linewidth=0)
    axes.axhline(0, color="black", linewidth=1)
    axes.set_ylim(bottom, top)
    axes.text(0.02, 0.98, text, transform=axes.transAxes, verticalalignment="top", color=RED)


def print_source(steps: Sequence[CompiledCase], console: Console) -> None:
    """The generated code, then its operations in groups with their costs, then the sums."""
    console.print(Text("The generated code of the backward pass", "bold"))
    if any("last_" in line for step in steps for line in step.code):
        console.print("(first_ to last_: the rows of one of the threads that share the work)")
    _print_merged(merge_code(steps), steps, console)
    for group, title in GROUPS.items():
        console.print(Text(f"\nThe gradient runs {title}", "bold"))
        lines = merge_group(steps, group)
        if console.width >= SIDE_BY_SIDE:
            _print_side_by_side(lines, steps, group, console)
        else:
            _print_merged(lines, steps, console)
            for step in steps:
                console.print(f"{step.name:>12}: {cost_text(step, group)}", highlight=False)
    console.print()
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("whole backward pass, MFLOP")
    for step in steps:
        table.add_column(step.name, justify="right")
    table.add_row("as autograd runs it", *(f"{step.recorded_flops / 1e6:.2f}" for step in steps))
    # What a compiler can see: of dQ/dinput only the columns of the action are asked for.
    table.add_row("compiled", *(f"{step.flops / 1e6:.2f}" for step in steps))
    console.print(table)


def cost_text(step: CompiledCase, group: str) -> str:
    """`33.55 MFLOP, 0.52 MB`, or that there is nothing."""
    flops, nbytes = step.cost(group)
    return f"{flops / 1e6:.2f} MFLOP, {nbytes / 1e6:.2f} MB" if nbytes else "nothing"


def _print_merged(
    lines: Iterable[MergedLine | None], steps: Sequence[CompiledCase], console: Console
) -> None:
    for n, step in enumerate(steps):
        console.print(Text(" " + "│ " * n + "┌ " + step.name, "dim"))
    for line in lines:
        if line is None:
            console.print()
            continue
        marks = " ".join(_PRESENT if found else _ABSENT for found in line.found_in)
        for n, part in enumerate(_wrapped(line.text, console.width - len(marks) - 3)):
            gutter = marks if n == 0 else " " * len(marks)
            console.print(Text(f" {gutter}  {part}", _style(line)))


def _print_side_by_side(
    lines: Sequence[MergedLine], steps: Sequence[CompiledCase], group: str, console: Console
) -> None:
    width = console.width // len(steps) - 3
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold")
    for step in steps:
        table.add_column(f"{step.name}: {cost_text(step, group)}", width=width)
    for line in lines:
        text = Text("\n".join(_wrapped(line.text, width)), _style(line))
        table.add_row(*(text if found else Text(_ABSENT, "dim") for found in line.found_in))
    console.print(table)


def _wrapped(text: str, width: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, width, subsequent_indent=indent + "    ", drop_whitespace=True)


def _style(line: MergedLine) -> str:
    if all(line.found_in):
        return ""
    return "yellow" if not line.found_in[0] else "cyan"
