"""Whole runs of TD3, imports and all: `ddpg train` against RLtools, Stable-Baselines3 and sbx.

    python benchmarks/whole.py
    python benchmarks/whole.py --cases halfcheetah --rounds 3

Every run is a process of its own, and all contenders of a case run in turn, once for each round; a
run of each before that, which is not timed, compiles what is kept compiled. Settings are the same:
10,000 steps, the first 1,000 at random and without updates, then an update a step; no evaluation.

`halfcheetah` has runs of 2,000 steps too. What a run of 10,000 takes more is what steps cost once
everything is imported and compiled; the others are compared by whole runs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import harness
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from whole_peers import GAMMA, LEARNING_RATE, NOISE, TAU

STEPS, SHORT, WARMUP = 10_000, 2_000, 1_000
PROJECT = "ddpg train"
# name -> (module, distributions that it needs)
PEERS = {
    "rltools": ("rltools_td3", ("rltools", "mkl", "mkl-include")),
    "sb3": ("sb3_td3", ("stable_baselines3",)),
    "sbx": ("sbx_td3", ("sbx-rl",)),
}
console = Console()


@dataclass(frozen=True)
class Case:
    """Runs that are compared, with as many threads each."""

    env_id: str
    hidden: int
    batch: int
    threads: int
    peers: tuple[str, ...]
    lengths: tuple[int, ...] = (STEPS,)


CASES = {
    "pendulum-64": Case("Pendulum-v1", 64, 100, 1, ("rltools",)),
    "pendulum-256": Case("Pendulum-v1", 256, 256, 2, ("rltools",)),
    "halfcheetah": Case("HalfCheetah-v5", 256, 256, 2, ("sb3", "sbx"), (SHORT, STEPS)),
}


def command(name: str, case: Case, steps: int, run_dir: Path) -> list[str]:
    """Return the command of one run."""
    hidden = [str(case.hidden)] * 2
    if name != PROJECT:
        module, _ = PEERS[name]
        flags = ["--env-id", case.env_id, "--steps", str(steps), "--warmup", str(WARMUP)]
        return [
            *("-m", f"whole_peers.{module}", *flags),
            *("--hidden", *hidden, "--batch", str(case.batch)),
        ]
    flags = {
        "algorithm": "td3",
        "env-id": case.env_id,
        "preset": "none",
        "total-timesteps": steps,
        "warmup-steps": WARMUP,
        "batch-size": case.batch,
        "gamma": GAMMA,
        "tau": TAU,
        "actor-lr": LEARNING_RATE,
        "critic-lr": LEARNING_RATE,
        "noise-std": NOISE,
        "eval-every": 0,
        "threads": case.threads,
        "run-dir": run_dir,
    }
    words = [word for flag, value in flags.items() for word in (f"--{flag}", str(value))]
    return ["-m", "ddpg", "train", *words, "--hidden", *hidden]


def seconds(name: str, case: Case, steps: int) -> float:
    """Return how long one run took; raise `WorkerError` with its last line if it failed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= dict.fromkeys(harness.POOL_VARIABLES, str(case.threads))
    path = filter(None, [str(harness.HERE), os.environ.get("PYTHONPATH")])
    with tempfile.TemporaryDirectory() as folder:
        words = command(name, case, steps, Path(folder) / "run")
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *words],
            env=environment | {"PYTHONPATH": os.pathsep.join(path)},
            cwd=folder,  # MuJoCo writes its warnings to where it is started
            capture_output=True,
            text=True,
        )
        took = time.perf_counter() - start
    if done.returncode:
        last = done.stderr.strip().rpartition("\n")[2]
        raise harness.WorkerError(f"ended with status {done.returncode}: {last}")
    return took


def start(case: Case, progress: Progress) -> tuple[list[str], dict[str, str]]:
    """Run each contender once; return those that can be timed, and why others can't."""
    ready: list[str] = []
    refused: dict[str, str] = {}
    for name in (PROJECT, *case.peers):
        needs = () if name == PROJECT else PEERS[name][1]
        missing = [each for each in needs if harness.package_version(each) is None]
        if missing:
            refused[name] = f"{' and '.join(missing)}: {harness.NOT_INSTALLED}"
            continue
        task = progress.add_task(f"{case.env_id}: {name}, once before", total=None)
        try:
            seconds(name, case, min(case.lengths))
            ready.append(name)
        except harness.WorkerError as error:
            refused[name] = str(error)
        progress.remove_task(task)
    return ready, refused


def measure(
    case: Case, names: list[str], rounds: int, progress: Progress
) -> dict[str, dict[str, list[float]]]:
    """Return, for each contender, the seconds of each round under the names of what took them."""
    runs = [(name, steps) for name in names for steps in case.lengths]
    times: dict[tuple[str, int], list[float]] = {run: [] for run in runs}
    task = progress.add_task(case.env_id, total=rounds * len(runs))
    for _ in range(rounds):
        for name, steps in runs:
            label = (
                f"{case.env_id}, {case.hidden}x{case.hidden}@{case.batch}: {name}, {steps} steps"
            )
            progress.update(task, description=label)
            times[name, steps].append(seconds(name, case, steps))
            progress.advance(task)
    progress.remove_task(task)
    found = {name: {"run": times[name, STEPS]} for name in names}
    if SHORT in case.lengths:
        for name, quantities in found.items():
            pairs = zip(times[name, STEPS], times[name, SHORT], strict=True)
            quantities["steps"] = [long - short for long, short in pairs]
    return found


def quartiles(values: list[float], digits: int) -> str:
    """Return the median, and the quartiles in brackets."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def times_ours(found: dict[str, dict[str, list[float]]], name: str, quantity: str) -> str:
    """Return how many times longer a contender took than this project in the same round."""
    if name == PROJECT:
        return "1"
    pairs = zip(found[name][quantity], found[PROJECT][quantity], strict=True)
    return quartiles([its / ours for its, ours in pairs], 2)


def table(case: Case, found: dict[str, dict[str, list[float]]], refused: dict[str, str]) -> Table:
    """Lay out one case."""
    plural = "s" * (case.threads > 1)
    size = f"{case.hidden}x{case.hidden}@{case.batch}, {case.threads} thread{plural}"
    result = Table(title=f"{case.env_id}, {size}", title_justify="left")
    result.add_column("contender")
    result.add_column("what")
    result.add_column("median (quartiles)", justify="right")
    result.add_column("x our time", justify="right")
    for name, quantities in found.items():
        time_of_all = quartiles(quantities["run"], 2)
        result.add_row(name, f"{STEPS:,} steps, s", time_of_all, times_ours(found, name, "run"))
        if "steps" in quantities:
            rates = quartiles([(STEPS - SHORT) / each for each in quantities["steps"]], 0)
            what = f"steps/s after {SHORT:,}"
            result.add_row(name, what, rates, times_ours(found, name, "steps"))
    for name, reason in refused.items():
        style = "dim" if harness.NOT_INSTALLED in reason else "red"
        result.add_row(name, reason, style=style)
    return result


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender")
    parser.add_argument(
        "--json", type=Path, default=harness.HERE / "results" / "whole.json", help="file to write"
    )
    return parser.parse_args()


def main() -> int:
    """Measure, print, write; return 1 if an installed contender failed."""
    arguments = parse_arguments()
    content: dict[str, Any] = {
        "machine": harness.machine(),
        "rounds": arguments.rounds,
        "cases": {},
    }
    failed = False
    for case_name in arguments.cases:
        case = CASES[case_name]
        with Progress(console=console, transient=True) as progress:
            names, refused = start(case, progress)
            found = measure(case, names, arguments.rounds, progress) if PROJECT in names else {}
        console.print(table(case, found, refused))
        content["cases"][case_name] = asdict(case) | {"seconds": found, "not_timed": refused}
        harness.write_json(arguments.json, content)
        failed |= any(harness.NOT_INSTALLED not in reason for reason in refused.values())
    console.print(f"Written to {arguments.json}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
