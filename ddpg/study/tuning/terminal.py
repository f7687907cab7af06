"""What a tuning came to, in a terminal."""

import shlex

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ddpg.config import in_words
from ddpg.study.outcome.terminal import print_summary
from ddpg.study.tuning.outcome import BEST, PAGE, Tuning
from ddpg.study.tuning.rerun import RERUN, changes

NAMED = 10
"""Trials that failed which are named; trials.csv has all of them."""


def print_tuning(tuning: Tuning, console: Console) -> None:
    """Print how the trials ended, the best of them, and what those came to on new seeds."""
    trials = tuning.trials
    console.print(Text(tuning.counted, "bold"))
    failed = [trial for trial in trials if trial.state == "failed"]
    for trial in failed[:NAMED]:
        console.print(Text(f"trial {trial.number} failed: {trial.message}"))
    if len(failed) > NAMED:
        console.print(f"and {len(failed) - NAMED} more, in trials.csv")
    if tuning.rerun is None:
        console.print("no trial came to its end: there is nothing to run again")
        return
    console.print("The best, and the settings at hand, with their scores in the search:")
    console.print(_best_trials(tuning))
    console.print("Run again on seeds that no trial had:")
    print_summary(tuning.rerun, console)
    for text in _where(tuning):
        console.print(text, highlight=False, soft_wrap=True, markup=False)


def _best_trials(tuning: Tuning) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("trial", justify="right")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("what it changes", overflow="fold")
    for trial in tuning.run_again:
        score = "-" if trial.value is None else f"{trial.value:,.1f}"
        words = in_words(changes(tuning.search, trial.setting)) or "nothing: the settings at hand"
        table.add_row(str(trial.number), score, words)
    return table


def _where(tuning: Tuning) -> list[str]:
    if tuning.best is None:
        return [f"no run came to its end: {tuning.tune_dir / RERUN} has their logs"]
    path = tuning.tune_dir / BEST
    return [
        f"best: trial {tuning.best_trial}; to use it: ddpg train --config {shlex.quote(str(path))}",
        f"page: {tuning.tune_dir / PAGE}",
    ]
