"""The comparison as its reader gets it: answers, tables, a picture, a JSON object."""

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

from ddpg.compare.formula import Formula
from ddpg.compare.lesson import Question, conclusion, equality, formula_lines, jacobian
from ddpg.compare.measure import Measurement, Size
from ddpg.compare.training import ENV_ID, Curve
from ddpg.compare.verdict import HEADINGS, NOTES, Cell, Verdict, verdicts, worst
from ddpg.errors import UsageError, counted
from ddpg.run.machine import check_writable
from ddpg.run.plots import BLUE, GREY, RED, save

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "frozen": {"color": BLUE, "linestyle": "-", "linewidth": 2},
    "blocked": {"color": GREY, "linestyle": "--", "linewidth": 2},
    "joint": {"color": RED, "linestyle": "-.", "linewidth": 2},
}
"""How the curve of each training run is drawn, wherever it is."""

_COLORS = {Verdict.GOOD: "green", Verdict.WASTEFUL: "yellow", Verdict.WRONG: "bold red"}

IMPOSSIBLE = "impossible: no reward is above 0"
"""Of values above 0."""


def titled_table(title: str) -> Table:
    """An empty table with its title above it, as the comparison's tables are."""
    return Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )


def print_questions(questions: Iterable[Question], console: Console) -> None:
    """What the comparison answers, and the answers."""
    for question in questions:
        console.print(Text(question.asked, "bold"))
        _indented(Text(question.answer), console)
    console.print()


def print_formula(formula: Formula, console: Console) -> None:
    """The formula, its factors' sizes and norms below them, and whether autograd says the same."""
    batch = f"a batch of {counted(formula.batch_size, 'state')}"
    console.print(Text(f"In numbers, on {batch} (L is -Q, and Q the mean over the batch):\n"))
    for line in formula_lines(formula):
        _indented(Text(line), console)
    console.print(Text(f"\n{jacobian(formula)}"))
    verdict, text = equality(formula)
    console.print(Text.assemble(_sign(verdict), " ", text, "\n"))


def print_table(rows: Sequence[Measurement], size: Size, console: Console) -> None:
    """One line per case; below, what each of them does and what it had to say."""
    frozen, *_ = rows
    found = {row.name: verdicts(row, frozen) for row in rows}
    table = titled_table(f"One actor update in eight ways\n({size})")
    table.add_column("how the critic\nis handled", no_wrap=True)
    for heading in HEADINGS:
        table.add_column("\n".join(textwrap.wrap(heading, 8)), justify="right", no_wrap=True)
    for name, cells in found.items():
        case = Text.assemble(_sign(worst(cells)), " ", name)
        table.add_row(case, *(_marked(cell) for cell in cells))
    console.print(table, "")
    legend = [Text.assemble(_sign(verdict), " ", verdict.meaning) for verdict in Verdict]
    console.print(Text("   ").join(legend))
    console.print(Text(f"{NOTES}\n", "dim"))
    for row in rows:
        _print_case(row, worst(found[row.name]), console)
    console.print()


def print_training(curves: Mapping[str, Curve], console: Console) -> None:
    """The last return and the last mean Q of each variant, and what follows."""
    steps = next(iter(curves.values())).steps[-1]
    table = titled_table(f"Three of them, trained on {ENV_ID} for {counted(steps, 'step')}")
    table.add_column("critic", min_width=21)
    for header in ("return\nearned", "mean Q\npromised", "possible (no\nreward is > 0)"):
        table.add_column(header, justify="right")
    for name, curve in curves.items():
        q, verdict = curve.mean_q[-1], Verdict.GOOD if curve.mean_q[-1] <= 0 else Verdict.WRONG
        possible = Cell("yes" if q <= 0 else "no", verdict)
        table.add_row(name, f"{curve.returns[-1]:,.0f}", f"{q:,.1f}", _marked(possible))
    console.print(table, "")
    console.print(Text(f"{conclusion(curves)}\n", "bold"))


def _print_case(row: Measurement, verdict: Verdict, console: Console) -> None:
    console.print(Text.assemble(_sign(verdict), " ", (row.name, "bold")))
    lines = [row.meaning, row.explanation and f"The gradient {row.explanation}."]
    for line in (*lines, row.warning and f"→ {row.warning}"):
        if line:
            _indented(Text(line), console)


def _indented(text: Text, console: Console) -> None:
    console.print(Padding(text, (0, 0, 0, 2), expand=False))


def _marked(cell: Cell) -> Text:
    """The sign comes last, so that signs stand in a column as the digits do."""
    if cell.verdict is None:
        return Text(f"{cell.text}\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}")  # plain ones are stripped
    return Text.assemble(cell.text, " ", _sign(cell.verdict))


def _sign(verdict: Verdict) -> Text:
    return Text(verdict.sign, _COLORS[verdict])


def as_json(
    formula: Formula,
    rows: Sequence[Measurement],
    curves: Mapping[str, Curve],
    size: Size,
    seed: int,
    picture: Path,
) -> dict[str, Any]:
    """All numbers of the comparison, of JSON's types."""
    return {
        "seed": seed,
        "size": asdict(size),
        "formula": asdict(formula),
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
