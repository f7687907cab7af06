"""Indexing: slices are views, index arrays copy; where an index repeats, gradients accumulate.

Everything is made of two pairs, each the other's gradient: `slice` with `slice_scatter` (a block
into zeros), and `take` with `scatter_add` (rows by number, and adding rows to their places).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_rl.core import Gather, Op, Scatter, Tensor, View, as_tensor, method, normalize_axes
from tinygrad_rl.ops.arithmetic import where
from tinygrad_rl.ops.shape import astype, broadcast_to, permute_, reshape, reshape_

Array = np.ndarray[Any, Any]
Places = tuple[Any, ...]
Bound = int | tuple[int, int, int]
Bounds = tuple[Bound, ...]
"""For each axis (first index, count, step), or the one index of an axis that goes."""


def _as_slices(bounds: Bounds) -> tuple[Any, ...]:
    slices: list[Any] = []
    for bound in bounds:
        if type(bound) is tuple:
            first, count, step = bound
            stop = first + count * step
            slices.append(slice(first, stop if stop >= 0 else None, step))
        else:
            slices.append(bound)
    return (*slices, ...)  # with the dots one element is a view too


def _slice_scatter_forward(x: Array, *, bounds: Bounds, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, x.dtype)
    out[_as_slices(bounds)] = x
    return out


def _sliced(at: Places, bounds: Bounds) -> Places:
    places: list[Any] = []
    kept = iter(at)
    for bound in bounds:
        if isinstance(bound, int):
            places.append(bound)
        else:
            (first, count, step), k = bound, next(kept)
            places.append(k * step + first if count != 1 else first)
    return tuple(places)


slice_: View = View(
    "slice",
    forward=lambda x, *, bounds: x[_as_slices(bounds)],
    index=_sliced,
    vjp={"x": lambda g, x_shape, bounds: slice_scatter(g, bounds=bounds, shape=x_shape)},
)
slice_scatter: Op = Scatter(
    "slice_scatter",
    target=_sliced,
    shape=lambda x, *, bounds, shape: shape,
    forward=_slice_scatter_forward,
    vjp={"x": lambda g, bounds: slice_(g, bounds=bounds)},
)
slice_.plain_params = slice_scatter.plain_params = True


def slice_axis(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """`x[..., start:stop, ...]` along one axis."""
    bounds = tuple(
        (start, stop - start, 1) if i == axis else (0, n, 1) for i, n in enumerate(x.shape)
    )
    return slice_(x, bounds=bounds)


@method("flip")
def flip(x: Any, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """Backwards along `axis` (an int, a tuple, or None for all)."""
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim)
    return slice_(
        x, bounds=tuple((n - 1, n, -1) if i in axes else (0, n, 1) for i, n in enumerate(x.shape))
    )


def _scatter_add_forward(x: Array, rows: Array, *, size: int) -> Array:
    out = np.zeros((size, *x.shape[rows.ndim :]), x.dtype)
    np.add.at(out, rows, x)
    return out


def _at_row(at: Places, row: Any, rows_shape: tuple[int, ...]) -> Places:
    return (row, *at[len(rows_shape) :])


take_: Op = Gather(
    "take",
    source=_at_row,
    shape=lambda x, rows: (*rows.shape, *x.shape[1:]),
    forward=lambda x, rows: np.take(x, rows, axis=0),
    vjp={"x": lambda g, rows, x_shape: scatter_add(g, rows, size=x_shape[0])},
)
scatter_add: Op = Scatter(
    "scatter_add",
    target=_at_row,
    shape=lambda x, rows, *, size: (size, *x.shape[rows.ndim :]),
    add=True,
    forward=_scatter_add_forward,
    vjp={"x": lambda g, rows: take_(g, rows)},
)


@method("take")
def take(x: Any, index: Any, axis: int | None = None) -> Tensor:
    """The entries of `axis` with the given numbers; the index's axes come in the place of `axis`.

    As in NumPy, None takes from the flattened tensor.

    Raises
    ------
    IndexError : for an index out of range; negative ones count from the end.
    TypeError : for an index that is not integer.
    """
    x = as_tensor(x) if axis is not None else reshape(x, -1)
    (at,) = normalize_axes(axis or 0, x.ndim)
    index = _index_tensor(index)
    rows = x if at == 0 else permute_(x, axes=(at, *(i for i in range(x.ndim) if i != at)))
    out = take_(rows, index)
    if at == 0:
        return out
    k = index.ndim
    return permute_(out, axes=(*range(k, k + at), *range(k), *range(k + at, out.ndim)))


@method("repeat")
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """As NumPy: each entry of `axis` so many times in a row; None repeats it flattened."""
    x = reshape(x, -1) if axis is None else as_tensor(x)
    (at,) = normalize_axes(axis or 0, x.ndim)
    return take(x, np.repeat(np.arange(x.shape[at]), repeats), at)


@method("gather")
def gather(x: Any, axis: int, index: Any) -> Tensor:
    """As PyTorch: out[i][j] = x[index[i][j]][j] for axis 0, x[i][index[i][j]] for axis 1.

    Raises
    ------
    ValueError : when `index` has not as many axes as `x`, or is larger along another axis.
    IndexError : for an index out of range.
    """
    x, index = as_tensor(x), _index_tensor(index)
    (at,) = normalize_axes(axis, x.ndim)
    fits = all(
        n <= m or i == at for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=False))
    )
    if index.ndim != x.ndim or not fits:
        raise ValueError(f"gather: index {index.shape} does not fit {x.shape} around axis {axis}")
    grid = np.ogrid[tuple(slice(n) for n in index.shape)]
    return getitem(x, tuple(index if i == at else places for i, places in enumerate(grid)))


def _index_tensor(index: Any) -> Tensor:
    index = as_tensor(_listed(index))
    if index.dtype.kind not in "iu":
        raise TypeError(f"an index must be integer or boolean, not {index.dtype}")
    return index


def _listed(index: Any) -> Any:
    """Lists as arrays, where NumPy would make an empty one of floats."""
    if not isinstance(index, (list, tuple)):
        return index
    return np.asarray(index, dtype=None if np.size(index) else np.int64)


# -- x[...] ----------------------------------------------------------------------------------------


@method("__getitem__")
def getitem(x: Tensor, key: Any) -> Tensor:
    """NumPy's indexing: integers, slices, None, `...`, and integer or boolean arrays.

    Raises
    ------
    IndexError : for an index out of range or too many of them.
    TypeError : for anything that is no index.
    """
    if type(key) in _SIMPLE or (type(key) is tuple and _SIMPLE.issuperset(map(type, key))):
        keys, given = key if type(key) is tuple else (key,), x._array.shape
        if len(keys) <= len(given):
            found = [_bound(k, n, a) for a, (k, n) in enumerate(zip(keys, given, strict=False))]
            return slice_(x, bounds=(*found, *[(0, n, 1) for n in given[len(keys) :]]))
    return _getitem(x, _expanded(x, key))


_SIMPLE = {int, slice}


def _getitem(x: Tensor, keys: list[Any]) -> Tensor:
    bounds: list[Bound] = []
    shape: list[int] = []
    arrays: list[tuple[int, Tensor]] = []
    axis = 0
    for k in keys:
        if k is None:
            shape.append(1)
        if k is None or k is Ellipsis:
            continue
        n = x.shape[axis]
        if isinstance(k, Tensor):
            arrays.append((len(shape), k))
        bounds.append((0, n, 1) if isinstance(k, Tensor) else _bound(k, n, axis))
        if type(bound := bounds[-1]) is tuple:
            shape.append(bound[1])
        axis += 1
    whole = all(b == (0, n, 1) for b, n in zip(bounds, x.shape, strict=True))
    out = x if whole and not (axis and not arrays) else slice_(x, bounds=tuple(bounds))
    if out.shape != tuple(shape) or (out is x and not arrays):
        out = reshape_(out, shape=tuple(shape))
    return _gather(out, arrays, keys) if arrays else out


def _bound(key: int | slice, size: int, axis: int) -> Bound:
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        count = len(range(start, stop, step))
        return (start, count, step) if count else (0, 0, 1)
    if not -size <= key < size:
        raise IndexError(f"index {key} is out of range for axis {axis} of size {size}")
    return key % size


@method("__iter__")
def iterate(x: Tensor) -> Iterator[Tensor]:
    """The entries of the first axis."""
    if not x.ndim:
        raise TypeError("a 0-d tensor can't be iterated over")
    return (getitem(x, i) for i in range(x.shape[0]))


def _expanded(x: Tensor, key: Any) -> list[Any]:
    """One entry for each axis (and None for new ones, and `...`), with masks written out."""
    given = [_entry(k) for k in (key if isinstance(key, tuple) else (key,))]
    if sum(k is Ellipsis for k in given) > 1:
        raise IndexError("an index can have only one ...")
    used = sum(_axes_of(k) for k in given)
    if used > x.ndim:
        raise IndexError(f"too many indices ({used}) for a tensor of shape {x.shape}")
    if all(k is not Ellipsis for k in given):
        given.append(Ellipsis)
    keys: list[Any] = []
    axis = 0
    for k in given:
        if k is Ellipsis:
            # The dots stay, as no axis: between index arrays they separate, even standing for none.
            keys += [Ellipsis, *[slice(None)] * (x.ndim - used)]
            axis += x.ndim - used
        elif isinstance(k, Tensor) and k.dtype.kind == "b":
            if k.shape != x.shape[axis : axis + k.ndim]:
                raise IndexError(f"a mask of shape {k.shape} does not fit axes of {x.shape}")
            keys += [as_tensor(i) for i in np.nonzero(k.numpy())]
        else:
            keys.append(k)
        axis += _axes_of(k)
    return keys


def _entry(k: Any) -> Any:
    """None, `...`, a slice, an int, or a tensor of integers or booleans."""
    if k is None or k is Ellipsis or isinstance(k, slice):
        return k
    k = _listed(k)
    if isinstance(k, (int, np.integer)) and not isinstance(k, bool):
        return int(k)
    if not isinstance(k, (Tensor, np.ndarray, bool, np.bool_)):
        raise TypeError(f"{type(k).__name__} is no index")
    # A NumPy mask is made a tensor of its own: a trace knows that its numbers may be read.
    t = Tensor(k) if isinstance(k, np.ndarray) and k.dtype.kind == "b" else as_tensor(k)
    if t.dtype.kind == "b" and not t.ndim:
        raise TypeError("an index can't be a single boolean; use None and a mask")
    return t if t.dtype.kind == "b" else _index_tensor(t)


def _axes_of(k: Any) -> int:
    if k is None or k is Ellipsis:
        return 0
    return k.ndim if isinstance(k, Tensor) and k.dtype.kind == "b" else 1


def _gather(x: Tensor, arrays: list[tuple[int, Tensor]], keys: list[Any]) -> Tensor:
    """Integer arrays at some axes: bring these to the front, number their entries, take rows."""
    axes = [a for a, _ in arrays]
    rest = [i for i in range(x.ndim) if i not in axes]
    try:
        shape = np.broadcast_shapes(*(t.shape for _, t in arrays))
    except ValueError:
        shapes = ", ".join(str(t.shape) for _, t in arrays)
        raise IndexError(f"index arrays of shapes {shapes} don't broadcast") from None
    rows = permute_(x, axes=(*axes, *rest)) if axes != list(range(len(axes))) else x
    sizes = rows.shape[: len(axes)]
    flat = _flat_index([t for _, t in arrays], sizes)
    if len(axes) > 1:
        rows = reshape_(rows, shape=(int(np.prod(sizes)), *rows.shape[len(axes) :]))
    flat = broadcast_to(flat, shape) if flat.shape != shape else flat
    out = take_(rows, flat)
    # NumPy puts the new axes where the arrays stood when these stand together, else first.
    positions = [i for i, k in enumerate(keys) if isinstance(k, (Tensor, int))]
    together = positions == list(range(positions[0], positions[0] + len(positions)))
    lead = sum(1 for r in rest if r < axes[0]) if together else 0
    if lead == 0:
        return out
    n = len(shape)
    return permute_(out, axes=(*range(n, n + lead), *range(n), *range(n + lead, out.ndim)))


def _flat_index(index: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    if len(index) == 1:
        return index[0]
    flat = _check_range(index[0], sizes[0])
    for i, n in zip(index[1:], sizes[1:], strict=True):
        flat = flat * n + _check_range(i, n)
    return flat


def _check_range(index: Tensor, size: int) -> Tensor:
    """Non-negative numbers; the first one out of range is named."""
    array = index._array
    bad = (array < -size) | (array >= size)
    if bad.any():
        raise IndexError(f"index {array[bad][0]} is out of range for an axis of size {size}")
    index = astype(index, np.int64)  # `index + size` may not fit into the index's own dtype
    return where(index < 0, index + size, index)
