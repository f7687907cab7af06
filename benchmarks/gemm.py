"""Single matrix products on one core: ours, OpenBLAS's, and what the processor can at all.

    python benchmarks/gemm.py

The shapes are those of an update's products, `a @ b` with a transposed (t) or as it is (n). Each is
checked against float64 first. The limit is a loop of multiply-adds that never leaves the registers.
"""

import ctypes
import statistics
import time
from collections.abc import Callable

import harness
import llvmlite.binding
import numpy as np
from numba import float32, int64, njit, types
from numba.extending import intrinsic
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.linalg.blas import sgemm
from threadpoolctl import threadpool_limits

from tinygrad_rl.kernels import gemm
from tinygrad_rl.kernels.vector import Vectors

SHAPES = [  # rows, terms, columns, a transposed?, b transposed?
    *((256, k, 256, False, True) for k in (256, 17, 23)),
    (256, 256, 6, False, True), (256, 256, 256, False, False), (256, 256, 6, False, False),
    (256, 256, 256, True, False), (6, 256, 256, True, False), (256, 256, 23, True, False),
    (100, 400, 300, False, True), (64, 64, 64, False, True), (64, 64, 64, False, False),
    (64, 64, 64, True, False), (64, 4, 64, False, True), (1, 17, 256, False, True),
    (1, 256, 256, False, True),
]  # fmt: skip
ROUNDS, SECONDS, CHAINS = 9, 0.05, 12


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
        return code.total(total)

    return types.float32(types.float32, types.int64), codegen


@njit(float32(float32, int64))
def spin(x: float, count: int) -> float:
    """See `multiply_add`."""
    return multiply_add(x, count)


def ours(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    """A call of our product, arguments ready."""
    gemm.install(out.dtype)
    address = llvmlite.binding.address_of_symbol(gemm.symbol(out.dtype))
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * gemm.ARGUMENTS)(address)
    steps = [step // 4 for x in (a, b) for step in x.strides]
    addresses = [x.ctypes.data for x in (out, a, b)]
    numbers = [*addresses, *out.shape, a.shape[1], out.strides[0] // 4, *steps, len(out)]
    arguments = [ctypes.c_int64(n) for n in numbers]
    return lambda: function(*arguments)


def openblas(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> Callable[[], None]:
    """A call of SciPy's; to BLAS, which counts columns first, it is out.T = b.T @ a.T."""
    flip_a, flip_b = (not x.flags.c_contiguous for x in (a, b))
    left, right = (b if flip_b else b.T), (a if flip_a else a.T)

    def call() -> None:
        sgemm(1.0, left, right, 0.0, out.T, trans_a=flip_b, trans_b=flip_a, overwrite_c=1)

    return call


def measure(calls: list[Callable[[], object]]) -> list[float]:
    """Microseconds of each, measured in turn: the median over the rounds."""
    rounds = [[1e3 * harness.median_call(call, SECONDS) for call in calls] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def main() -> None:
    """Print a table."""
    harness.use_cores(1)
    rng = np.random.default_rng(0)
    table = Table("a", "b", "ours, us", "OpenBLAS, us", "ours, GFLOP/s", "OpenBLAS, GFLOP/s")
    with threadpool_limits(1):
        for m, k, n, flip_a, flip_b in track(SHAPES, "products", transient=True):
            a = rng.standard_normal((k, m) if flip_a else (m, k)).astype(np.float32)
            b = rng.standard_normal((n, k) if flip_b else (k, n)).astype(np.float32)
            a, b = (a.T if flip_a else a), (b.T if flip_b else b)
            outs = np.empty((2, m, n), np.float32)
            calls = [ours(a, b, outs[0]), openblas(a, b, outs[1])]
            for call, out in zip(calls, outs, strict=True):
                call()
                np.testing.assert_allclose(out, a.astype(float) @ b.astype(float), 1e-3, 1e-3)
            times = measure(calls)
            names = [f"{x.shape[0]}x{x.shape[1]}{' t' * f}" for x, f in ((a, flip_a), (b, flip_b))]
            rates = [2e-3 * m * k * n / t for t in times]
            table.add_row(*names, *(f"{t:.1f}" for t in times), *(f"{r:.0f}" for r in rates))
    start = time.perf_counter()
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        spin(1.0, 1_000_000)
        rates.append(2e-9 * 16 * CHAINS * 1_000_000 / (time.perf_counter() - start))
    console = Console()
    console.print(table)
    console.print(
        f"Multiply-adds in registers: {statistics.median(rates):.0f} GFLOP/s "
        f"({min(rates):.0f} to {max(rates):.0f})"
    )


if __name__ == "__main__":
    main()
