"""Ops that move elements without computing: views where NumPy gives views, copies where it must."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_rl.core import Copy, CutKind, Tensor, View, as_tensor, method, normalize_axes
from tinygrad_rl.spelling import counted

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Places = tuple[Any, ...]


# -- views -----------------------------------------------------------------------------------------


def _reshape_index(at: Places, x_shape: Shape, shape: Shape) -> Places | None:
    """Where only axes of size 1 come or go, each other axis is the input's next one."""
    if [n for n in x_shape if n != 1] != [n for n in shape if n != 1]:
        return None
    moving = iter([k for k, n in zip(at, shape, strict=True) if n != 1])
    return tuple(0 if n == 1 else next(moving) for n in x_shape)


reshape_: View = View(
    "reshape",
    forward=lambda x, *, shape: x.reshape(shape),
    index=_reshape_index,
    vjp={"x": lambda g, x_shape: reshape_(g, shape=x_shape)},
)


@method("reshape")
def reshape(x: Any, *shape: Any) -> Tensor:
    """`x` in another shape of the same size, `reshape(2, 3)` or `reshape((2, 3))`; one may be -1.

    Raises
    ------
    ValueError : naming both shapes, when the sizes differ.
    """
    x = as_tensor(x)
    wanted = _as_shape(shape)
    known = math.prod(n for n in wanted if n != -1)
    size = x._array.size
    if wanted.count(-1) == 1 and known and size % known == 0:
        wanted = tuple(size // known if n == -1 else n for n in wanted)
    if math.prod(wanted) != size or min(wanted, default=0) < 0:
        raise ValueError(f"can't reshape {x.shape} ({counted(size, 'element')}) to {wanted}")
    return reshape_(x, shape=wanted)


def _as_shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return tuple(int(n) for n in sizes)


@method("flatten")
def flatten(x: Any, start: int = 0, end: int = -1) -> Tensor:
    """The axes from `start` to `end` (inclusive) as one; all of them by default."""
    x = as_tensor(x)
    if not x.ndim:
        return reshape(x, 1)
    (first,), (last,) = normalize_axes(start, x.ndim), normalize_axes(end, x.ndim)
    if first > last:
        raise ValueError(f"flatten: axis {start} comes after axis {end} in shape {x.shape}")
    size = math.prod(x.shape[first : last + 1])
    return reshape(x, *x.shape[:first], size, *x.shape[last + 1 :])


@method("ravel")
def ravel(x: Any) -> Tensor:
    """All elements along one axis."""
    return reshape(x, -1)


permute_: View = View(
    "permute",
    forward=lambda x, *, axes: x.transpose(axes),
    index=lambda at, axes: tuple(at[axes.index(a)] for a in range(len(axes))),
    vjp={"x": lambda g, axes: permute_(g, axes=tuple(map(axes.index, range(len(axes)))))},
)
permute_.plain_params = True


@method("permute")
def permute(x: Any, *axes: Any) -> Tensor:
    """Axes in another order: `permute(2, 0, 1)` or `permute((2, 0, 1))`.

    Raises
    ------
    ValueError : when `axes` is not a permutation of all axes.
    """
    x = as_tensor(x)
    order = _as_shape(axes)
    if len(order) != x.ndim or normalize_axes(order, x.ndim) != tuple(range(x.ndim)):
        raise ValueError(f"permute needs each of {counted(x.ndim, 'axis')} once, not {order}")
    return permute_(x, axes=tuple(a % x.ndim for a in order))


@method("transpose")
def transpose(x: Any, *axes: Any) -> Tensor:
    """As NumPy: all axes reversed, or in the given order."""
    x = as_tensor(x)
    if not axes or axes == (None,):
        return permute_(x, axes=tuple(reversed(range(x.ndim))))
    return permute(x, *axes)


Tensor.T = property(transpose)  # type: ignore[attr-defined]


@method("swapaxes")
def swapaxes(x: Any, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    (a,), (b,) = normalize_axes(axis1, x.ndim), normalize_axes(axis2, x.ndim)
    order = list(range(x.ndim))
    order[a], order[b] = b, a
    return permute_(x, axes=tuple(order))


# The sweep undoes broadcasting for every op, so nothing is left to do here.
broadcast_op = View(
    "broadcast_to",
    forward=lambda x, *, shape: np.broadcast_to(x, shape),
    index=lambda at, x_shape: tuple(
        0 if n == 1 else k for n, k in zip(x_shape, at[len(at) - len(x_shape) :], strict=True)
    ),
    vjp={"x": lambda g: g},
)


@method("broadcast_to")
def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """`x` repeated along axes of size 1 and new leading axes; a view.

    Raises
    ------
    ValueError : naming both shapes, when they don't fit.
    """
    x = as_tensor(x)
    wanted = _as_shape((tuple(shape),))
    lead = len(wanted) - x.ndim
    if lead < 0 or any(n not in (1, wanted[i + lead]) for i, n in enumerate(x.shape)):
        raise ValueError(f"can't broadcast {x.shape} to {wanted}")
    return broadcast_op(x, shape=wanted)


@method("expand")
def expand(x: Any, *shape: Any) -> Tensor:
    """`broadcast_to` with PyTorch's spelling; -1 keeps an axis."""
    x = as_tensor(x)
    wanted = _as_shape(shape)
    lead = len(wanted) - x.ndim
    sizes = tuple(x.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    return broadcast_to(x, sizes)


@method("squeeze")
def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Without axes of size 1: all of them, or the given ones.

    Raises
    ------
    ValueError : for a given axis whose size is not 1.
    """
    x = as_tensor(x)
    axes = tuple(i for i, n in enumerate(x.shape) if n == 1)
    if axis is not None:
        axes = normalize_axes(axis, x.ndim)
        if any(x.shape[a] != 1 for a in axes):
            raise ValueError(f"can't squeeze axis {axis} of shape {x.shape}: its size is not 1")
    return reshape_(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in axes))


@method("unsqueeze", "expand_dims")
def expand_dims(x: Any, axis: int) -> Tensor:
    """With a new axis of size 1 at `axis`."""
    x = as_tensor(x)
    (at,) = normalize_axes(axis, x.ndim + 1)
    return reshape_(x, shape=(*x.shape[:at], 1, *x.shape[at:]))


stop_gradient_ = View(
    "stop_gradient", forward=lambda x: x.view(), index=lambda at: at, differentiable=False
)
stop_gradient_.cuts = CutKind.DETACHED


@method("detach")
def stop_gradient(x: Any) -> Tensor:
    """The same numbers (and memory) as a constant: no gradient passes through it.

    Unlike freezing, which is the *absence* of a rule for an input, this is an op: it stands in the
    listing of a program, and everything before it is cut off from the gradient.
    """
    return stop_gradient_(x)


# -- copies ----------------------------------------------------------------------------------------


def _astype_forward(x: Array, *, dtype: np.dtype[Any]) -> Array:
    return x.astype(dtype)


# The sweep gives every gradient its input's dtype.
astype_ = Copy("astype", _astype_forward, vjp={"x": lambda g: g})
# From floats to integers: the same, but steps have no derivative.
to_integer = Copy("to_integer", _astype_forward, differentiable=False)


@method("astype")
def astype(x: Any, dtype: Any) -> Tensor:
    """`x` with another dtype (itself when it has it); the gradient comes back in x's own."""
    x = as_tensor(x)
    wanted = np.dtype(dtype)
    if x.dtype == wanted:
        return x
    if wanted.kind not in "fiub" or x.dtype.kind not in "fiub":
        raise TypeError(f"can't turn {x.dtype} into {wanted}")
    return (astype_ if wanted.kind == "f" else to_integer)(x, dtype=wanted)


copy_op = Copy("copy", lambda x: x.copy(), vjp={"x": lambda g: g})


@method("copy", "clone")
def copy(x: Any) -> Tensor:
    """A copy with memory of its own; the gradient passes."""
    return copy_op(x)
