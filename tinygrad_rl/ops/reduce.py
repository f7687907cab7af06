"""Reductions over axes, NumPy's arguments: `axis` an int, a tuple or None (all), `keepdims`."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_rl.core import (
    FUNCTIONS,
    Kernel,
    Op,
    Reduction,
    Tensor,
    as_tensor,
    method,
    normalize_axes,
)
from tinygrad_rl.ops.arithmetic import abs_, equal, not_equal, root, square
from tinygrad_rl.ops.define import builtin_rowwise
from tinygrad_rl.ops.index import flip, slice_, slice_axis
from tinygrad_rl.ops.join import concatenate
from tinygrad_rl.ops.shape import astype, permute_, reshape, stop_gradient

Array = np.ndarray[Any, Any]
Axis = int | tuple[int, ...] | None


def _kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axis else n for i, n in enumerate(shape))


def _sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "f" else np.dtype(np.int64)


def _sum_forward(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=_sum_dtype(x.dtype))  # type: ignore[call-overload]


sum_op = Reduction(
    "sum",
    start=0,
    combine="total + x",
    dtype=_sum_dtype,
    forward=_sum_forward,
    vjp={"x": "g"},
)


@method("sum")
def sum_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis`. Booleans and integers add up as int64."""
    return sum_op(x, axis, keepdims)


def sum_to(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Undo broadcasting: sum over the axes along which `shape` was repeated to give `x.shape`."""
    have = x._array.shape
    if have == shape:
        return x
    lead = len(have) - len(shape)
    axes = (*range(lead), *(a + lead for a, n in enumerate(shape) if n == 1 != have[a + lead]))
    if not axes or (lead and len(axes) > lead):
        return reshape(sum_op(x, axes) if axes else x, shape)
    return sum_op(x, axes, not lead)


# Ties share the gradient equally.
max_op, min_op = (
    Reduction(
        name,
        start=start,
        combine=f"{function.__name__}(total, x)",
        forward=function.reduce,
        vjp={"x": "g / sum(1 if x == y else 0) if x == y else 0"},
    )
    for name, start, function in (("max", -np.inf, np.maximum), ("min", np.inf, np.minimum))
)
FUNCTIONS.update(sum=sum_op, max=max_op, min=min_op)


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
    return op(x, axis=_not_empty(op, x, axis), keepdims=keepdims)


def _not_empty(op: Op, x: Tensor, axis: Axis) -> tuple[int, ...]:
    """The axes, none of which may have size 0."""
    axes = normalize_axes(axis, x.ndim)
    if any(x.shape[a] == 0 for a in axes):
        raise ValueError(f"{op.name} over an empty axis of a tensor of shape {x.shape}")
    return axes


def _count(x: Tensor, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[a] for a in axes)


def _mean_forward(x: Array, *, axis: tuple[int, ...], keepdims: bool) -> Array:
    dtype = x.dtype if x.dtype.kind == "f" else np.float64
    total = np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=dtype)  # type: ignore[call-overload]
    count = math.prod([x.shape[a] for a in axis])
    return total / count if count else np.full_like(total, np.nan)


mean_op = Reduction(
    "mean",
    start=0,
    combine="total + x",
    finish="total / n",
    forward=_mean_forward,
    vjp={"x": "g / n"},
)


@method("mean")
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over `axis`; integers give float64."""
    return mean_op(x, axis, keepdims)


var_op = builtin_rowwise(
    "var(x, ddof=0)",
    "sum((x - mean(x)) * (x - mean(x))) / maximum(n - ddof, 0)",
    x="g * 2 * (x - mean(x)) / maximum(n - ddof, 0)",
)


@method("var")
def var(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Variance over `axis`, divided by n - ddof (NumPy's default: n)."""
    return var_op(x, ddof, axis=axis, keepdims=keepdims)


@method("std")
def std(x: Any, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """Standard deviation over `axis`, the square root of `var`; of equal values the gradient is 0.

    The first value is taken from all, which changes nothing but that equal ones are 0 exactly:
    rounded, they would differ from their mean, and the gradient would be that noise over itself.
    """
    x = _floating(x)
    axes = normalize_axes(axis, x.ndim)
    if _count(x, axes):
        first = tuple((0, 1 if i in axes else n, 1) for i, n in enumerate(x.shape))
        x = x - slice_(stop_gradient(x), bounds=first)
    return root(var(x, axes, keepdims, ddof))


def _cumsum_kernel(out: Array, x: Array, *, axis: int) -> None:
    behind = 1  # elements from one to the next along the axis
    for a in range(axis + 1, x.ndim):
        behind *= x.shape[a]
    sums, numbers = out.reshape(out.size), x.reshape(x.size)
    for r in range(x.size):
        sums[r] = numbers[r]
        if r // behind % x.shape[axis]:
            sums[r] += sums[r - behind]


cumsum_op: Op = Kernel(
    "cumsum",
    forward=lambda x, *, axis: np.add.accumulate(x, axis=axis, dtype=_sum_dtype(x.dtype)),
    kernel=_cumsum_kernel,
    shape=lambda x, *, axis: (x.shape, _sum_dtype(x.dtype)),
    vjp={"x": lambda g, axis: flip(cumsum_op(flip(g, axis), axis=axis), axis)},
)


@method("cumsum")
def cumsum(x: Any, axis: int | None = None) -> Tensor:
    """Running sum along `axis`; None runs over the flattened tensor. Integers add up as int64."""
    x = reshape(x, -1) if axis is None else as_tensor(x)
    (at,) = normalize_axes(axis or 0, x.ndim)
    return cumsum_op(x, axis=at)


@method("prod")
def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Product over `axis`; booleans and integers multiply as int64.

    Halves are multiplied with each other until one row is left: the gradient of that is exact to
    any order where elements are 0, which `y / x` is not.
    """
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    rows = permute_(x, axes=(*axes, *rest))
    rows = reshape(astype(rows, _sum_dtype(x.dtype)), _count(x, axes), *rows.shape[len(axes) :])
    if not rows.shape[0]:
        rows = sum_op(rows, axis=(0,), keepdims=True) + 1
    while (n := rows.shape[0]) > 1:
        half = slice_axis(rows, 0, 0, n // 2) * slice_axis(rows, 0, n // 2, n // 2 * 2)
        rows = concatenate([half, slice_axis(rows, 0, n - 1, n)]) if n % 2 else half
    return reshape(rows, _kept(x.shape, axes) if keepdims else rows.shape[1:])


# -- which element ---------------------------------------------------------------------------------


def _which_kernel(sign: int) -> Callable[..., None]:
    """The first of equals, and a NaN beats all, as in NumPy."""

    def kernel(out: Array, x: Array, *, axis: int) -> None:
        behind = 1  # elements from one to the next along the axis
        for a in range(axis + 1, x.ndim):
            behind *= x.shape[a]
        found, numbers = out.reshape(out.size), x.reshape(x.size)
        for r in range(found.size):
            first = r // behind * x.shape[axis] * behind + r % behind
            found[r] = 0
            for k in range(1, x.shape[axis]):
                a, b = numbers[first + k * behind], numbers[first + found[r] * behind]
                if b == b and (a != a or (a > b if sign > 0 else a < b)):
                    found[r] = k

    return kernel


argmax_op, argmin_op = (
    Kernel(
        function.__name__,
        forward=function,
        kernel=_which_kernel(sign),
        shape=lambda x, *, axis: ((*x.shape[:axis], *x.shape[axis + 1 :]), np.int64),
        differentiable=False,
    )
    for function, sign in ((np.argmax, 1), (np.argmin, -1))
)


@method("argmax")
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Number of the first largest element along `axis` (int64); None counts it flattened.

    Raises
    ------
    ValueError : for an axis of size 0.
    """
    return _which(argmax_op, x, axis, keepdims)


@method("argmin")
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Number of the first smallest element along `axis` (int64); as `argmax`.

    Raises
    ------
    ValueError : for an axis of size 0.
    """
    return _which(argmin_op, x, axis, keepdims)


def _which(op: Op, x: Any, axis: int | None, keepdims: bool) -> Tensor:
    x = as_tensor(x)
    axes = _not_empty(op, x, axis)
    out = op(reshape(x, -1), axis=0) if axis is None else op(x, axis=axes[0])
    return reshape(out, _kept(x.shape, axes)) if keepdims else out


@method("any")
def any_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether some element over `axis` is not 0; False for none."""
    return sum_(not_equal(x, 0), axis, keepdims) > 0


@method("all")
def all_(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether no element over `axis` is 0; True for none."""
    return sum_(equal(x, 0), axis, keepdims) < 1


# -- exponentials and norms ------------------------------------------------------------------------


def _floating(x: Any) -> Tensor:
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else astype(x, np.float64)


# Taken from all elements it changes nothing in the end, and no exponential overflows.
_PEAK = "(max(x) if abs(max(x)) < inf else 0)"

logsumexp_op = builtin_rowwise(
    "logsumexp(x)", f"log(sum(exp(x - {_PEAK}))) + {_PEAK}", x="g * exp(x - y) if y > -inf else 0"
)
softmax_op = builtin_rowwise(
    "softmax(x)", f"exp(x - {_PEAK}) / sum(exp(x - {_PEAK}))", x="y * (g - sum(g * y))"
)
log_softmax_op = builtin_rowwise(
    "log_softmax(x)",
    f"x - {_PEAK} - log(sum(exp(x - {_PEAK})))",
    x="g - exp(y) * sum(g)",
)


_CENTERED = "(x - mean(x))"
_SCALE = f"(1 / sqrt(mean({_CENTERED} * {_CENTERED}) + eps))"

layer_norm_op = builtin_rowwise(
    "layer_norm(x, weight, bias, eps=1e-5)",
    f"{_CENTERED} * {_SCALE} * weight + bias",
    x=f"{_SCALE} * (g * weight - mean(g * weight)"
    f" - {_CENTERED} * {_SCALE} * {_SCALE} * mean(g * weight * {_CENTERED}))",
)


@method("logsumexp")
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """`log(sum(exp(x)))` over `axis`, without overflow."""
    return logsumexp_op(x, axis=axis, keepdims=keepdims)


@method("softmax")
def softmax(x: Any, axis: Axis = -1) -> Tensor:
    """`exp(x) / sum(exp(x))` over `axis`, without overflow."""
    return softmax_op(x, axis=axis)


@method("log_softmax")
def log_softmax(x: Any, axis: Axis = -1) -> Tensor:
    """`log(softmax(x))` over `axis`, exact where the probability is tiny."""
    return log_softmax_op(x, axis=axis)


@method("norm")
def norm(x: Any, ord: float = 2, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Length of the vectors over `axis`; None takes the whole tensor as one vector.

    Parameters
    ----------
    ord : 2 (Euclidean; its gradient at the zero vector is 0), 1, or infinity.

    Raises
    ------
    ValueError : for another `ord`.
    """
    x = _floating(x)
    if ord == 1:
        return sum_(abs_(x), axis, keepdims)
    if ord == float("inf"):
        return max_(abs_(x), axis, keepdims)
    if ord != 2:
        raise ValueError(f"norm: ord is 1, 2 or infinity, not {ord!r}")
    return root(sum_(square(x), axis, keepdims))
