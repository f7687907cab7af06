"""The generated code as a terminal shows it: three cases merged into one text, with their costs.

print_source([compile_case(case, Size(), seed=0) for case in COMPILED.values()], console)
"""

import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpg.compare.source import GROUPS, CompiledCase, MergedLine, merge_code, merge_group

SIDE_BY_SIDE = 110
"""Narrower terminals get one merged text with a mark for each case."""
_PRESENT, _ABSENT = "■", "·"


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
