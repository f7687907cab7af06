"""Reductions over axes, NumPy's arguments: `axis` an int, a tuple or None (all), `keepdims`."""

from typing import Any

import numpy as np

from tinygrad_rl.core import Op, Tensor, as_tensor, method
from tinygrad_rl.ops.elementwise import div, equal, mul, sqrt, square, sub
from tinygrad_rl.ops.shape import astype, broadcast_to, normalize_axes, reshape

Array = np.ndarray[Any, Any]
Axis = int | tuple[int, ...] | None


def _kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axis else n for i, n in enumerate(shape))


def _spread(t: Tensor, shape: tuple[int, ...], axis: tuple[int, ...]) -> Tensor:
    """Put the reduced axes back and repeat along them."""
    return broadcast_to(reshape(t, _kept(shape, axis)), shape)


def _sum_forward(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


sum_op = Op(
    "sum",
    forward=_sum_forward,
    vjp={"x": lambda g, x_shape, axis: _spread(g, x_shape, axis)},
)


@method("sum")
def sum_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis`. Booleans and small integers add up as int64."""
    x = as_tensor(x)
    return sum_op(x, axis=normalize_axes(axis, x.ndim), keepdims=keepdims)


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo broadcasting: sum over the axes along which `shape` was repeated to give `x.shape`."""
    if x.shape == shape:
        return x
    lead = x.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1
    )
    out = sum_op(x, axis=axes, keepdims=False) if axes else x
    return reshape(out, shape) if out.shape != shape else out


def _extreme_vjp(g: Tensor, x: Tensor, y: Tensor, axis: tuple[int, ...]) -> Tensor:
    """Ties share the gradient equally."""
    hit = astype(equal(x, _spread(y, x.shape, axis)), x.dtype)
    share = div(g, reshape(sum_op(hit, axis=axis, keepdims=False), g.shape))
    return mul(_spread(share, x.shape, axis), hit)


def _max_forward(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


def _min_forward(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


max_op = Op("max", forward=_max_forward, vjp={"x": _extreme_vjp})
min_op = Op("min", forward=_min_forward, vjp={"x": _extreme_vjp})


@method("max")
def max_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Largest element over `axis`; ties share the gradient equally.

    Raises
    ------
    ValueError : for an axis of size 0, which has no largest element.
    """
    return _extreme(max_op, x, axis, keepdims)


@method("min")
def min_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Smallest element over `axis`; ties share the gradient equally.

    Raises
    ------
    ValueError : for an axis of size 0, which has no smallest element.
    """
    return _extreme(min_op, x, axis, keepdims)


def _extreme(op: Op, x: Any, axis: Axis, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    if any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"{op.name} over an empty axis of a tensor of shape {x.shape}")
    return op(x, axis=axes, keepdims=keepdims)


def _count(x: Tensor, axes: tuple[int, ...]) -> int:
    count = 1
    for a in axes:
        count *= x.shape[a]
    return count


@method("mean")
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`; integers give float64."""
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    total = sum_op(x, axis=axes, keepdims=keepdims)
    return div(total, float(_count(x, axes)))


@method("var")
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Variance over `axis`, divided by n - ddof (NumPy's default: n)."""
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    centered = square(sub(x, mean(x, axes, keepdims=True)))
    return div(sum_op(centered, axis=axes, keepdims=keepdims), float(_count(x, axes) - ddof))


@method("std")
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Standard deviation over `axis`, the square root of `var`."""
    return sqrt(var(x, axis, keepdims, ddof))
