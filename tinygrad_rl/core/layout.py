"""How the arrays of a rowwise op become rows of a matrix, and what comes out an array again.

layout = layout_of(rows, shapes, axis, keepdims, None)
loop(out, layout.length, *layout.matrices(arrays))
layout.restored(out)                  # in the shape that the op's caller expects
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl.derive import Rows
from tinygrad_rl.spelling import counted

Array = np.ndarray[Any, Any]
Axis = int | Sequence[int] | None
Shape = tuple[int, ...]


def normalize_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Sorted non-negative axes; None means all.

    Raises
    ------
    ValueError : for an axis out of range or given twice.
    """
    return _axes(as_key(axis), ndim)


def as_key(axis: Any) -> Any:
    """What was given as axes in a form that can be looked up: a list or an array as a tuple."""
    return axis if axis is None or isinstance(axis, (int, tuple, np.integer)) else tuple(axis)


@lru_cache(maxsize=4096, typed=True)
def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    for a in given:
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} is out of range for a tensor with {counted(ndim, 'axis')}")
    axes = sorted(int(a) % ndim for a in given)
    if len(set(axes)) != len(axes):
        raise ValueError(f"an axis is given twice in {axis}")
    return tuple(axes)


class Layout(NamedTuple):
    """What inputs of these shapes are, as rows of a matrix."""

    letters: str  # see `loops.rowwise`
    targets: tuple[Shape, ...]  # the shape in which the loop takes each input
    fulls: tuple[Shape | None, ...]  # the shape to which an input is broadcast before
    kepts: tuple[Shape, ...]  # the shape in which it broadcasts against the others
    rows: Shape  # with a row as one element
    order: Shape  # the axes that are no row's, then those of a row
    axes: Shape
    full: Shape  # what all inputs broadcast to
    length: int  # of a row
    each: bool  # whether there is a result for each element
    flat: Shape  # the result's, as the loop makes it
    kept: Shape  # with the reduced axes
    out: Shape

    def broadcastable(self, values: Sequence[Any]) -> list[Any]:
        """Arrays or tensors in shapes that broadcast, those with one number a row too."""
        return [
            v if v.shape == s else v.reshape(s) for v, s in zip(values, self.kepts, strict=True)
        ]

    def matrices(self, arrays: Sequence[Array]) -> list[Array]:
        """The inputs as the loop takes them."""
        flat = []
        for a, target, full in zip(arrays, self.targets, self.fulls, strict=True):
            if full is not None:
                a = np.broadcast_to(a, full).transpose(self.order)
            flat.append((a if a.flags.c_contiguous else np.ascontiguousarray(a)).reshape(target))
        return flat

    def restored(self, out: Array) -> Array:
        """What the loop has made, in the shape of the op's output."""
        if out.ndim == 1 and self.each:  # one number for each row, for all of it
            whole = np.empty(self.full, out.dtype)
            whole[...] = out.reshape(self.rows)
            return whole
        if out.ndim == 1 or self.order == tuple(range(len(self.order))):
            return out if out.shape == self.out else out.reshape(self.out)
        ordered = out.reshape([self.out[a] for a in self.order])
        return ordered.transpose(np.argsort(self.order))


@lru_cache(maxsize=4096)
def layout_of(
    rows: Rows, shapes: tuple[Shape, ...], axis: Any, keepdims: bool, shape: Shape | None
) -> Layout:
    """The layout of inputs of these shapes; `shape` is the whole one where no input has it.

    Raises
    ------
    ValueError : naming the input, where it is not one number a row or one for all.
    """
    given = [*zip(rows.args, shapes, strict=True)]
    elements = [s for a, s in given if a not in rows.per_row | rows.numbers]
    full = np.broadcast_shapes(*elements) if shape is None else shape
    axes = normalize_axes(axis, len(full))
    order = (*(a for a in range(len(full)) if a not in axes), *axes)
    kept = tuple(1 if a in axes else n for a, n in enumerate(full))
    reduced = kept if keepdims else tuple(n for a, n in enumerate(full) if a not in axes)
    length = math.prod(full[a] for a in axes)
    height = math.prod(kept)
    letters, targets, fulls, kepts = "", [], [], []
    for a, s in given:
        target: Shape
        single, number = a in rows.per_row, a in rows.numbers
        if (single and s != reduced) or (number and math.prod(s) != 1):
            wanted = f"of shape {reduced}, one number a row" if single else "one number"
            raise ValueError(f"{a!r} must be {wanted}, not of shape {s}")
        if single:
            letter, target = "c", (height,)
        elif number or (s != full and math.prod(s) == 1):
            letter, target = "s", (1,)
        elif s != full and full in elements and s == _last(full, axes):
            letter, target = "r", (length,)
        else:
            letter, target = "v", (height, length)
        letters += letter
        targets.append(target)
        is_copy = letter == "v" and (s != full or order != tuple(range(len(full))))
        fulls.append(full if is_copy else None)
        kepts.append(kept if single else s)
    each = rows.is_elementwise
    loop = (height, length) if computes_each(rows, letters) else (height,)
    return Layout(
        letters, tuple(targets), tuple(fulls), tuple(kepts), kept, order, axes, full, length,
        each, loop, full if each else kept, full if each else reduced,
    )  # fmt: skip


def computes_each(rows: Rows, letters: str) -> bool:
    """Whether the loop computes each element: not where all of a row are the same."""
    return rows.is_elementwise and not (rows.spread and {*letters} <= {"c", "s"})


def _last(full: Shape, axes: Shape) -> Shape | None:
    """The sizes along the axes, if these are the last ones."""
    k = len(full) - len(axes)
    return full[k:] if axes == tuple(range(k, len(full))) else None
