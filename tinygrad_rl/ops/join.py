"""Ops that put tensors together; their gradients are slices."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_rl.core import Op, Tensor, as_tensor
from tinygrad_rl.ops.index import slice_axis
from tinygrad_rl.ops.shape import expand_dims, normalize_axes

Array = np.ndarray[Any, Any]


def _concatenate_forward(*tensors: Array, axis: int) -> Array:
    return np.concatenate(tensors, axis=axis)


def _concatenate_vjp(g: Tensor, shapes: Any, axis: int, index: int) -> Tensor:
    start = sum(s[axis] for s in shapes[:index])
    return slice_axis(g, axis, start, start + shapes[index][axis])


concatenate_ = Op("concatenate", forward=_concatenate_forward, vjp={"tensors": _concatenate_vjp})


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Join tensors along an axis that they have already.

    Raises
    ------
    ValueError : naming the shapes, when the other axes differ or there is nothing to join.
    """
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
    """Join tensors of one shape along a new axis."""
    return concatenate([expand_dims(t, axis) for t in tensors], axis)
