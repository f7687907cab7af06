"""A study's tables as files: a row per run, and a row per environment and setting."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ddpg.study.outcome.scores import score
from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.summary import Summary
from ddpg.study.results import Result
from tinygrad_rl import files

RUNS_TABLE, SUMMARY_TABLE = "study.csv", "summary.csv"

_OF_A_RUN = (
    *("seed", "run", "state", "steps", "total_timesteps", "score"),
    *("last_evaluation_mean", "best_evaluation_mean", "last_q_bias", "message"),
)
_OF_A_SETTING = (
    *("runs", "finished", "mean", "mean_low", "mean_high", "iqm", "iqm_low", "iqm_high"),
)


def write_tables(summary: Summary, folder: Path) -> None:
    """Write `study.csv` and `summary.csv`; the same runs give the same bytes.

    What has no value is an empty cell. `_low` and `_high` are ends of 95 % intervals.
    """
    runs = (
        [result.env_id, *_values(result.setting, summary.axes), *_of_run(result)]
        for result in summary.results
    )
    write_table(folder / RUNS_TABLE, ("env_id", *summary.axes, *_OF_A_RUN), runs)
    outcomes = (
        [
            *(env_id, *_values(summary.settings[setting], summary.axes)),
            *(len(outcome.runs), len(outcome.scores)),
            *(*_ends(outcome.mean), *_ends(outcome.iqm)),
        ]
        for (env_id, setting), outcome in summary.outcomes.items()
    )
    write_table(folder / SUMMARY_TABLE, ("env_id", *summary.axes, *_OF_A_SETTING), outcomes)


def _values(setting: Mapping[str, Any], axes: Sequence[str]) -> list[Any]:
    return [setting.get(name) for name in axes]


def _of_run(result: Result) -> list[Any]:
    last = result.evaluations[-1] if result.evaluations else {}
    best = max((row["mean"] for row in result.evaluations), default=None)
    return [
        *(result.seed, result.run, result.state, result.steps, result.total_timesteps),
        *(score(result), last.get("mean"), best, last.get("q_bias"), result.message),
    ]


def _ends(estimate: Estimate | None) -> tuple[float | None, ...]:
    return (None,) * 3 if estimate is None else (estimate.value, estimate.low, estimate.high)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file: numbers to eight digits, nothing for None."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(map(_cell, row) for row in rows)
    files.write_atomically(path, text.getvalue().encode())


def _cell(value: Any) -> str:
    """Numbers to eight digits; of what is no number or text, its JSON."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.8g}"
    return value if isinstance(value, str) else json.dumps(value)
