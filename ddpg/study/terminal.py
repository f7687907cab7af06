"""What a study comes to, in a terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpg.study.statistics import Estimate
from ddpg.study.summary import Outcome, Summary
from ddpg.study.words import (
    counted_states,
    letter,
    of_how_many,
    percent,
    what_is_missing,
    with_interval,
)

MOST_NAMED = 10
"""Runs that went wrong which are named; study.csv has all of them."""
_ALL = "all, from 0 (lowest run) to 1 (highest)"


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
    table = _table()
    several = len(summary.settings) > 1
    if several:
        table.add_column("")
    table.add_column("setting" if several else "environment", overflow="fold")
    for header in ("finished", "IQM (95 % interval)", "mean (95 % interval)"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in _by_setting(summary) if several else _by_environment(summary):
        table.add_row(*row)
    console.print(table)


Cells = tuple[str | Text, ...]


def _by_environment(summary: Summary) -> Iterator[Cells]:
    for env_id in summary.env_ids:
        yield env_id, *_cells(summary.outcomes[env_id, 0])


def _by_setting(summary: Summary) -> Iterator[Cells]:
    """Environments are headings of their settings."""
    names = [(letter(i), label) for i, label in enumerate(summary.labels)]
    for env_id in summary.env_ids:
        yield "", Text(env_id, "bold")
        for i, name in enumerate(names):
            yield *name, *_cells(summary.outcomes[env_id, i])
    if summary.overall:
        yield "", Text(_ALL, "bold")
        for name, overall in zip(names, summary.overall, strict=True):
            yield *name, "", with_interval(overall), ""


def _cells(outcome: Outcome) -> Cells:
    return of_how_many(outcome), with_interval(outcome.iqm), with_interval(outcome.mean)


def _print_improvements(summary: Summary, console: Console) -> None:
    over = "over all environments" if len(summary.env_ids) > 1 else summary.env_ids[0]
    console.print(
        Text(f"Probability that a run of the row's setting beats one of the column's, {over}")
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
