"""The matrix product: every shape, stride and dtype against float64, and nothing else touched."""

import ctypes
import os
import subprocess
import sys

import llvmlite.binding
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rl.kernels import gemm


def product(a, b, out, all_rows=None):
    """`out[...] = a @ b` through the machine code that compiled functions call."""
    gemm.install(out.dtype)
    address = llvmlite.binding.address_of_symbol(gemm.symbol(out.dtype))
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * gemm.ARGUMENTS)(address)

    def steps(x):
        return [step // x.itemsize for step in x.strides]

    addresses = [x.ctypes.data for x in (out, a, b)]
    strides = [steps(out)[0], *steps(a), *steps(b)]
    function(*addresses, *out.shape, a.shape[1], *strides, all_rows or len(out))


def matrix(rng, rows, columns, dtype, layout):
    """The same kind of numbers, as NumPy lays them out."""
    shape = (columns, rows) if layout == "transposed" else (rows, columns)
    x = rng.standard_normal(shape).astype(dtype)
    if layout == "transposed":
        return x.T
    if layout == "spread":
        wide = np.full((2 * rows, 3 * columns), np.nan, dtype)
        wide[::2, ::3] = x
        return wide[::2, ::3]
    return x


def check(rng, rows, columns, terms, dtype, layouts=("plain", "plain")):
    a = matrix(rng, rows, terms, dtype, layouts[0])
    b = matrix(rng, terms, columns, dtype, layouts[1])
    around = np.full((rows + 2, columns + 3), 7, dtype)
    out = around[1:-1, 1:-2]
    product(a, b, out)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert np.all(np.abs(out - exact) <= size * np.finfo(dtype).eps * (2 + terms**0.5))
    out[...] = 7
    assert np.all(around == 7), "numbers beside the result were written to"


LAYOUTS = st.sampled_from(["plain", "transposed", "spread"])
SIZES = st.one_of(st.integers(1, 12), st.integers(1, 70))


@given(
    sizes=st.tuples(SIZES, SIZES, SIZES),
    dtype=st.sampled_from([np.float32, np.float64]),
    layouts=st.tuples(LAYOUTS, LAYOUTS),
    seed=st.integers(0, 99),
)
def test_any_small_product(sizes, dtype, layouts, seed):
    check(np.random.default_rng(seed), *sizes, dtype, layouts)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(3, 5, 700), (70, 4, 600), (70, 20, 513), (300, 40, 257)])
@pytest.mark.parametrize("layout_a", ["plain", "transposed"])
@pytest.mark.parametrize("layout_b", ["plain", "transposed"])
def test_more_terms_than_are_added_in_one_go(dtype, sizes, layout_a, layout_b):
    check(np.random.default_rng(0), *sizes, dtype, (layout_a, layout_b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout_a", ["plain", "transposed", "spread"])
@pytest.mark.parametrize("layout_b", ["plain", "transposed", "spread"])
def test_rows_so_far_apart_that_a_is_copied(dtype, layout_a, layout_b):
    check(np.random.default_rng(0), 1030, 270, 1030, dtype, (layout_a, layout_b))


@pytest.mark.parametrize("layout_a", ["plain", "transposed"])
def test_long_rows_of_few_terms(layout_a):
    check(np.random.default_rng(0), 37, 300, 3, np.float32, (layout_a, "plain"))


def test_the_same_on_a_processor_without_avx512():
    features = "+sse2,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2"
    environment = os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": features}
    if "+avx512f" not in llvmlite.binding.get_host_cpu_features().flatten():
        pytest.skip("this is one")
    tests = ["-k", "small or more_terms or few_terms or same_bits"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, *tests]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("sizes", [(1030, 1100, 300), (64, 1100, 40), (40, 64, 10), (600, 6, 300)])
@pytest.mark.parametrize("layout_a", ["plain", "transposed"])
@pytest.mark.parametrize("layout_b", ["plain", "transposed"])
def test_halves_computed_apart_are_the_same_bits(sizes, layout_a, layout_b):
    rng = np.random.default_rng(0)
    rows, terms, columns = sizes
    a = matrix(rng, rows, terms, np.float32, layout_a)
    b = matrix(rng, terms, columns, np.float32, layout_b)
    whole, parts = np.empty((2, rows, columns), np.float32)
    product(a, b, whole)
    half = rows // 16 * 8
    for share in (slice(0, half), slice(half, rows)):
        product(a[share], b, parts[share], rows)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("layout_a", ["plain", "transposed"])
@pytest.mark.parametrize("layout_b", ["plain", "transposed"])
@pytest.mark.parametrize("columns", [1, 6, 20, 50])
@pytest.mark.parametrize("share", [16, 5])
def test_rows_computed_apart_are_the_same_bits(layout_a, layout_b, columns, share):
    rng = np.random.default_rng(0)
    a = matrix(rng, 64, 300, np.float32, layout_a)
    b = matrix(rng, 300, columns, np.float32, layout_b)
    whole, parts = np.empty((2, 64, columns), np.float32)
    product(a, b, whole)
    for first in range(0, 64, share):
        product(a[first : first + share], b, parts[first : first + share], 64)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("columns", [1, 40])
def test_nan_and_infinity_stay_visible(columns):
    a = np.zeros((20, 30), np.float32)
    b = np.ones((30, columns), np.float32)
    a[3, 4], a[5, 6], b[7, 0] = np.nan, np.inf, np.inf
    out = np.empty((20, columns), np.float32)
    product(a, b, out)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(out, a @ b, equal_nan=True)
