"""Loops made from scalar expressions: what they compute, and in which dtype they add it up."""

import numpy as np
import pytest
from scipy.special import logsumexp

from tinygrad_rl.kernels.loops import elementwise, reduction


def test_elementwise_repeats_numbers_rows_and_columns(rng):
    kinds = ("float32",) * 4
    loop = elementwise("line", "a * b + c - d", ("a", "b", "c", "d"), "float32", kinds, "vsrc")
    a, b, c, d = (rng.normal(size=n).astype(np.float32) for n in [(3, 4), 1, 4, 3])
    out = np.empty_like(a)
    loop(out, a, b, c, d)
    np.testing.assert_allclose(out, a * b + c - d[:, None], rtol=1e-6, atol=1e-6)


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
