"""Time single ops, and a chain of small ones, beside PyTorch; where the time goes; the import.

    python benchmarks/ops.py --quick
    python benchmarks/ops.py --cases softmax layer_norm
    python benchmarks/ops.py --profile

Microseconds a call, float32 on square matrices of 8x8 and 256x256: forward alone on inputs that
require no gradient, then forward and backward on inputs that do. Both libraries run in this
process, on one thread, by turns; a ratio is the median of the rounds' ratios.
"""

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import harness
from ops_cases import CASES, CHAIN_CASE, LIBRARIES, backward, forward, inputs
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

SIDES = (8, 256)
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
    (tg.softmax(tg.exp(x) @ w, 1) * 2).sum().backward()
print(*(sum(e.is_start for _, e in recorder.buffer) for recorder in (importing, running)))
"""
FIRST_CALL = """
import time
import tinygrad_rl as tg
x = tg.Tensor([[0.5, 1.5]])
start = time.perf_counter()
tg.{function}(x)
first = time.perf_counter()
tg.{other}(x)
print(first - start, time.perf_counter() - first)
"""
MILLION = """
import time
import tinygrad_rl as tg

def megabytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

x = y = tg.Tensor(1.0, requires_grad=True)
(tg.sin(y) + x).backward()
before = megabytes()
start = time.perf_counter()
for _ in range(500_000):
    y = tg.sin(y) + x
built = time.perf_counter()
print(megabytes() - before, built - start)
y.backward()
print(time.perf_counter() - built)
"""


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--sides", nargs="+", type=int, default=list(SIDES), help="of the matrices")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each case")
    parser.add_argument("--seconds", type=float, default=0.01, help="length of a measurement")
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    parser.add_argument("--profile", action="store_true", help="where the time goes, 8x8")
    parser.add_argument(
        "--json", type=Path, default=harness.HERE / "results" / "ops.json", help="file to write"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 3
    return arguments


# -- beside PyTorch --------------------------------------------------------------------------------


def libraries() -> dict[str, SimpleNamespace]:
    """Return those that are installed."""
    found = {}
    for name, load in LIBRARIES.items():
        try:
            found[name] = load()
        except ImportError as error:
            console.print(f"{name}: {error.name} is {harness.NOT_INSTALLED}", style="yellow")
    return found


def measure(
    calls: dict[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, harness.Timing]:
    """Return each call's timing, measured by turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        harness.median_call(call, seconds / 2)
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(harness.median_call(call, seconds))
    return {name: harness.Timing(values) for name, values in found.items()}


def compare(arguments: argparse.Namespace, side: int) -> dict[str, dict[str, float]]:
    """Measure all cases with matrices of one size, print the table, return its columns."""
    found, rows = libraries(), {}
    table = Table(title=f"{side}x{side}, microseconds a call", title_justify="left")
    table.add_column("op", no_wrap=True)
    for title in ("forward", "forward, backward"):
        for name in found:
            table.add_column(f"{title}\n{name}", justify="right")
        table.add_column("\nratio", justify="right")
    with Progress(console=console, transient=True) as progress:
        for case in progress.track(arguments.cases, description=f"{side}x{side}"):
            row, cells = {}, []
            for title, make in (("forward", forward), ("backward", backward)):
                calls = {name: make(m, case, side) for name, m in found.items()}
                times = measure(calls, arguments.rounds, arguments.seconds)
                row |= {f"{title} {name}": 1e3 * t.median for name, t in times.items()}
                cells += [f"{1e3 * t.median:,.2f}" for t in times.values()]
                if len(times) == 2:
                    row[f"{title} ratio"] = times["ours"].ratio(times["torch"])
                cells.append(f"{row[f'{title} ratio']:.2f}" if len(times) == 2 else "")
            rows[case] = row
            table.add_row(case, *cells)
    console.print(table)
    ratios = {k: r["backward ratio"] for k, r in rows.items() if "backward ratio" in r}
    single = {k: ratio for k, ratio in ratios.items() if k != CHAIN_CASE}
    if single:
        mean = math.exp(statistics.mean(map(math.log, single.values())))
        worst = max(single, key=lambda k: single[k])
        console.print(
            f"With gradient, ours / torch: geometric mean {mean:.2f}, "
            f"highest {single[worst]:.2f} ({worst})"
        )
    return rows


# -- where the time goes ---------------------------------------------------------------------------


def profile(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Print the parts of a call with its backward pass, beside what they can't do without."""
    import numpy as np

    from tinygrad_rl.kernels import loops

    m, rows = LIBRARIES["ours"](), {}
    a = np.ones((8, 8), np.float32)
    kernel = loops.elementwise("mul", "a * b", ("a", "b"), "float32", ("float32",) * 2)
    floor = {
        "an empty Python function": lambda: None,
        "a NumPy ufunc, 8x8": lambda: np.multiply(a, a),
        "ours of a compiled loop, 8x8": lambda: kernel(a, a),
        "a sum by NumPy, 8x8": lambda: np.add.reduce(a, axis=None),
        "a product by NumPy, 8x8": lambda: np.matmul(a, a),
    }
    for name, timing in measure(floor, arguments.rounds, arguments.seconds).items():
        console.print(f"{name}: {1e3 * timing.median:.2f} us")
    table = Table(title="8x8, microseconds", title_justify="left")
    for title in ("op", "forward", "recording", "rules", "sweep, gradients", "all"):
        table.add_column(title, justify="left" if title == "op" else "right")
    for case in arguments.cases:
        given = inputs(m, case, 8, True)
        function = CASES[case][1]
        calls = {
            "forward": forward(m, case, 8),
            "recorded": lambda function=function, given=given: function(m, *given),
            "all": backward(m, case, 8),
        }
        times = measure(calls, arguments.rounds, arguments.seconds)
        us = {name: 1e3 * timing.median for name, timing in times.items()}
        rules = _rules(function(m, *given), arguments.rounds)
        rows[case] = {
            "forward": us["forward"],
            "recording": us["recorded"] - us["forward"],
            "rules": rules,
            "sweep, gradients": us["all"] - us["recorded"] - rules,
            "all": us["all"],
        }
        table.add_row(case, *(f"{value:.2f}" for value in rows[case].values()))
    console.print(table)
    return rows


def _rules(out: Any, rounds: int) -> float:
    """Microseconds that the rules take in a backward pass: each is called by a clock instead."""
    import numpy as np

    import tinygrad_rl as tg

    spent, clock = [0.0], time.perf_counter

    def timed(rule: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any) -> Any:
            start = clock()
            result = rule(*values)
            spent[0] += clock() - start
            return result

        return run

    stack, seen = [out.node], set()
    while stack:
        node = stack.pop()
        if node not in seen and isinstance(node, tg.core.Node):
            seen.add(node)
            stack += node.parents
    start = clock()
    for _ in range(1000):
        clock()
    reading = (clock() - start) / 1000
    count = 0
    for node in seen:
        rules = tuple((timed(rule), names) for rule, names in node.plan.rules)
        node.plan = node.plan._replace(rules=rules)
        count += len(rules)
    g = tg.Tensor(np.ones(out.shape, np.float32))
    found = []
    for _ in range(200 * rounds):
        spent[0] = 0.0
        out.backward(g, retain_graph=True)
        found.append(spent[0] - count * reading)
    return 1e6 * statistics.median(found)


# -- processes -------------------------------------------------------------------------------------


def run(code: str) -> list[float]:
    """Return the numbers that a fresh process prints."""
    printed = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    return [float(word) for word in printed.split()]


def measure_processes(rounds: int) -> dict[str, Any]:
    """Print what imports take, what is compiled, first calls, and a graph of a million ops."""
    modules = ["tinygrad_rl", "numpy"]
    times = {name: [run(IMPORT.format(library=name))[0] for _ in range(rounds)] for name in modules}
    imports = {name: statistics.median(values[1:]) for name, values in times.items()}
    for name, seconds in imports.items():
        console.print(f"import {name}: {seconds:.2f} s")
    run(COMPILATIONS)  # fills the cache where it is empty
    importing, running = (int(number) for number in run(COMPILATIONS))
    console.print(f"compiled by the import: {importing}; by a second process: {running}")
    code = FIRST_CALL.format(function="exp", other="softmax")
    first, second = map(statistics.median, zip(*(run(code) for _ in range(rounds)), strict=True))
    console.print(
        f"first call of a process: {1e3 * first:.0f} ms; of another op {1e3 * second:.0f}"
    )
    size, built, swept = run(MILLION)
    console.print(f"a graph of a million ops: {size:.0f} MB, {built:.1f} s; back {swept:.1f} s")
    return {
        "import_seconds": imports,
        "compilations": {"import": importing, "second_process": running},
        "first_calls_seconds": [first, second],
        "million": {"megabytes": size, "seconds": [built, swept]},
    }


def main() -> None:
    """Measure, print, write."""
    arguments = parse_arguments()
    content: dict[str, Any] = {"machine": harness.machine()}
    harness.use_cores(1)
    if arguments.profile:
        content["profile"] = profile(arguments)
    else:
        for side in arguments.sides:
            content[f"{side}x{side}"] = compare(arguments, side)
        content |= measure_processes(min(arguments.rounds, 5))
    harness.write_json(arguments.json, content)
    console.print(f"Written to {arguments.json}")


if __name__ == "__main__":
    main()
