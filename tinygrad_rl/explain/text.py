"""An explanation as text: a sentence, a row for each tensor, and the lines of code to blame."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tinygrad_rl.core import Cut, Line
from tinygrad_rl.explain.diagnose import Leaf, Status, Use
from tinygrad_rl.explain.headline import headline, listed, set_aside, top, wrapped
from tinygrad_rl.spelling import counted

if TYPE_CHECKING:
    from tinygrad_rl.explain.explanation import Explanation

_MARKS = dict(zip(Status, "●○■✂·", strict=True))
_COLORS = dict(zip(Status, ("green", "yellow", "cyan", "red", "dim"), strict=True))


def _group_name(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    split = [n.split(".") for n in names]
    common = [parts[0] for parts in zip(*split, strict=False) if len(set(parts)) == 1]
    prefix = ".".join(common[: min(len(s) for s in split) - 1]) or top(names[0])
    return f"{prefix} ({counted(len(names), 'tensor')})"


_LEAST = 20  # characters of a line of code that are always shown


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
    for line in wrapped(headline(e.leaves), width):
        out.print(Text(line))
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
        mark = _MARKS[Status.FROZEN if set_aside(first) else first.status]
        table.add_row(Text(mark, style), name, shape, said)
    if e.leaves:
        out.print()
        out.print(table)
    for line in _footnotes(e, causes, width):
        out.print(Text(line), soft_wrap=True)
    text = out.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _rows(leaves: Sequence[Leaf]) -> Iterator[list[Leaf]]:
    """Tensors of one module with one and the same fate share a row; a norm has its own."""

    def fate(leaf: Leaf) -> tuple[Any, ...]:
        return top(leaf.name), leaf.status, leaf.causes, leaf.norm

    for key, group in groupby(leaves, key=fate):
        members = list(group)
        yield from ([leaf] for leaf in members) if key[1] is Status.REACHED else [members]


def _says(leaf: Leaf, causes: list[Cut]) -> str:
    numbers = " ".join(f"[{causes.index(c) + 1}]" for c in leaf.causes)
    if leaf.status not in (Status.REACHED, Status.ZERO):
        first, *others = dict.fromkeys(c.title for c in leaf.causes)
        elsewhere = " elsewhere" if others and leaf.passed else ""
        kinds = ", ".join([first, *(f"{title}{elsewhere}" for title in others)])
        return f"{'' if leaf.status is Status.FROZEN else 'none: '}{kinds}  {numbers}"
    ways = counted(leaf.paths, "path") if leaf.paths > 1 else ""
    if leaf.blocked_paths:
        ways = f"{leaf.paths} of {counted(leaf.paths + leaf.blocked_paths, 'path')}"
    norm = "exactly zero" if leaf.status is Status.ZERO else f"norm {leaf.norm or 0:.4g}"
    if leaf.norm is None:
        norm = "a path, but the engine refused to go it"
    return ", ".join(p for p in (norm, ways) if p) + (f"  {numbers}" if numbers else "")


def _footnotes(e: Explanation, causes: list[Cut], width: int) -> Iterator[str]:
    if causes:
        yield ""
        yield (
            "What gets none"
            if all(set_aside(x) for x in e.leaves if x.causes)
            else "Where it stops"
        )
    for i, c in enumerate(causes, 1):
        yield from wrapped(f" [{i}] {c.title}: {c.detail}", width, indent=5)
        if c.line.number:
            yield from _code(c.line, width)
    yield from _uses([(use, leaf.name) for leaf in e.leaves for use in leaf.uses], width)
    if e.joints:
        yield ""
        yield "Joined by hand"
    for joint in e.joints:
        found, fed = joint.lower.title, joint.upper.title
        yield from _code(joint.found_line, width)
        yield from wrapped(f"         finds the gradient at {found}", width, indent=12)
        yield from _code(joint.line, width)
        yield from wrapped(
            f"         feeds it on {'' if fed == found else f'to {fed}'}", width, indent=12
        )
    if e.data:
        yield ""
        yield from wrapped("Data (never had the flag): " + ", ".join(e.data), width, indent=2)


def _uses(uses: Sequence[tuple[Use, str]], width: int) -> Iterator[str]:
    """The function's own line, once if all gradients come in there, and where they part."""
    if uses:
        yield ""
        yield "Where it comes in"
    own = {use.stack[0] for use, _ in uses}
    names: dict[Line, dict[str, None]] = {}
    for use, name in uses:
        names.setdefault(use.parting, {})[name] = None
    if len(own) == 1 and not own >= names.keys():
        yield from _code(min(own), width)
    before: list[str] = []
    for line in sorted(names):
        rows = list(_code(line, width))
        again = rows[:-1] == before[:-1]  # the same code, another part of it
        yield from rows[-1:] if again else rows
        yield from wrapped(f"         to {listed(list(names[line]))}", width, indent=12)
        before = rows


def _code(line: Line, width: int) -> Iterator[str]:
    """The line of code, beside its place or below it, and a mark below the part that is meant."""
    place = f"     {line}  "
    if len(place) + len(line.code) > width:
        yield place.rstrip()[-width:]
        place = " " * 9
    code, start, end = line.excerpt(max(width - len(place), _LEAST))
    yield place.ljust(9) + code
    if end:
        yield " " * (len(place) + start) + "^" * (end - start)
