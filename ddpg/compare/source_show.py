"""The backward passes of `ddpg.compare_source` on a terminal: side by side, or merged."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpg.compare.source import GROUPS, Row, Step, diff

SIDE_BY_SIDE = 110
"""Narrower terminals get one merged text with a mark for each case."""
_PRESENT, _ABSENT = "■", "·"


def print_source(steps: Sequence[Step], console: Console) -> None:
    """The generated code, then its operations in groups with their costs, then the sums."""
    console.print(Text("The generated code of the backward pass", "bold"))
    if any("last_" in line for step in steps for line in step.code):
        console.print("(first_ to last_: the rows of one of the threads that share the work)")
    _print_merged(diff([step.code for step in steps]), steps, console, code=True)
    for group, title in GROUPS.items():
        console.print(Text(f"\nThe gradient runs {title}", "bold"))
        rows = group_rows(steps, group)
        if console.width >= SIDE_BY_SIDE:
            _print_side_by_side(rows, steps, group, console)
        else:
            _print_merged(rows, steps, console)
            for step in steps:
                console.print(f"{step.name:>12}: {cost_text(*step.cost(group))}", highlight=False)
    console.print()
    _print_sums(steps, console)


def group_rows(steps: Sequence[Step], group: str) -> list[Row]:
    """A group's lines, merged."""
    return diff([[line.text for line in step.lines if line.group == group] for step in steps])


def cost_text(flops: int, nbytes: int) -> str:
    """`33.55 MFLOP, 0.52 MB`, or that there is nothing."""
    return f"{flops / 1e6:.2f} MFLOP, {nbytes / 1e6:.2f} MB" if nbytes else "nothing"


def blocks(rows: Sequence[Row]) -> Iterator[Row | None]:
    """The rows of merged code, with a None where the next step's comment begins."""
    inside_comment = True
    for row in rows:
        is_comment = row.text.startswith("#")
        if is_comment and not inside_comment:
            yield None
        inside_comment = is_comment
        yield row


def _print_merged(
    rows: Sequence[Row], steps: Sequence[Step], console: Console, code: bool = False
) -> None:
    names = [step.name for step in steps]
    for n, name in enumerate(names):
        console.print(Text(" " + "│ " * n + "┌ " + name, "dim"))
    for row in blocks(rows) if code else rows:
        if row is None:
            console.print()
            continue
        marks = " ".join(_PRESENT if found else _ABSENT for found in row.found_in)
        wrapped = _wrapped(row.text, console.width - len(marks) - 3)
        for n, part in enumerate(wrapped):
            gutter = marks if n == 0 else " " * len(marks)
            console.print(Text(f" {gutter}  {part}", _style(row)))


def _print_side_by_side(
    rows: Sequence[Row], steps: Sequence[Step], group: str, console: Console
) -> None:
    width = console.width // len(steps) - 3
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="bold")
    for step in steps:
        table.add_column(f"{step.name}: {cost_text(*step.cost(group))}", width=width)
    for row in rows:
        text = Text("\n".join(_wrapped(row.text, width)), _style(row))
        table.add_row(*(text if found else Text(_ABSENT, "dim") for found in row.found_in))
    console.print(table)


def _print_sums(steps: Sequence[Step], console: Console) -> None:
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("whole backward pass, MFLOP")
    for step in steps:
        table.add_column(step.name, justify="right")
    table.add_row("as autograd runs it", *(f"{step.recorded_flops / 1e6:.2f}" for step in steps))
    # What a compiler can see: of dQ/dinput only the columns of the action are wanted.
    table.add_row("compiled", *(f"{step.flops / 1e6:.2f}" for step in steps))
    console.print(table)


def _wrapped(text: str, width: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, width, subsequent_indent=indent + "    ", drop_whitespace=True)


def _style(row: Row) -> str:
    if all(row.found_in):
        return ""
    return "yellow" if not row.found_in[0] else "cyan"
