"""The tables of a study: kept under version control, and as they stand on the page."""

import csv
import json
import shutil
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.studies.published import published
from ddpg.run.disk.tables import read_table
from ddpg.study.folder import made_with
from ddpg.study.outcome.scores import LAST
from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.words import numbers, with_interval

RESULTS = Path(__file__).parents[1] / "results" / "studies"


def collect(name: str, study_dir: Path) -> None:
    """Keep what a study has come to: its tables and picture, and what tells of each run."""
    target = RESULTS / name
    before = json.loads(_versions(name).read_text()) if _versions(name).exists() else {}
    shutil.rmtree(target, ignore_errors=True)
    runs = sorted(path.parent for path in study_dir.rglob("config.json"))
    for run in runs:
        to = target / run.relative_to(study_dir)
        to.mkdir(parents=True)
        for file in ("config.json", "evaluations.csv", "metrics.csv"):
            shutil.copyfile(run / file, to / file)
        if (ending := _ending(run)).exists():
            shutil.copyfile(ending, _ending(to))
    for file in ("study.csv", "summary.csv", "study.png"):
        shutil.copyfile(study_dir / file, target / file)
    versions = made_with(runs)
    if not all((run / "checkpoint").exists() for run in runs):  # some of them were laid out
        versions = {k: _and(before.get(k), versions.get(k)) for k in {**before, **versions}}
    _versions(name).write_text(json.dumps(versions, indent=1) + "\n")


def lay_out(name: str, study_dir: Path) -> None:
    """Put the runs that were kept at their end into a study's folder: they need not run again."""
    for ending in (RESULTS / name).rglob("seed-*.json"):
        run = study_dir / ending.relative_to(RESULTS / name).with_suffix("")
        if not run.exists():
            shutil.copytree(ending.with_suffix(""), run)
            shutil.copyfile(ending, _ending(run))


def _ending(run: Path) -> Path:
    return run.with_name(f"{run.name}.json")


def _versions(name: str) -> Path:
    return RESULTS / name / "versions.json"


def _and(before: str | None, now: str | None) -> str:
    """`3.11.7`, or `3.11.7 and 3.12.1`, of what there is."""
    found = [version for text in (before, now) if text for version in text.split(" and ")]
    return " and ".join(dict.fromkeys(found))


def summary(name: str) -> list[dict[str, str]]:
    """The rows of a study's summary."""
    return read_rows(RESULTS / name / "summary.csv")


def evaluations(name: str) -> dict[tuple[str, str], list[list[dict[str, float]]]]:
    """Of each finished run, by environment and algorithm, in the order of their seeds."""
    found: dict[tuple[str, str], list[list[dict[str, float]]]] = {}
    rows = read_rows(RESULTS / name / "study.csv")
    for row in (row for row in rows if row["state"] == "finished"):
        table = read_table(RESULTS / name / row["run"] / "evaluations.csv")
        found.setdefault((row["env_id"], row.get("algorithm", "")), []).append(table)
    return found


def read_rows(path: Path) -> list[dict[str, str]]:
    """Of a table, by column."""
    with path.open() as file:
        return list(csv.DictReader(file))


def table(name: str) -> Iterator[str]:
    """The lines of a study's table on the page."""
    rows = summary(name)
    (axis,) = list(rows[0])[1 : list(rows[0]).index("runs")] or ["setting"]
    yield f"| environment | {axis} | runs | mean return, 95 % | IQM, 95 % | published | by |"
    yield "|---|---|---|---|---|---|---|"
    runs = read_rows(RESULTS / name / "study.csv")
    steps = {row["env_id"]: int(row["total_timesteps"]) for row in runs}
    for row in rows:
        other = published(row["env_id"], row.get("algorithm", ""), steps[row["env_id"]])
        cells = (
            *(row["env_id"], row.get(axis, "its preset"), f"{row['finished']} of {row['runs']}"),
            *(with_interval(_found(row, column)) for column in ("mean", "iqm")),
            *((_value(other.value), other.source) if other else ("", "")),
        )
        yield f"| {' | '.join(cells)} |"


def _found(row: dict[str, str], name: str) -> Estimate | None:
    low, high = (float(row[name + end]) if row[name + end] else None for end in ("_low", "_high"))
    return Estimate(float(row[name]), low, high) if row[name] else None


def _value(value: Estimate) -> str:
    return numbers(value.value)[0] if value.low is None else with_interval(value)


def errors_of_q(name: str) -> Iterator[str]:
    """The lines of a table of each seed: the last evaluation, and how wrong Q was by then."""
    yield "| environment | algorithm | return, last evaluation | Q too high by | rank correlation |"
    yield "|---|---|---|---|---|"
    for (env_id, algorithm), seeds in evaluations(name).items():
        last = ", ".join(f"{rows[-1]['mean']:,.0f}" for rows in seeds)
        bias = ", ".join(f"{100 * _last(rows, 'q_bias'):,.0f} %" for rows in seeds)
        rank = ", ".join(f"{_last(rows, 'q_rank'):.2f}" for rows in seeds)
        yield f"| {env_id} | {algorithm} | {last} | {bias} | {rank} |"


def _last(rows: Sequence[dict[str, float]], column: str) -> float:
    return statistics.median(row[column] for row in rows[-LAST:])
