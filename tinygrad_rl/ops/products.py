"""Matrix products: `matmul` with NumPy's rules, `linear`, the layer of every network, and kin."""

from typing import Any

import numpy as np

from tinygrad_rl.core import (
    REFLECTED,
    Composite,
    Product,
    Tensor,
    as_tensor,
    method,
    normalize_axes,
)
from tinygrad_rl.ops.arithmetic import add, mul, where
from tinygrad_rl.ops.index import getitem
from tinygrad_rl.ops.reduce import sum_, sum_op
from tinygrad_rl.ops.shape import expand_dims, permute_, reshape, squeeze, swapaxes

Array = np.ndarray[Any, Any]


matmul_ = Product("matmul", "ik,kj->ij")
matmul_.symbol = "@"
matmul_tn = Product("matmul_tn", "ki,kj->ij")  # a.T @ b


@method("__matmul__", "matmul")
def matmul(a: Any, b: Any) -> Tensor:
    """Matrix product with NumPy's rules: vectors, matrices, and stacks of matrices that broadcast.

    Raises
    ------
    ValueError : naming both shapes, when the inner sizes differ or an input is 0-d.
    """
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul needs at least one axis on both sides; use * for numbers")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: inner sizes differ in {a.shape} @ {b.shape}")
    left = expand_dims(a, 0) if a.ndim == 1 else a
    right = expand_dims(b, 1) if b.ndim == 1 else b
    out = matmul_(left, right)
    if a.ndim == 1:
        out = squeeze(out, -2)
    return squeeze(out, -1) if b.ndim == 1 else out


method("__rmatmul__")(lambda self, other: matmul(other, self))
REFLECTED[np.matmul] = matmul


def _linear_forward(x: Array, weight: Array, bias: Array) -> Array:
    out: Array = np.matmul(x, weight.T)
    if out.dtype != bias.dtype:
        return out + bias
    out += bias
    return out


def _rows(t: Tensor) -> Tensor:
    return t if t._array.ndim == 2 else reshape(t, (-1, t.shape[-1]))


def _linear_composition(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out = add(matmul_(_rows(x), swapaxes(weight, 0, 1)), bias)
    return out if x.ndim == 2 else reshape(out, (*x.shape[:-1], weight.shape[0]))


linear_ = Composite(
    "linear",
    _linear_forward,
    _linear_composition,
    vjp={
        "x": lambda g, weight: matmul(g, weight),
        "weight": lambda g, x: matmul_tn(_rows(g), _rows(x)),
        "bias": lambda g: sum_op(_rows(g), 0),
    },
    flops=lambda out, x, weight, bias: 2 * out.size * x.shape[-1],
)
linear_.contracts = True


def linear(x: Any, weight: Any, bias: Any = None) -> Tensor:
    """`x @ weight.T + bias`.

    Parameters
    ----------
    x : shape (..., in_features).
    weight : shape (out_features, in_features).
    bias : shape (out_features,) or None.

    Raises
    ------
    ValueError : naming the shapes that don't fit.
    """
    x, weight = as_tensor(x), as_tensor(weight)
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"linear: input {x.shape} does not fit weight {weight.shape} (out, in)")
    if bias is None:
        return matmul(x, swapaxes(weight, 0, 1))
    bias = as_tensor(bias)
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"linear: bias {bias.shape} does not fit weight {weight.shape} (out, in)")
    return linear_(x, weight, bias)


@method("dot")
def dot(a: Any, b: Any) -> Tensor:
    """NumPy's dot: the last axis of `a` with the second to last of `b` (a vector's only one)."""
    a, b = as_tensor(a), as_tensor(b)
    if not a.ndim or not b.ndim:
        return mul(a, b)
    if b.ndim <= 2:
        return matmul(a, b)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"dot: inner sizes differ in {a.shape} and {b.shape}")
    n = b.shape[-2]
    rest = (*b.shape[:-2], b.shape[-1])
    columns = reshape(permute_(b, axes=(b.ndim - 2, *range(b.ndim - 2), b.ndim - 1)), n, -1)
    return reshape(matmul(a, columns), *a.shape[:-1], *rest)


@method("outer")
def outer(a: Any, b: Any) -> Tensor:
    """All products of an element of `a` with one of `b`: shape (a.size, b.size)."""
    return mul(reshape(a, -1, 1), reshape(b, 1, -1))


@method("diagonal")
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Entries whose number along `axis2` is that along `axis1` plus `offset`, as the last axis."""
    x = as_tensor(x)
    (a,), (b,) = normalize_axes(axis1, x.ndim), normalize_axes(axis2, x.ndim)
    if a == b:
        raise ValueError(f"diagonal needs two different axes, not {axis1} and {axis2}")
    rest = [i for i in range(x.ndim) if i not in (a, b)]
    first, second = max(-offset, 0), max(offset, 0)
    count = max(0, min(x.shape[a] - first, x.shape[b] - second))
    along = np.arange(count)
    return getitem(permute_(x, axes=(*rest, a, b)), (..., along + first, along + second))


@method("trace")
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum of the `diagonal`."""
    return sum_(diagonal(x, offset, axis1, axis2), -1)


@method("tril")
def tril(x: Any, k: int = 0) -> Tensor:
    """The last two axes with zeros above the diagonal number `k`."""
    x = _matrix("tril", x)
    return where(np.tri(x.shape[-2], x.shape[-1], k, dtype=np.bool_), x, 0)


@method("triu")
def triu(x: Any, k: int = 0) -> Tensor:
    """The last two axes with zeros below the diagonal number `k`."""
    x = _matrix("triu", x)
    return where(np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=np.bool_), 0, x)


def _matrix(name: str, x: Any) -> Tensor:
    x = as_tensor(x)
    if x.ndim < 2:
        raise ValueError(f"{name} needs at least two axes, not shape {x.shape}")
    return x
