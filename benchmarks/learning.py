"""What DDPG and TD3 learn on MuJoCo tasks and on Pendulum: runs of `ddpg train`, and their table.

    python benchmarks/learning.py                 # 24 runs, an hour and a half on one core
    python benchmarks/learning.py --tasks Hopper-v5 --seeds 0

A run that is there is not made again, one that was interrupted goes on. The tables of all runs are
gathered into benchmarks/results/learning/, which is under version control, and so is their summary.
"""

import argparse
import csv
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "learning"

ALGORITHMS = ("ddpg", "td3")
SETTINGS = (
    "--hidden 400 300 --batch-size 100 --actor-lr 1e-3 --critic-lr 1e-3 --tau 0.005 --gamma 0.99"
    " --noise gaussian --noise-std 0.1"
)
"""Those of Fujimoto et al. 2018 for "Our DDPG" and TD3 alike: only the remedies differ."""


@dataclass(frozen=True)
class Task:
    """An environment, how long it is trained on, and the steps that are random at the start."""

    env_id: str
    steps: int
    warmup: int
    published: str  # of TD3 at that step, where there is such a figure


TASKS = (
    Task("HalfCheetah-v5", 100_000, 10_000, "5514 (v1)"),
    Task("Hopper-v5", 100_000, 1_000, "659 (v1)"),
    Task("InvertedDoublePendulum-v5", 50_000, 1_000, "9310 (v1)"),
    Task("Pendulum-v1", 50_000, 1_000, "-152 (zoo, 20k)"),
)
"""The warm-ups are those of Fujimoto et al. 2018, section 6.1."""


@dataclass(frozen=True)
class Run:
    """One training run, in a folder of its own."""

    task: Task
    algorithm: str
    seed: int

    @property
    def name(self) -> str:
        """What its folder and its tables are called."""
        return f"{self.task.env_id}-{self.algorithm}-seed{self.seed}"

    def command(self, folder: Path) -> list[str]:
        """The words of the command that begins it, or goes on with it."""
        if (folder / "config.json").exists():
            return ["train", "--resume", str(folder)]
        task = self.task
        return [
            *("train", "--run-dir", str(folder), "--env-id", task.env_id, "--seed", str(self.seed)),
            *("--preset", "none"),
            *("--total-timesteps", str(task.steps), "--warmup-steps", str(task.warmup)),
            *("--eval-every", "5000", "--algorithm", self.algorithm, *SETTINGS.split()),
        ]


def gather(run: Run, folder: Path) -> None:
    """Put the run's tables beside those of the others."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in ("evaluations.csv", "metrics.csv"):
        shutil.copyfile(folder / name, RESULTS / f"{run.name}-{name}")


def last_evaluations(run: Run) -> list[dict[str, float]]:
    """The rows of the run's last quarter: a single evaluation is luck, the best one a choice."""
    path = RESULTS / f"{run.name}-evaluations.csv"
    if not path.exists():
        return []
    with path.open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    return [row for row in rows if row["step"] > 0.75 * run.task.steps]


def summarise(runs: Sequence[Run]) -> Iterator[dict[str, Any]]:
    """For each task and algorithm: each seed's last return, and means of its last quarter."""
    for task in TASKS:
        for algorithm in ALGORITHMS:
            rows = [last_evaluations(r) for r in runs if (r.task, r.algorithm) == (task, algorithm)]
            if done := [r for r in rows if r and r[-1]["step"] == task.steps]:
                means = [statistics.mean(row["mean"] for row in r) for r in done]
                yield {
                    "task": task.env_id,
                    "steps": task.steps,
                    "algorithm": algorithm,
                    "last": [round(r[-1]["mean"], 1) for r in done],
                    "last_quarter": [round(mean, 1) for mean in means],
                    "mean_of_last": round(statistics.mean(r[-1]["mean"] for r in done), 1),
                    **{name: _means(done, name) for name in ("q_bias", "q_rank")},
                    "published_td3": task.published,
                }


def _means(runs: Sequence[Sequence[dict[str, float]]], name: str) -> list[float | None]:
    """Of each run; None where its tables are of a time before Q's error was in them."""
    return [
        round(statistics.mean(row[name] for row in rows), 2) if name in rows[0] else None
        for rows in runs
    ]


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the summary."""
    table = Table("task", "steps", "algorithm", "each seed at the end", "mean", "last quarter")
    for header in ("Q too high by", "Q's rank correlation", "published, TD3"):
        table.add_column(header)

    def joined(form: str, values: Sequence[float | None]) -> str:
        return ", ".join("-" if value is None else format(value, form) for value in values)

    for row in rows:
        table.add_row(
            *(str(row["task"]), f"{row['steps']:,}", str(row["algorithm"])),
            *(joined(",.0f", row["last"]), f"{row['mean_of_last']:,.0f}"),
            *(joined(",.0f", row["last_quarter"]), joined("+.0%", row["q_bias"])),
            *(joined(".2f", row["q_rank"]), row["published_td3"]),
        )
    Console().print(table)


def main() -> None:
    """Train what is missing, then gather and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [task.env_id for task in TASKS]
    parser.add_argument("--tasks", nargs="+", choices=names, default=names)
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=ALGORITHMS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=HERE / "runs", help="folder of the runs")
    options = parser.parse_args()
    all_runs = [Run(t, a, s) for s in options.seeds for t in TASKS for a in ALGORITHMS]
    chosen = [
        r for r in all_runs if r.task.env_id in options.tasks and r.algorithm in options.algorithms
    ]
    for run in track(chosen, "runs", console=Console(stderr=True)):
        folder = options.runs / run.name
        words = [sys.executable, "-m", "ddpg", *run.command(folder)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        gather(run, folder)
    rows = list(summarise(all_runs))
    (RESULTS / "summary.json").write_text(json.dumps(rows, indent=1) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
