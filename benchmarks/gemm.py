"""Single matrix products on one core: ours, OpenBLAS's, and what the processor can at all.

    python benchmarks/gemm.py               # the products of an update
    python benchmarks/gemm.py --grid        # ten sizes of rows, terms and columns, all combinations
    python benchmarks/gemm.py --grid --sizes 6 100 1024     # a quick look

`a @ b` with a transposed (t) or as it is (n), in the layouts that an update has: nt is a layer, nn
the gradient of its input, tn that of its weights. Each product is checked against float64 first.
Both are called by machine code, in turn and each as often as takes a while; a ratio is the median
of the rounds' ratios. The limit is a loop of multiply-adds that never leaves the registers.
"""

import argparse
import ctypes
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import harness
import llvmlite.binding
import numpy as np
from numba import float32, int64, njit, types
from numba.extending import intrinsic
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.linalg import cython_blas
from threadpoolctl import threadpool_limits

from tinygrad_rl.kernels import gemm
from tinygrad_rl.kernels.vector import Vectors

SHAPES = [  # rows, terms, columns, a and b
    *((256, k, 256, "nt") for k in (256, 17, 23)),
    (256, 256, 6, "nt"), (256, 256, 256, "nn"), (256, 256, 6, "nn"),
    (256, 256, 256, "tn"), (6, 256, 256, "tn"), (256, 256, 23, "tn"),
    (100, 400, 300, "nt"), (64, 64, 64, "nt"), (64, 64, 64, "nn"),
    (64, 64, 64, "tn"), (64, 4, 64, "nt"), (1, 17, 256, "nt"),
    (1, 256, 256, "nt"), (512, 512, 512, "nt"), (1024, 1024, 1024, "nt"),
]  # fmt: skip
SIZES = (1, 6, 17, 23, 64, 100, 256, 400, 1024, 2048)
LAYOUTS = ("nt", "nn", "tn")
GOAL = 0.95
SECONDS, CHAINS = 3e-4, 12


class Case(NamedTuple):
    """A product of matrices of these sizes."""

    rows: int
    terms: int
    columns: int
    layout: str


class Result(NamedTuple):
    """Microseconds of both, and OpenBLAS's time as a multiple of ours."""

    ours: float
    openblas: float
    ratio: float


@intrinsic
def multiply_add(typing_context, x, count):
    """`count` times as many multiply-adds as the registers take."""

    def codegen(context, builder, signature, arguments):
        code = Vectors(builder, signature.args[0])
        x = code.splat(arguments[0])
        sums = code.loop(
            arguments[1], [code.zero] * CHAINS, lambda k, sums: [code.fma(x, x, s) for s in sums]
        )
        total = sums[0]
        for value in sums[1:]:
            total = builder.fadd(total, value)
        return code.totals([total])[0]

    return types.float32(types.float32, types.int64), codegen


@njit(float32(float32, int64))
def spin(x: float, count: int) -> float:
    """See `multiply_add`."""
    return multiply_add(x, count)


def repeating(address: int, arguments: int) -> Callable[..., None]:
    """Machine code that calls a function of so many integers again and again."""
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * arguments)(address)

    @njit
    def repeat(numbers, count):
        for _ in range(count):
            function(*numbers)

    return repeat


def address_in(capsule: object) -> int:
    """The address of a function that Cython exports."""
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, name(capsule))


@cache
def own_product() -> Callable[..., None]:
    """Ours, again and again."""
    gemm.install(np.dtype(np.float32))
    name = gemm.symbol(np.dtype(np.float32))
    return repeating(llvmlite.binding.address_of_symbol(name), gemm.ARGUMENTS)


@cache
def openblas_product() -> Callable[..., None]:
    """SciPy's, again and again."""
    return repeating(address_in(cython_blas.__pyx_capi__["sgemm"]), 13)


def ours(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[int], None]:
    """So many calls of our product."""
    steps = [step // 4 for x in (a, b) for step in x.strides]
    addresses = [x.ctypes.data for x in (out, a, b)]
    numbers = (*addresses, *out.shape, a.shape[1], out.strides[0] // 4, *steps, len(out))
    return lambda count: own_product()(numbers, count)


def openblas(a: np.ndarray, b: np.ndarray, out: np.ndarray, layout: str) -> Callable[[int], None]:
    """So many calls of SciPy's; to BLAS, which counts columns first, it is out.T = b.T @ a.T."""
    (rows, columns), terms = out.shape, a.shape[1]
    steps = [terms if layout[1] == "t" else columns, rows if layout[0] == "t" else terms]
    letters = np.frombuffer(layout.upper().encode(), np.uint8).copy()
    factors = np.array([1, 0], np.float32)
    sizes = np.array([columns, rows, terms, *steps, columns], np.int32)
    kept = letters, factors, sizes  # BLAS takes every argument by its address
    flip_a, flip_b, one, zero, m, n, k, step_b, step_a, step = (
        x.ctypes.data + i * x.itemsize for x in kept for i in range(len(x))
    )
    b_, a_, out_ = (x.ctypes.data for x in (b, a, out))
    numbers = flip_b, flip_a, m, n, k, one, b_, step_b, a_, step_a, zero, out_, step

    def call(count: int, kept: object = kept) -> None:
        openblas_product()(numbers, count)

    return call


def measure(calls: list[Callable[[int], None]], rounds: int) -> Result:
    """Each in turn, as often as fills the time of a measurement."""
    counts = []
    for call in calls:
        start = time.perf_counter()
        call(1)
        counts.append(max(1, int(SECONDS / (time.perf_counter() - start))))
    times = np.empty((rounds, 2))
    for i in range(rounds):
        for j in (0, 1) if i % 2 else (1, 0):
            start = time.perf_counter()
            calls[j](counts[j])
            times[i, j] = 1e6 * (time.perf_counter() - start) / counts[j]
    own, other = np.median(times, axis=0)
    return Result(float(own), float(other), float(np.median(times[:, 1] / times[:, 0])))


def compare(case: Case, rounds: int) -> Result:
    """Check one product, then time it."""
    (m, k, n, layout), rng = case, np.random.default_rng(0)
    a = rng.standard_normal((k, m) if layout[0] == "t" else (m, k)).astype(np.float32)
    b = rng.standard_normal((n, k) if layout[1] == "t" else (k, n)).astype(np.float32)
    a, b = (a.T if layout[0] == "t" else a), (b.T if layout[1] == "t" else b)
    outs = np.empty((2, m, n), np.float32)
    calls = [ours(a, b, outs[0]), openblas(a, b, outs[1], layout)]
    exact = a.astype(float) @ b.astype(float)
    for call, out in zip(calls, outs, strict=True):
        call(1)
        np.testing.assert_allclose(out, exact, 1e-3, 1e-3 * k**0.5)
    result = measure(calls, rounds)
    # Near the goal chance decides: those are measured for longer.
    return result if result.ratio > 1.03 * GOAL else measure(calls, 4 * rounds)


def grid(arguments: argparse.Namespace) -> Iterator[Case]:
    """All combinations that were asked for."""
    for sizes in itertools.product(*(getattr(arguments, n) for n in ("rows", "terms", "columns"))):
        m, k, n = sizes
        yield from (Case(m, k, n, layout) for layout in arguments.layouts)


def table(results: dict[Case, Result]) -> Table:
    """One row for each product."""
    table = Table("rows", "terms", "columns", "", "us", "OpenBLAS", "GFLOP/s", "OpenBLAS", "ratio")
    for case, result in results.items():
        flops = 2e-3 * case.rows * case.terms * case.columns
        times = (f"{t:.3g}" if t < 100 else f"{t:.0f}" for t in result[:2])
        rates = (f"{flops / t:.3g}" for t in result[:2])
        table.add_row(*map(str, case), *times, *rates, f"{result.ratio:.2f}")
    return table


def summary(results: dict[Case, Result]) -> Table:
    """How many products are how fast, by the smallest of their sizes."""
    table = Table("smallest size", "products", "below the goal", "lowest", "1st decile", "median")
    by_size: dict[str, list[float]] = {"all": [r.ratio for r in results.values()]}
    for case, result in results.items():
        by_size.setdefault(str(min(case[:3])), []).append(result.ratio)
    for name, ratios in sorted(by_size.items(), key=lambda item: -len(item[1])):
        below = sum(r < GOAL for r in ratios)
        shares = (f"{np.quantile(ratios, q):.2f}" for q in (0, 0.1, 0.5))
        table.add_row(name, str(len(ratios)), str(below), *shares)
    return table


def limit() -> str:
    """What a core can multiply and add, as a sentence."""
    rates = []
    for _ in range(9):
        start = time.perf_counter()
        spin(1.0, 1_000_000)
        rates.append(2e-9 * 16 * CHAINS * 1_000_000 / (time.perf_counter() - start))
    low, high = min(rates), max(rates)
    return f"Multiply-adds in registers: {statistics.median(rates):.0f} ({low:.0f} to {high:.0f})"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grid", action="store_true", help="all combinations, not an update's")
    for name in ("rows", "terms", "columns"):
        parser.add_argument(f"--{name}", nargs="+", type=int, help="of the grid, default: --sizes")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worst", type=int, default=25, help="how many of the grid are shown")
    parser.add_argument("--json", type=Path, default=harness.HERE / "results" / "gemm.json")
    arguments = parser.parse_args()
    for name in ("rows", "terms", "columns"):
        setattr(arguments, name, getattr(arguments, name) or arguments.sizes)
    return arguments


def main() -> None:
    """Measure, write, print."""
    arguments, console = parse_arguments(), Console()
    harness.use_cores(1)
    cases = list(grid(arguments)) if arguments.grid else [Case(*shape) for shape in SHAPES]
    with threadpool_limits(1):
        results = {
            case: compare(case, arguments.rounds)
            for case in track(cases, "products", transient=True, console=console)
        }
    rows = [case._asdict() | result._asdict() for case, result in results.items()]
    harness.write_json(arguments.json, {"machine": harness.machine(), "results": rows})
    if arguments.grid:
        worst = sorted(results.items(), key=lambda item: item[1].ratio)[: arguments.worst]
        console.print(table(dict(worst)), summary(results))
    else:
        console.print(table(results))
    console.print(f"{limit()} GFLOP/s. All {len(results)} products: {arguments.json}")


if __name__ == "__main__":
    main()
