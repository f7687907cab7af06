"""Time one update of DDPG or TD3: this project, PyTorch, JAX, and the matrix products alone.

    python benchmarks/update.py --quick
    python benchmarks/update.py --algorithm td3
    python benchmarks/update.py --sizes 17/6/256x256@256 --threads 1 2 --contenders compiled jax

TD3 moves the actor at every second update, so two updates are timed, and the figure is half of
that. Before anything is timed, each contender goes through one such cycle (of DDPG, one update)
from the same state on the same batches with the same noise, and its parameters must agree with
plain float64 NumPy to 1e-4, or it is not timed.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import harness
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from update_peers import CONTENDERS, CONTROL, reference
from update_peers.problem import ALGORITHMS, SIZES, Problem, Size

TOLERANCE = 1e-4
console = Console()


def size_argument(text: str) -> Size:
    """Read a size for the command line, whose own message would not say what is wrong."""
    try:
        return Size.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="ddpg")
    parser.add_argument(
        "--sizes", nargs="+", type=size_argument, metavar="SIZE", help="default: all there are"
    )
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--threads", nargs="+", type=int, help="cores for each, default: 1 2")
    parser.add_argument("--rounds", type=int, default=9, help="measurements of each contender")
    parser.add_argument("--seconds", type=float, default=0.6, help="length of a measurement")
    parser.add_argument("--pause", type=float, default=0.3, help="sleep before a measurement")
    parser.add_argument("--quick", action="store_true", help="3 short rounds; 2 sizes, 2 threads")
    parser.add_argument("--json", type=Path, help="default: results/update_ALGORITHM.json")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 3, 0.2
    sizes = SIZES[arguments.algorithm]
    arguments.sizes = arguments.sizes or list(sizes[:3:2] if arguments.quick else sizes)
    if arguments.json is None:
        arguments.json = harness.HERE / "results" / f"update_{arguments.algorithm}.json"
    arguments.threads = arguments.threads or ([2] if arguments.quick else [1, 2])
    if CONTROL not in arguments.contenders:
        arguments.contenders.insert(0, CONTROL)  # absolute times alone say little
    return arguments


def check(name: str, parameters: Path, expected: dict[str, np.ndarray]) -> str:
    """Return what is wrong with the parameters after one cycle; empty when they agree."""
    if name == CONTROL:
        return ""
    with np.load(parameters) as found:
        far, where = reference.distance(dict(found), expected)
    return "" if far <= TOLERANCE else f"differs by {far:.1e} in {where}; not timed"


def start(
    names: list[str], problem: Problem, threads: int, folder: Path
) -> tuple[dict[str, harness.Worker], dict[str, str]]:
    """Start and check the contenders; return those that can be timed, and why others can't."""
    problem_file = folder / "problem.npz"
    problem.save(problem_file)
    expected = reference.updated(problem)
    workers: dict[str, harness.Worker] = {}
    refused: dict[str, str] = {}
    for name in names:
        parameters = folder / f"{name}.npz"
        files = ["--problem", str(problem_file), "--parameters", str(parameters)]
        worker = harness.Worker("update_peers.worker", ["--contender", name, *files], threads)
        try:
            worker.receive()
            refused[name] = check(name, parameters, expected)
        except harness.WorkerError as error:
            refused[name] = str(error)
        if refused[name]:
            worker.close()
        else:
            workers[name] = worker
    return workers, {name: reason for name, reason in refused.items() if reason}


def measure(
    arguments: argparse.Namespace, size: Size, threads: int, progress: Progress
) -> tuple[dict[str, harness.Timing], dict[str, str]]:
    """Measure one size; return timings, and the reasons of those that were not timed."""
    task = progress.add_task(f"{size}, {threads} threads: start")
    with tempfile.TemporaryDirectory() as folder:
        problem = Problem.make(size, arguments.algorithm, seed=0)
        workers, refused = start(arguments.contenders, problem, threads, Path(folder))
        timings: dict[str, harness.Timing] = {}
        try:
            progress.update(task, total=len(workers) * arguments.rounds)
            steps = harness.alternate(workers, arguments.rounds, arguments.seconds, arguments.pause)
            for name, timing in steps:
                if timing is not None:
                    timings[name] = timing.divided(problem.settings.actor_every)
                else:
                    progress.update(task, advance=1, description=f"{size}, {threads}: {name}")
        finally:
            for worker in workers.values():
                worker.close()
    progress.remove_task(task)
    return timings, refused


def excused(reason: str) -> bool:
    """Return whether a contender that was not timed is merely absent."""
    return harness.NOT_INSTALLED in reason


def mean_flops(size: Size, algorithm: str) -> float:
    """Return the multiplications and additions of an update's matrix products, on average."""
    settings = ALGORITHMS[algorithm]
    return size.cycle_flops(settings) / settings.actor_every


def table(
    algorithm: str,
    size: Size,
    threads: int,
    timings: dict[str, harness.Timing],
    refused: dict[str, str],
) -> Table:
    """Lay out one size's results."""
    control = timings[CONTROL]
    flops = mean_flops(size, algorithm)
    title = f"{algorithm}, {size}, {threads} thread{'s' * (threads > 1)}"
    rate = f"control {flops / control.median / 1e6:.0f} GFLOP/s"
    caption = f"{flops / 1e6:.1f} MFLOP in an update's matrix products; {rate}"
    result = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    result.add_column("contender")
    result.add_column("ms", justify="right")
    result.add_column("lowest to highest round", justify="right")
    result.add_column("x control", justify="right")
    for name in CONTENDERS:
        if name in timings:
            timing = timings[name]
            spread = f"{min(timing.rounds):.3f} to {max(timing.rounds):.3f}"
            result.add_row(name, f"{timing.median:.3f}", spread, f"{timing.ratio(control):.2f}")
        elif name in refused:
            result.add_row(
                name, refused[name], style="red" if "differs" in refused[name] else "dim"
            )
    return result


def record(
    algorithm: str,
    size: Size,
    threads: int,
    timings: dict[str, harness.Timing],
    refused: dict[str, str],
) -> dict[str, Any]:
    """Return one size's results for the JSON file."""
    return {
        "algorithm": algorithm,
        "size": str(size),
        "threads": threads,
        "flops": mean_flops(size, algorithm),
        "contenders": {
            name: {
                "median_ms": timing.median,
                "round_medians_ms": timing.rounds,
                "ratio_to_control": timing.ratio(timings[CONTROL]),
            }
            for name, timing in timings.items()
        },
        "not_timed": refused,
    }


def main() -> int:
    """Measure, print, write; return 1 if an installed contender failed or computed otherwise."""
    arguments = parse_arguments()
    settings = {name: getattr(arguments, name) for name in ("rounds", "seconds", "pause")}
    content: dict[str, Any] = {"machine": harness.machine(), "settings": settings, "results": []}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for threads in arguments.threads:
            for size in arguments.sizes:
                results = (size, threads, *measure(arguments, size, threads, progress))
                console.print(table(arguments.algorithm, *results))
                content["results"].append(record(arguments.algorithm, *results))
                harness.write_json(arguments.json, content)
    console.print(f"Written to {arguments.json}")
    reasons = [r for result in content["results"] for r in result["not_timed"].values()]
    return int(not all(map(excused, reasons)))


if __name__ == "__main__":
    sys.exit(main())
