"""Writing into a tensor: a gradient that needed the old values is an error, never a wrong number.

Every write is counted, for all tensors on the same memory together.
"""

from typing import Any

import numpy as np

from tinygrad_rl.core import (
    Op,
    Scatter,
    Tensor,
    caller,
    constant,
    history_of,
    method,
    mode,
    set_history,
    storage_of,
)
from tinygrad_rl.ops.arithmetic import add, div, equal, mul, power, sub
from tinygrad_rl.ops.arithmetic import where as select
from tinygrad_rl.ops.index import getitem, take
from tinygrad_rl.ops.shape import astype, broadcast_to, copy_op

Array = np.ndarray[Any, Any]
_INT64 = np.dtype(np.int64)


@method("assign_", "copy_")
def assign_(target: Tensor, value: Any) -> Tensor:
    """Overwrite the values of `target` with those of `value`, broadcast and cast to fit.

    In grad mode the history of `value` becomes that of `target`.

    Raises
    ------
    RuntimeError : on a leaf that requires a gradient outside `no_grad`, and where a view shares the
        memory of a tensor with history (its gradient could no longer be right).
    ValueError : for shapes that don't fit.
    """
    value = _cast(value, target.dtype)
    _check_writable(target, value)
    if value.shape != target.shape:
        value = broadcast_to(value, target.shape)
    history = mode.grad and value.requires_grad
    if history:
        value = copy_op(value)
    for observer in mode.observers:
        observer.on_assign(target, value)
    target._array[...] = value._array
    storage_of(target).wrote(caller())
    if mode.grad and (history or target.node is not None):
        if history and target.node is not None:
            value.node.retained, target.node.retained = target.node.retained, None
        # Who made the target has not changed: it is no result, though it has a history now.
        set_history(target, history_of(value)._replace(op=target.op))
    return target


def _cast(value: Any, dtype: np.dtype[Any]) -> Tensor:
    if type(value) in (int, float, bool):
        return constant(dtype.type(value).item(), dtype)
    return astype(value, dtype)


def _check_writable(target: Tensor, value: Tensor) -> None:
    if not target._array.flags.writeable:
        raise RuntimeError(
            "this tensor can't be changed in place: its memory is read-only (a broadcast view, or "
            "an array that is). Work on a copy()"
        )
    if not mode.grad:
        return
    if target.requires_grad and target.node is None:
        raise RuntimeError(
            "a leaf that requires a gradient can't be changed in place: do it inside `with "
            "no_grad():` (as the optimizers do)"
        )
    shared = target.storage is not None and target.storage.shared
    if shared and (target.requires_grad or value.requires_grad):
        raise RuntimeError(
            "this tensor shares its memory with a view, and one of the two has history: changed in "
            "place, the other's gradient would be wrong. Work on a copy()"
        )


def _old(target: Tensor, value: Any) -> tuple[Tensor, Any]:
    """Both as they are before the write, for a rule that asks for them after it."""
    recorded = target.requires_grad or (type(value) is Tensor and value.requires_grad)
    old = copy_op(target) if recorded and mode.grad else target
    return old, old if value is target else value


def _update(name: str, target: Tensor, value: Tensor) -> Tensor:
    if value.dtype.kind == "f" and target.dtype.kind != "f":
        raise TypeError(
            f"{name}: the result is {value.dtype}, which does not fit into {target.dtype}"
        )
    return assign_(target, value)


@method("add_", "__iadd__")
def add_(target: Tensor, value: Any) -> Tensor:
    """`target += value`, see `assign_`; here floats don't go into an integer tensor."""
    return _update("add_", target, add(target, value))


@method("sub_", "__isub__")
def sub_(target: Tensor, value: Any) -> Tensor:
    """`target -= value`, see `assign_`."""
    return _update("sub_", target, sub(target, value))


@method("mul_", "__imul__")
def mul_(target: Tensor, value: Any) -> Tensor:
    """`target *= value`, see `assign_`."""
    return _update("mul_", target, mul(*_old(target, value)))


@method("div_", "__itruediv__")
def div_(target: Tensor, value: Any) -> Tensor:
    """`target /= value`, see `assign_`."""
    return _update("div_", target, div(*_old(target, value)))


@method("pow_", "__ipow__")
def pow_(target: Tensor, value: Any) -> Tensor:
    """`target **= value`, see `assign_`."""
    return _update("pow_", target, power(*_old(target, value)))


@method("zero_")
def zero_(target: Tensor) -> Tensor:
    """All values to 0, see `assign_`."""
    return assign_(target, 0)


# -- x[index] = value ------------------------------------------------------------------------------


def _put_forward(base: Array, x: Array, rows: Array) -> Array:
    out = base.copy()
    out.reshape(-1)[rows] = x
    return out


def _put_value_vjp(g: Tensor, rows: Tensor) -> Tensor:
    """What was written to a place gets its gradient, unless it was overwritten in the same call."""
    order = Tensor(np.arange(rows.size).reshape(rows.shape))
    last = put(constant(0, _INT64).expand(g.size), order, rows)
    stayed = equal(take(last, rows), order)
    return select(stayed, take(g, rows), 0)


put: Op = Scatter(
    "put",
    target=lambda row: (row,),
    shape=lambda base, x, rows: base.shape,
    forward=_put_forward,
    vjp={
        "base": lambda g, rows: put(g, constant(0, g.dtype).expand(rows.shape), rows),
        "x": _put_value_vjp,
    },
)


@method("__setitem__")
def setitem(target: Tensor, key: Any, value: Any) -> None:
    """`target[key] = value`, NumPy's indexing; see `assign_`. The last value of a place stays."""
    value = _cast(value, target.dtype)
    places = Tensor(np.arange(target.size, dtype=_INT64).reshape(target.shape))
    where = getitem(places, key)
    if value.shape != where.shape:
        value = broadcast_to(value, where.shape)
    assign_(target, put(target, value, where))
