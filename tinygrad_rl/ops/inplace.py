"""Writing into a tensor: every write is counted, so that a gradient that needed the old numbers is an
error and never a wrong number.
"""

from typing import Any

import numpy as np

from tinygrad_rl.core import Op, Tensor, as_tensor, caller, constant, method, mode, storage_of
from tinygrad_rl.ops.elementwise import add, mul, sub
from tinygrad_rl.ops.index import getitem
from tinygrad_rl.ops.shape import astype, broadcast_to, copy_op

_INT64 = np.dtype(np.int64)


@method("assign_", "copy_")
def assign_(target: Tensor, value: Any) -> Tensor:
    """Overwrite the numbers of `target` with those of `value`, broadcast and cast to fit.

    In grad mode the history of `value` becomes that of `target`.

    Raises
    ------
    RuntimeError : on a leaf that requires a gradient outside `no_grad`, and where a view shares the
        memory of a tensor with history (its gradient could no longer be right).
    ValueError : for shapes that don't fit.
    """
    value = constant(value, target.dtype) if type(value) in (int, float, bool) else as_tensor(value)
    _check_writable(target, value)
    if value.dtype != target.dtype:
        value = astype(value, target.dtype)
    if value.shape != target.shape:
        value = broadcast_to(value, target.shape)
    history = mode.grad and value._flag
    if history:
        value = copy_op(value)
    for observer in mode.observers:
        observer.on_assign(target, value)
    target._array[...] = value._array
    storage = storage_of(target)
    storage.version += 1
    storage.changed = caller()
    if mode.grad and (history or target._node is not None):
        for slot in ("_node", "_flag", "_op", "_cuts"):
            object.__setattr__(target, slot, getattr(value, slot))
    return target


def _check_writable(target: Tensor, value: Tensor) -> None:
    if not mode.grad:
        return
    if target._flag and target._node is None:
        raise RuntimeError(
            "a leaf that requires a gradient can't be changed in place: do it inside `with no_grad():` "
            "(as the optimizers do)"
        )
    shared = target._storage is not None and target._storage.shared
    if shared and (target._flag or value._flag):
        raise RuntimeError(
            "this tensor shares its memory with a view, and one of the two has history: changed in "
            "place, the other's gradient would be wrong. Work on a copy()"
        )


@method("add_", "__iadd__")
def add_(target: Tensor, value: Any) -> Tensor:
    """`target += value`, see `assign_`."""
    return assign_(target, add(target, value))


@method("sub_", "__isub__")
def sub_(target: Tensor, value: Any) -> Tensor:
    """`target -= value`, see `assign_`."""
    return assign_(target, sub(target, value))


@method("mul_", "__imul__")
def mul_(target: Tensor, value: Any) -> Tensor:
    """`target *= value`, see `assign_`."""
    return assign_(target, mul(target, value))


@method("zero_")
def zero_(target: Tensor) -> Tensor:
    """All numbers to 0, see `assign_`."""
    return assign_(target, 0)


# -- x[index] = value ------------------------------------------------------------------------------


def _setitem_forward(
    x: np.ndarray[Any, Any], value: np.ndarray[Any, Any], where: np.ndarray[Any, Any]
) -> Any:
    out = x.copy()
    out.reshape(-1)[where] = value
    return out


def _flat_take(g: Tensor, where: Tensor) -> Tensor:
    return getitem(g.reshape(-1), where)


setitem_op = Op(
    "setitem",
    forward=_setitem_forward,
    vjp={
        "x": lambda g, where: setitem_op(g, constant(0, g.dtype), where),
        "value": _flat_take,
    },
)


@method("__setitem__")
def setitem(target: Tensor, key: Any, value: Any) -> None:
    """`target[key] = value`, with NumPy's indexing; see `assign_`. Entries named twice keep the last value."""
    value = constant(value, target.dtype) if type(value) in (int, float, bool) else as_tensor(value)
    places = Tensor(np.arange(target.size, dtype=_INT64).reshape(target.shape))
    where = getitem(places, key)
    value = astype(value, target.dtype)
    if value.shape != where.shape:
        value = broadcast_to(value, where.shape)
    assign_(target, setitem_op(target, value, where))
