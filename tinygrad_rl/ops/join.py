"""Putting tensors together and taking them apart: concatenations, and slices, which are views."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_rl.core import Scatter, Tensor, as_tensor, method, normalize_axes
from tinygrad_rl.ops.arithmetic import where
from tinygrad_rl.ops.index import slice_, slice_axis, slice_scatter
from tinygrad_rl.ops.shape import broadcast_to, reshape
from tinygrad_rl.spelling import counted, misplaced

Array = np.ndarray[Any, Any]
Places = tuple[Any, ...]
_TENSORS: Any = (Tensor, np.ndarray)


def _concatenate_vjp(g: Tensor, shapes: Any, axis: int, index: int) -> Tensor:
    start = sum(s[axis] for s in shapes[:index])
    return slice_axis(g, axis, start, start + shapes[index][axis])


def _concatenate_target(at: Places, shapes: Any, index: int, axis: int) -> Places:
    start = sum(s[axis] for s in shapes[:index])
    return tuple(k + start if a == axis else k for a, k in enumerate(at))


def _concatenate_shape(*tensors: Array, axis: int) -> tuple[int, ...]:
    along = sum(t.shape[axis] for t in tensors)
    return tuple(along if a == axis else n for a, n in enumerate(tensors[0].shape))


concatenate_ = Scatter(
    "concatenate",
    target=_concatenate_target,
    shape=_concatenate_shape,
    forward=lambda *tensors, axis: np.concatenate(tensors, axis=axis),
    vjp={"tensors": _concatenate_vjp},
)
concatenate_.plain_params = True


def _stack_forward(*tensors: Array, axis: int) -> Array:
    shape = tensors[0].shape
    shape = (*shape[:axis], 1, *shape[axis:])
    return np.concatenate([t.reshape(shape) for t in tensors], axis=axis)


def _stack_vjp(g: Tensor, axis: int, index: int) -> Tensor:
    bounds = [index if a == axis else (0, n, 1) for a, n in enumerate(g._array.shape)]
    return slice_(g, bounds=tuple(bounds))


stack_ = Scatter(
    "stack",
    target=lambda at, index, axis: (*at[:axis], index, *at[axis:]),
    shape=lambda *tensors, axis: (
        *tensors[0].shape[:axis],
        len(tensors),
        *tensors[0].shape[axis:],
    ),
    forward=_stack_forward,
    vjp={"tensors": _stack_vjp},
)
stack_.plain_params = True


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors along an axis that they have already.

    Raises
    ------
    ValueError : naming the shapes, when the other axes differ or there is nothing to join.
    """
    if isinstance(axis, _TENSORS) and not isinstance(tensors, (list, tuple)):
        raise misplaced("concatenate", "a list of tensors", tensors)
    parts = [as_tensor(t) for t in tensors]
    if not parts:
        raise ValueError("concatenate needs at least one tensor")
    (at,) = normalize_axes(axis, parts[0].ndim)
    rest = [(*p.shape[:at], *p.shape[at + 1 :]) for p in parts]
    if any(p.ndim != parts[0].ndim for p in parts) or len(set(rest)) != 1:
        raise ValueError(
            f"can't concatenate shapes {', '.join(str(p.shape) for p in parts)} along axis {at}"
        )
    return concatenate_(*parts, axis=at)


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors of one shape along a new axis.

    Raises
    ------
    ValueError : naming the shapes, when they differ or there is nothing to join.
    """
    if isinstance(axis, _TENSORS) and not isinstance(tensors, (list, tuple)):
        raise misplaced("stack", "a list of tensors", tensors)
    parts = [as_tensor(t) for t in tensors]
    if len({p._array.shape for p in parts}) != 1:
        raise ValueError(f"can't stack shapes {', '.join(str(p.shape) for p in parts) or '(none)'}")
    (at,) = normalize_axes(axis, parts[0]._array.ndim + 1)
    return stack_(*parts, axis=at)


@method("split")
def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """As NumPy: so many equal parts along `axis`, or the parts between the given indices.

    Raises
    ------
    ValueError : when the axis can't be split into that many equal parts (`chunk` can).
    """
    x = as_tensor(x)
    (at,) = normalize_axes(axis, x.ndim)
    n = x.shape[at]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ValueError(
                f"axis {axis} of size {n} can't be split into {counted(sections, 'equal part')}"
            )
        sections = [i * (n // sections) for i in range(1, sections)]
    edges = [0, *(slice(i).indices(n)[1] for i in sections), n]
    return [slice_axis(x, at, a, max(a, b)) for a, b in pairwise(edges)]


@method("chunk")
def chunk(x: Any, chunks: int, axis: int = 0) -> list[Tensor]:
    """As PyTorch: at most `chunks` parts along `axis`, all of one size but the last."""
    x = as_tensor(x)
    (at,) = normalize_axes(axis, x.ndim)
    if chunks < 1:
        raise ValueError(f"chunk needs at least one part, not {chunks}")
    size = max(1, -(-x.shape[at] // chunks))
    return split(x, list(range(size, x.shape[at], size)), at)


@method("pad")
def pad(x: Any, pad_width: Any, value: float = 0) -> Tensor:
    """With `value` around it.

    Parameters
    ----------
    pad_width : as NumPy: a pair (before, after) for each axis, one pair for all, or one number.

    Raises
    ------
    ValueError : for negative widths, or another number of pairs than axes.
    """
    x = as_tensor(x)
    try:
        widths = np.broadcast_to(np.asarray(pad_width, int), (x.ndim, 2)).tolist()
    except ValueError:
        raise ValueError(f"pad: widths {pad_width} don't fit shape {x.shape}") from None
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError(f"pad: widths can't be negative: {pad_width}")
    bounds = tuple((before, n, 1) for (before, _), n in zip(widths, x.shape, strict=True))
    shape = tuple(n + sum(pair) for pair, n in zip(widths, x.shape, strict=True))
    out = slice_scatter(x, bounds=bounds, shape=shape)
    if value == 0:
        return out
    return where(slice_scatter(np.ones(x.shape, bool), bounds=bounds, shape=shape), out, value)


@method("roll")
def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """As NumPy: moved along `axis` by `shift`, and in again at the other end."""
    x = as_tensor(x)
    if axis is None:
        return reshape(roll(reshape(x, -1), shift, 0), x.shape)
    shifts, axes = np.broadcast_arrays(shift, axis)
    for by, along in zip(shifts.reshape(-1).tolist(), axes.reshape(-1).tolist(), strict=True):
        (at,) = normalize_axes(along, x.ndim)
        n = x.shape[at]
        split_at = -by % n if n else 0
        x = concatenate((slice_axis(x, at, split_at, n), slice_axis(x, at, 0, split_at)), at)
    return x


@method("tile")
def tile(x: Any, reps: int | Sequence[int]) -> Tensor:
    """As NumPy: the whole tensor `reps` times along each axis."""
    x = as_tensor(x)
    counts = (reps,) if isinstance(reps, int) else tuple(reps)
    counts = (1,) * (x.ndim - len(counts)) + counts
    shape = (1,) * (len(counts) - x.ndim) + x.shape
    pairs = [pair for n, size in zip(counts, shape, strict=True) for pair in ((1, size), (n, size))]
    ones, full = [n for p in pairs[::2] for n in p], [n for p in pairs[1::2] for n in p]
    spread = broadcast_to(reshape(x, ones), full)
    return reshape(spread, [n * size for n, size in zip(counts, shape, strict=True)])
