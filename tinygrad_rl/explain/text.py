"""An explanation as text: a sentence, a row for each tensor, and the lines of code to blame."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from tinygrad_rl.core import Cut, Line
from tinygrad_rl.explain.diagnose import Leaf, Status

if TYPE_CHECKING:
    from tinygrad_rl.explain.explanation import Explanation

_MARKS = dict(zip(Status, "●○■✂·", strict=True))
_COLORS = dict(zip(Status, ("green", "yellow", "cyan", "red", "dim"), strict=True))
_VERBS = {
    Status.REACHED: "reaches",
    Status.ZERO: "is exactly zero at",
    Status.FROZEN: "passes through the frozen",
    Status.BLOCKED: "is cut off from",
    Status.UNUSED: "has nothing to do with",
}


def headline(leaves: Sequence[Leaf]) -> str:
    """The verdict in a sentence."""
    if not leaves:
        return "No tensor that requires a gradient takes part."
    if all(leaf.status is Status.FROZEN for leaf in leaves):
        return "The gradient is not computed: everything is frozen."
    said: dict[str, list[str]] = {}
    for status, verb in _VERBS.items():
        for leaf in (leaf for leaf in leaves if leaf.status is status):
            aside = status is Status.FROZEN and not leaf.passed
            fate = "is not computed for the frozen" if aside else verb
            said.setdefault(fate, []).append(leaf.name)
    parts = [
        f"{verb} {'everything' if len(names) == len(leaves) else _listed(names)}"
        for verb, names in said.items()
    ]
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
    out.print(Text(f"{e.title}(){value}", "bold"))
    out.print(Text(headline(e.leaves)))
    if e.error:
        out.print(Text.assemble(("The engine refused: ", "bold red"), e.error))
    causes = e.causes
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "tensor", "shape", "gradient"):
        table.add_column(column, overflow="fold")
    for leaves in _rows(e.leaves):
        first, style = leaves[0], _COLORS[leaves[0].status]
        shape = "" if len(leaves) > 1 else str(first.shape)
        name = _group_name([leaf.name for leaf in leaves])
        said = Text(_says(first, causes), style)
        table.add_row(Text(_MARKS[first.status], style), name, shape, said)
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
        yield from ([leaf] for leaf in members) if key[1] is Status.REACHED else [members]


def _says(leaf: Leaf, causes: list[Cut]) -> str:
    numbers = " ".join(f"[{causes.index(c) + 1}]" for c in leaf.causes)
    if leaf.status not in (Status.REACHED, Status.ZERO):
        kinds = ", ".join(dict.fromkeys(c.title for c in leaf.causes))
        return f"{'' if leaf.status is Status.FROZEN else 'none: '}{kinds}  {numbers}"
    ways = f"{leaf.paths} paths" if leaf.paths > 1 else ""
    if leaf.blocked_paths:
        ways = f"{leaf.paths} of {leaf.paths + leaf.blocked_paths} paths"
    norm = "exactly zero" if leaf.status is Status.ZERO else f"norm {leaf.norm or 0:.4g}"
    if leaf.norm is None:
        norm = "a path, but the engine refused to go it"
    return ", ".join(p for p in (norm, ways) if p) + (f"  {numbers}" if numbers else "")


def _footnotes(e: Explanation, causes: list[Cut], width: int) -> Iterator[str]:
    if causes:
        yield ""
        yield "Where it stops"
    for i, c in enumerate(causes, 1):
        yield f" [{i}] {c.title}: {c.detail}"
        if c.line.number:
            yield _code(c.line, width)
    uses: dict[Line, dict[str, None]] = {}
    for leaf in e.leaves:
        for use in leaf.uses:
            uses.setdefault(use.line, {})[leaf.name] = None
    if uses:
        yield ""
        yield "Where it comes in"
    for line in sorted(uses):
        yield _code(line, width)
        yield _clipped(f"         to {_listed(list(uses[line]))}", width)
    if e.data:
        yield ""
        yield _clipped("Data (never had the flag): " + ", ".join(e.data), width)


def _code(line: Line, width: int) -> str:
    return _clipped(f"     {line}  {line.code}", width)


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
