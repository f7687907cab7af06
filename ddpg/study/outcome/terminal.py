"""What a study comes to, in a terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.summary import Outcome, Summary
from ddpg.study.outcome.words import (
    counted_states,
    letter,
    of_how_many,
    percent,
    what_is_missing,
    with_interval,
)

MOST_NAMED = 10
"""Runs that went wrong which are named; study.csv has all of them."""
_ALL = "All environments, on a scale from 0 (lowest run) to 1 (highest)"

Cells = tuple[str, ...]


def print_summary(summary: Summary, console: Console) -> None:
    """Print how the runs ended, the scores of each setting, and how settings compare."""
    console.print(Text(counted_states(summary.results), "bold"))
    wrong = [r for r in summary.results if r.state in ("failed", "diverged")]
    for result in wrong[:MOST_NAMED]:
        console.print(Text(f"{result.run} {result.state}: {result.message}"))
    if len(wrong) > MOST_NAMED:
        console.print(f"and {len(wrong) - MOST_NAMED} more, in study.csv")
    _print_outcomes(summary, console)
    if summary.improvements:
        _print_improvements(summary, console)
    if missing := what_is_missing(summary):
        console.print(Text(missing, "dim"))


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _print_outcomes(summary: Summary, console: Console) -> None:
    """One table, or one for each environment where there are settings to tell apart."""
    head = ("finished", "IQM (95 % interval)", "mean (95 % interval)")
    if len(summary.settings) == 1:
        rows = [(env_id, *_cells(summary.outcomes[env_id, 0])) for env_id in summary.env_ids]
        _print_rows("", ("environment", *head), rows, console)
        return
    names = [f"{letter(i)}  {label}" for i, label in enumerate(summary.labels)]
    for env_id in summary.env_ids:
        rows = [(n, *_cells(summary.outcomes[env_id, i])) for i, n in enumerate(names)]
        _print_rows(env_id, ("setting", *head), rows, console)
    if summary.overall:
        overall = [
            (n, with_interval(found)) for n, found in zip(names, summary.overall, strict=True)
        ]
        _print_rows(_ALL, ("setting", head[1]), overall, console)


def _print_rows(title: str, head: Sequence[str], rows: Iterable[Cells], console: Console) -> None:
    if title:
        console.print(Text(title, "bold"))
    table = _table()
    table.add_column(head[0], overflow="fold")
    for header in head[1:]:
        table.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _cells(outcome: Outcome) -> Cells:
    return of_how_many(outcome), with_interval(outcome.iqm), with_interval(outcome.mean)


def _print_improvements(summary: Summary, console: Console) -> None:
    over = "over all environments" if len(summary.env_ids) > 1 else summary.env_ids[0]
    console.print(
        Text(
            f"Probability that a run of the row's setting beats one of the column's, {over}", "bold"
        )
    )
    table = _table()
    table.add_column("")
    for opponent in summary.opponents:
        table.add_column(letter(opponent), justify="right", no_wrap=True)
    for i in range(len(summary.settings)):
        cells = (summary.improvements.get((i, opponent)) for opponent in summary.opponents)
        table.add_row(letter(i), *map(_in_two_lines, cells))
    console.print(table)


def _in_two_lines(probability: Estimate | None) -> str:
    """Eight columns of them stand side by side."""
    return percent(probability).replace(" (", "\n").replace(" to ", "-").rstrip(")")
