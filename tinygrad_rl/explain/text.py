"""An explanation as text: a sentence, a row for each tensor, and the lines of code to blame."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tinygrad_rl.explain.diagnose import BLOCKED, FROZEN, REACHED, UNUSED, ZERO, Leaf
from tinygrad_rl.explain.record import Cause, Line

if TYPE_CHECKING:
    from tinygrad_rl.explain.explanation import Explanation

_MARKS = {REACHED: "●", ZERO: "○", FROZEN: "■", BLOCKED: "✂", UNUSED: "·"}
_COLORS = {REACHED: "green", ZERO: "yellow", FROZEN: "cyan", BLOCKED: "red", UNUSED: "dim"}


def headline(e: Explanation) -> str:
    """The verdict in a sentence."""
    if not e.leaves:
        return "No tensor that requires a gradient takes part."
    parts = []
    for status, verb in (
        (REACHED, "reaches"),
        (ZERO, "is exactly zero at"),
        (FROZEN, "passes by the frozen"),
        (BLOCKED, "is cut off from"),
        (UNUSED, "has nothing to do with"),
    ):
        names = [leaf.name for leaf in e.leaves if leaf.status == status]
        if names:
            everything = "everything" if len(names) == len(e.leaves) else _listed(names)
            parts.append(f"{verb} {everything}")
    return f"The gradient {'; it '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    """`actor (6 tensors) and scale`."""
    counts = [(top, list(g)) for top, g in groupby(names, key=_top)]
    groups = [g[0] if len(g) == 1 else f"{top} ({len(g)} tensors)" for top, g in counts]
    if len(groups) > 4:
        return f"{len(names)} tensors"
    return groups[0] if len(groups) == 1 else ", ".join(groups[:-1]) + " and " + groups[-1]


def _top(name: str) -> str:
    return name.partition(".")[0]


def _group_name(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    split = [n.split(".") for n in names]
    common = [parts[0] for parts in zip(*split, strict=False) if len(set(parts)) == 1]
    prefix = ".".join(common[: min(len(s) for s in split) - 1]) or _top(names[0])
    return f"{prefix} ({len(names)} tensors)"


def render(e: Explanation, width: int, color: bool) -> str:
    """The whole report."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Console(
        file=io.StringIO(), width=width, force_terminal=color, no_color=not color, highlight=False
    )
    value = "" if e.value is None else f" = {e.value:.6g}"
    out.print(Text.assemble((f"{e.title}(){value}", "bold")))
    out.print(Text(headline(e)))
    if e.error:
        out.print(Text.assemble(("The engine refused: ", "bold red"), e.error))
    causes = e.causes
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
    table.add_column("")
    table.add_column("tensor", overflow="fold")
    table.add_column("shape")
    table.add_column("gradient", overflow="fold")
    for leaves in _rows(e.leaves):
        first = leaves[0]
        style = _COLORS[first.status]
        shape = "" if len(leaves) > 1 else str(first.shape)
        name = first.name if len(leaves) == 1 else _group_name([leaf.name for leaf in leaves])
        table.add_row(
            Text(_MARKS[first.status], style), name, shape, Text(_says(first, causes), style)
        )
    if e.leaves:
        out.print()
        out.print(table)
    for line in _footnotes(e, causes, width):
        out.print(Text(line), soft_wrap=True)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _rows(leaves: Sequence[Leaf]) -> Iterator[list[Leaf]]:
    """Tensors of one module with one and the same fate share a row; a norm has its own."""
    for key, group in groupby(leaves, key=lambda x: (_top(x.name), x.status, x.causes, x.norm)):
        members = list(group)
        if key[1] != REACHED:
            yield members
        else:
            yield from ([leaf] for leaf in members)


def _says(leaf: Leaf, causes: list[Cause]) -> str:
    numbers = " ".join(f"[{causes.index(c) + 1}]" for c in leaf.causes)
    if leaf.status in (REACHED, ZERO):
        ways = (
            f"{leaf.paths} of {leaf.paths + leaf.blocked_paths} paths" if leaf.blocked_paths else ""
        )
        ways = ways or (f"{leaf.paths} paths" if leaf.paths > 1 else "")
        norm = "exactly zero" if leaf.status == ZERO else f"norm {leaf.norm or 0:.4g}"
        if leaf.norm is None:
            norm = "a path, but the engine refused to go it"
        return ", ".join(p for p in (norm, ways) if p) + (f"  {numbers}" if numbers else "")
    kinds = ", ".join(dict.fromkeys(c.kind for c in leaf.causes))
    return f"{kinds}  {numbers}" if leaf.status == FROZEN else f"none: {kinds}  {numbers}"


def _footnotes(e: Explanation, causes: list[Cause], width: int) -> Iterator[str]:
    if causes:
        yield ""
        yield "Where it stops"
    for i, c in enumerate(causes, 1):
        yield f" [{i}] {c.kind}: {c.detail}"
        yield from _code(c.line, width)
    uses: dict[Line, dict[str, None]] = {}
    for leaf in e.leaves:
        for use in leaf.uses:
            uses.setdefault(use.line, {})[leaf.name] = None
    if uses:
        yield ""
        yield "Where it comes in"
    for line in sorted(uses):
        yield from _code(line, width)
        yield _clipped(f"         to {_listed(list(uses[line]))}", width)
    if e.data:
        yield ""
        yield _clipped("Data (never had the flag): " + ", ".join(e.data), width)


def _code(line: Line, width: int) -> Iterator[str]:
    if line.number:
        yield _clipped(f"     {line}  {line.code}", width)


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
