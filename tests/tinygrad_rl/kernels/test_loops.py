"""Loops made from scalar expressions: what they compute, and in which dtype they add it up."""

import numpy as np
import pytest
from scipy.special import logsumexp

from tinygrad_rl.kernels.loops import elementwise, local_names, reduction


@pytest.mark.parametrize("rows", [1, 3, 700])
def test_elementwise_takes_arrays_however_they_lie(rng, rows):
    kinds = ("float32",) * 4
    line = elementwise("line", "a * b + c - d", ("a", "b", "c", "d"), "float32", kinds)
    a, row, column = (rng.normal(size=n).astype(np.float32) for n in [(rows, 600), 600, (rows, 1)])
    number = np.float32(1.5)
    for x in (a, a[:, ::2], a[::-1], np.asfortranarray(a), a[:, 3::-1]):
        r = row[: x.shape[1]]
        got = line(x, r, column, number)
        np.testing.assert_allclose(got, x * r + column - number, rtol=1e-6, atol=1e-6)
        assert got.dtype == np.float32
    out = np.zeros((rows, 1200), np.float32)
    line(a, row, column, number, out[:, ::2])
    assert not out[:, 1::2].any()
    np.testing.assert_array_equal(out[:, ::2], line(a, row, column, number))


def test_elementwise_reads_and_writes_booleans(rng):
    x, y = (rng.normal(size=(5, 700)).astype(np.float32) for _ in range(2))
    less = elementwise("less", "a < b", ("a", "b"), "boolean", ("float32",) * 2)
    chosen = elementwise("chosen", "a if c else b", "cab", "float32", ("boolean", *["float32"] * 2))
    assert less(x, y).dtype == bool
    np.testing.assert_array_equal(less(x, y[0]), x < y[0])
    np.testing.assert_array_equal(chosen(x < y, x, y[:, :1]), np.where(x < y, x, y[:, :1]))


def test_elementwise_warns_of_nothing_and_leaves_numpy_its_warnings():
    divide = elementwise("divide", "a / b", ("a", "b"), "float32", ("float32",) * 2)
    modulo = elementwise("modulo", "a % b", ("a", "b"), "float64", ("float64",) * 2)
    zeros = np.zeros(3, np.float32)
    with np.errstate(all="raise"):
        assert np.all(np.isinf(divide(zeros + 1, zeros)))
        assert np.all(np.isnan(modulo(zeros + 1.0, zeros + 0.0)))
        with pytest.raises(FloatingPointError):
            np.divide(zeros + 1, zeros)


def test_arguments_may_be_called_as_what_a_loop_calls_its_own(rng):
    names = ("out", "count", "i", "out_", "min", "a_block")
    args = local_names(names)
    assert len({*args}) == len(args) and args[3] == "out_"
    total = elementwise("total", " + ".join(args), args, "float64", ("float64",) * 6)
    arrays = rng.normal(size=(6, 4))
    np.testing.assert_allclose(total(*arrays), arrays.sum(0), rtol=1e-12)


@pytest.mark.parametrize(
    ("start", "combine", "finish", "dtypes", "expected"),
    [
        ("0", "total + x", None, ("float64",) * 3, lambda x: x.sum(1)),
        ("0", "total + x", "total / n", ("float32", "float64", "float32"), lambda x: x.mean(1)),
        ("0", "total + x * x", "sqrt(total)", ("float64",) * 3, lambda x: np.sqrt((x * x).sum(1))),
        ("-inf", "maximum(total, x)", None, ("float32",) * 3, lambda x: x.max(1)),
        (
            "-inf",
            "maximum(total, x) + log1p(exp(-abs(total - x)))",
            None,
            ("float64",) * 3,
            lambda x: logsumexp(x, 1),
        ),
        ("0", "total + (x > 0)", None, ("float32", "int64", "int64"), lambda x: (x > 0).sum(1)),
        ("0", "total or x > 1", None, ("float32", "boolean", "boolean"), lambda x: (x > 1).any(1)),
        ("1", "total * x", None, ("int64",) * 3, lambda x: x.prod(1)),
    ],
)  # fmt: skip
def test_reduction_starts_combines_and_finishes(rng, start, combine, finish, dtypes, expected):
    loop = reduction("reduce", start, combine, finish, *dtypes)
    x = (3 * rng.normal(size=(5, 7))).astype(dtypes[0])
    out = np.empty(5, {"boolean": "bool"}.get(dtypes[2], dtypes[2]))
    loop(out, x)
    np.testing.assert_allclose(out, expected(x), rtol=1e-6)


def test_reduction_of_an_empty_row_is_what_it_starts_with():
    out = np.ones(3, np.float32)
    reduction("reduce", "2.5", "total + x", None, "float32", "float32", "float32")(
        out, np.empty((3, 0), np.float32)
    )
    assert np.all(out == 2.5)


def test_total_has_a_dtype_of_its_own():
    """2^24 + 1 is not a float32 number: in order, in float32, the ones are lost."""
    x = np.array([[2.0**24, *[1.0] * 8]], np.float32)
    out = np.empty(1, np.float32)
    reduction("reduce", "0", "total + x", None, "float32", "float32", "float32")(out, x)
    assert out == 2.0**24
    reduction("reduce", "0", "total + x", None, "float32", "float64", "float32")(out, x)
    assert out == 2.0**24 + 8
