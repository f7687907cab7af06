"""Time single ops, a chain of small ops, and the import, beside PyTorch and NumPy.

    python benchmarks/ops.py --quick
    python benchmarks/ops.py --cases exp tanh "x @ y" --libraries tinygrad_rl numpy

Microseconds a call, float32, 64 and 65,536 elements; forward alone on inputs that don't require a
gradient, then forward and backward on inputs that do.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import harness
from ops_peers import CASES, LIBRARIES, SIDES, key
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

console = Console()

IMPORT = """
import time
start = time.perf_counter()
import {library}
print(time.perf_counter() - start)
"""
# The first process may have to fill Numba's cache; the import alone never compiles.
COMPILATIONS = """
from numba.core import event
with event.install_recorder("numba:compile") as importing:
    import tinygrad_rl as tg
with event.install_recorder("numba:compile") as running:
    x = tg.Tensor([[0.5, 1.5]], requires_grad=True)
    w = tg.Tensor([[0.5], [1.5]], requires_grad=True)
    (tg.tanh(tg.exp(x) @ w) * 2).sum().backward()
print(*(sum(e.is_start for _, e in recorder.buffer) for recorder in (importing, running)))
"""


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--threads", type=int, default=1, help="cores for each library")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each case")
    parser.add_argument("--seconds", type=float, default=0.05, help="length of a measurement")
    parser.add_argument("--quick", action="store_true", help="2 rounds of a hundredth of a second")
    parser.add_argument(
        "--json", type=Path, default=harness.HERE / "results" / "ops.json", help="file to write"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds = 2, 0.01
    return arguments


def start(
    libraries: list[str], threads: int
) -> tuple[dict[str, harness.Worker], dict[str, set[str]]]:
    """Start a worker for each library that is installed; return them and what each can measure."""
    workers: dict[str, harness.Worker] = {}
    able: dict[str, set[str]] = {}
    for name in libraries:
        worker = harness.Worker("ops_peers", ["--library", name], threads)
        try:
            able[name] = set(worker.receive()["cases"])
            workers[name] = worker
        except harness.WorkerError as error:
            console.print(f"{name}: {error}", style="yellow")
    return workers, able


def measure_ops(
    arguments: argparse.Namespace, workers: dict[str, harness.Worker], able: dict[str, set[str]]
) -> dict[str, dict[str, float]]:
    """Return {measurement: {library: microseconds}}."""
    names = [
        key(case, elements, backward)
        for case in arguments.cases
        for elements in SIDES
        for backward in (False, True)
    ]
    results: dict[str, dict[str, float]] = {}
    with Progress(console=console, transient=True) as progress:
        for name in progress.track(names, description="ops"):
            those = {k: worker for k, worker in workers.items() if name in able[k]}
            steps = harness.alternate(those, arguments.rounds, arguments.seconds, 0.01, name)
            results[name] = {k: 1e3 * timing.median for k, timing in steps if timing is not None}
    return results


def ops_table(
    cases: list[str], elements: int, libraries: list[str], results: dict[str, dict[str, float]]
) -> Table:
    """Lay out one size: a row for each case, a column for each library and direction."""
    table = Table(title=f"{elements:,} elements, microseconds a call", title_justify="left")
    table.add_column("op", no_wrap=True)
    columns = [(False, name) for name in libraries]
    columns += [(True, name) for name in libraries if name != "numpy"]
    for backward, library in columns:
        direction = "forward, backward" if backward else "forward"
        table.add_column(f"{library}\n{direction}", justify="right")
    for case in cases:
        cells = (results[key(case, elements, back)].get(library) for back, library in columns)
        table.add_row(case, *("none" if cell is None else f"{cell:,.2f}" for cell in cells))
    return table


def run(code: str) -> list[float]:
    """Return the numbers that a fresh process prints."""
    printed = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return [float(word) for word in printed.split()]


def measure_imports(libraries: list[str], rounds: int) -> dict[str, float]:
    """Return the median seconds of each import, in alternation, from a warm disk cache."""
    found: dict[str, list[float]] = {library: [] for library in libraries}
    for round_ in range(rounds + 1):
        for library, seconds in found.items():
            value = run(IMPORT.format(library=library))
            if round_ > 0:  # the first fills the disk cache
                seconds += value
    return {library: statistics.median(seconds) for library, seconds in found.items()}


def main() -> None:
    """Measure, print, write."""
    arguments = parse_arguments()
    workers, able = start(arguments.libraries, arguments.threads)
    content: dict[str, Any] = {"machine": harness.machine(), "threads": arguments.threads}
    try:
        content["microseconds"] = measure_ops(arguments, workers, able)
    finally:
        for worker in workers.values():
            worker.close()
    for elements in SIDES:
        console.print(ops_table(arguments.cases, elements, list(workers), content["microseconds"]))

    content["import_seconds"] = measure_imports(list(workers), arguments.rounds)
    for library, seconds in content["import_seconds"].items():
        console.print(f"import {library}: {seconds:.2f} s")
    if "tinygrad_rl" in workers:
        run(COMPILATIONS)  # fills the cache where it is empty
        importing, running = (int(number) for number in run(COMPILATIONS))
        content["compilations"] = {"import": importing, "second_process": running}
        console.print(f"compiled by the import: {importing}; by a second process: {running}")
    harness.write_json(arguments.json, content)
    console.print(f"Written to {arguments.json}")


if __name__ == "__main__":
    main()
