"""Matrix products: `matmul` with NumPy's rules, and `linear`, the layer of every network."""

from typing import Any

import numpy as np

from tinygrad_rl.core import Op, Tensor, as_tensor, method
from tinygrad_rl.ops.reduce import sum_, sum_to
from tinygrad_rl.ops.shape import expand_dims, reshape, squeeze, swapaxes

Array = np.ndarray[Any, Any]


def _matmul_forward(a: Array, b: Array) -> Array:
    return np.matmul(a, b)


def _matmul_flops(out: Array, a: Array, b: Array) -> int:
    return 2 * out.size * a.shape[-1]


matmul_ = Op(
    "matmul",
    forward=_matmul_forward,
    vjp={
        "a": lambda g, b, a_shape: sum_to(matmul_(g, swapaxes(b, -1, -2)), a_shape),
        "b": lambda g, a, b_shape: sum_to(matmul_(swapaxes(a, -1, -2), g), b_shape),
    },
    flops=_matmul_flops,
)


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


def _linear_forward(x: Array, weight: Array, bias: Array) -> Array:
    out: Array = np.matmul(x, weight.T)
    out += bias
    return out


def _rows(t: Tensor) -> Tensor:
    return t if t.ndim == 2 else reshape(t, (-1, t.shape[-1]))


def _linear_weight_vjp(g: Tensor, x: Tensor) -> Tensor:
    return matmul_(swapaxes(_rows(g), 0, 1), _rows(x))


linear_ = Op(
    "linear",
    forward=_linear_forward,
    vjp={
        "x": lambda g, weight: matmul_(g, weight) if g.ndim > 1 else matmul(g, weight),
        "weight": _linear_weight_vjp,
        "bias": lambda g: sum_(_rows(g), 0),
    },
    flops=lambda out, x, weight, bias: 2 * out.size * x.shape[-1],
)


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
