"""Node: the record of one call of an op, and `record`, which makes it where a gradient returns."""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_rl.core.context import (
    Where,
    caller,
    frozen_anywhere,
    mode,
    next_in_sequence,
    watched_anywhere,
)
from tinygrad_rl.core.cuts import Cut, CutKind
from tinygrad_rl.core.storage import Storage
from tinygrad_rl.core.tensor import Bare, Tensor, storage_of, with_node, wrap

if TYPE_CHECKING:
    from tinygrad_rl.core.op import Op

Rule = Callable[..., Tensor]


class GradPlan(NamedTuple):
    """What a call saves and which rules run, when exactly these inputs require a gradient."""

    positions: tuple[int, ...]  # the inputs that require one
    rules: tuple[tuple[Rule, tuple[str, ...]], ...]  # a rule for each, and the names it asks for
    saves: tuple[tuple[str, int], ...]  # (name, position) of the inputs that some rule asks for
    constants: tuple[str, ...]  # the names of those that required no gradient
    saves_output: bool
    shapes: tuple[tuple[str, int], ...]  # (name_shape, position)
    loose: bool  # whether some rule asks for a parameter that may be an array or a list


@dataclass(init=False, repr=False, eq=False, slots=True)  # only for the slots: `record` fills them
class Node:
    """The record of one op call in which some input required a gradient.

    `parents` has, for each of those inputs, what the gradient is handed to: the node that made it,
    or the leaf tensor itself. Only what the rules ask for is kept alive.
    """

    op: "Op"
    params: dict[str, Any]
    plan: GradPlan
    parents: tuple[Any, ...]
    saved: tuple[Tensor, ...] | None
    versions: tuple[Any, ...] | None  # of the saved tensors' storages, see `_kept`; None: all 0
    output: Any  # (array, storage, version) when a rule asks for y
    shapes: dict[str, Any] | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sequence: int
    where: Where | None
    hooks: list[Any] | None
    retained: Any  # a weak reference to the tensor whose .grad is filled, see `retain_grad`
    released: Where | None
    unflagged: list[Any] | None


def record(
    op: "Op",
    inputs: Sequence[Tensor],
    params: dict[str, Any],
    array: np.ndarray[Any, Any],
    storage: Storage | None = None,
) -> Tensor:
    """Make the output tensor of a call; record the call when a gradient will have to come back.

    Whether an input requires a gradient is looked at here, once: a flag that is changed later, by
    leaving a `frozen()` block say, changes nothing about what was recorded. A view comes with its
    `storage`.
    """
    out = Bare()
    out._array = array
    out.storage = storage
    out.node = out.accumulated = out.hooks = None
    out.op = op
    out._flag = False
    out._cuts = ()
    if mode.grad:
        count = len(inputs)
        if count == 1:  # a list comprehension would be a tenth of the whole call
            needs: tuple[bool, ...] = (inputs[0]._flag,)
        elif count == 2:
            needs = (inputs[0]._flag, inputs[1]._flag)
        else:
            needs = tuple([t._flag for t in inputs])
        if True in needs and op.differentiable:
            _remember(op, inputs, params, out, needs)
        elif mode.records_cuts:
            out._cuts = _cuts(op, inputs)
    elif mode.records_cuts:
        out._cuts = _cuts(op, inputs)
    out.__class__ = Tensor
    if watched_anywhere:
        for observer in mode.observers:
            observer.on_call(op, inputs, params, out)  # type: ignore[arg-type]
    return out  # type: ignore[return-value]


def _remember(
    op: "Op", inputs: Sequence[Tensor], params: dict[str, Any], out: Bare, needs: tuple[bool, ...]
) -> None:
    if frozen_anywhere:
        needs = tuple([t.requires_grad for t in inputs])
        if True not in needs:
            if mode.records_cuts:
                out._cuts = _cuts(op, inputs)
            return
    plan = op.plans.get(needs)
    if plan is None:
        plan = op.plans[needs] = op.plan(needs)
    node = Node()
    node.op = op
    node.params = params
    node.plan = plan
    node.sequence = next_in_sequence()
    node.where = caller()
    node.shape = out._array.shape
    node.dtype = out._array.dtype
    node.parents = tuple([inputs[i].node or inputs[i] for i in plan.positions])
    node.saved, node.versions = (), None
    if plan.saves:
        node.saved = tuple([inputs[i] for _, i in plan.saves])
        for t in node.saved:
            if t.storage is not None and t.storage.version:
                _keep(node)
                break
    if plan.loose:
        try:
            hash((*params.values(),))
        except TypeError:  # lists and arrays can be changed: only what can't has a hash
            node.params = _own(params)
    node.shapes = node.output = node.unflagged = None
    if plan.shapes:
        shapes = tuple([t._array.shape for t in inputs])
        node.shapes = {name: shapes if i < 0 else shapes[i] for name, i in plan.shapes}
    if plan.saves_output:
        # The array and its version, not the tensor: a tensor points to its node, and a node that
        # pointed back would be a cycle, kept until the collector comes by.
        storage = out.storage = out.storage or Storage()
        node.output = (out._array, storage, storage.version)
        if storage.version < 0 and not mode.interpret:
            node.output = (out._array.copy(), storage, storage.version)
    node.hooks = node.retained = node.released = None
    if len(plan.positions) < len(needs):
        # To warn of a leaf whose flag is set too late; weak, so that no array is kept alive.
        node.unflagged = [
            weakref.ref(t)
            for t in inputs
            if t.node is None and not (t.requires_grad if frozen_anywhere else t._flag)
        ]
    out.node = node
    out._flag = True


def _keep(node: Node) -> None:
    """Keep what the saved tensors are now: some were written to, or may be by others."""
    saved, versions = [], []
    for t in node.saved or ():
        version: Any = 0 if t.storage is None else t.storage.version
        if version < 0 and not mode.interpret:
            t, version = _kept(t, version)
        saved.append(t)
        versions.append(version)
    node.saved, node.versions = tuple(saved), tuple(versions)


def _kept(tensor: Tensor, version: int) -> tuple[Tensor, Any]:
    """Keep the values that are in a NumPy array, where not every write is counted.

    A constant is copied. What the gradient goes on to must be the tensor itself: its values are
    compared on the way back. (A trace computes nothing from values, and its constants stay live.)
    """
    if tensor._flag:
        return tensor, (version, tensor._array.tobytes())
    return wrap(tensor._array.copy(), tensor.storage), version


def changed_since(tensor: Tensor, version: Any) -> bool:
    """Whether a saved tensor of another version now has changed, or `_kept` has its values."""
    if type(version) is not tuple:
        return True
    count, values = version
    return storage_of(tensor).version != count or tensor._array.tobytes() != values


def _own(value: Any) -> Any:
    """A parameter that nobody can change any more: arrays and lists are copied."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) in (list, tuple, set):
        return type(value)([_own(v) for v in value])
    return {k: _own(v) for k, v in value.items()} if type(value) is dict else value


def _cuts(op: "Op", inputs: Sequence[Tensor]) -> tuple[Cut, ...]:
    """Crumbs for a result without history: the lines where its paths were cut, no arrays."""
    required, found = False, _NONE
    for t in inputs:
        if frozen_anywhere:
            required, found = required or t.requires_grad, found + t.cuts
        else:
            required, found = required or t._flag, found + t._cuts
    here = (_cut(op),) if required else ()
    if not found:
        return here
    kept = dict.fromkeys([c for c in (*found, *here) if c.kind is not CutKind.UNFROZEN])
    return tuple(kept)[:8]


_NONE: tuple[Cut, ...] = ()


def _cut(op: "Op") -> Cut:
    if not mode.grad:
        return Cut(CutKind.NO_GRAD, f"{op.name} was called with grad mode off", caller())
    if op.cuts is not None:
        return Cut(op.cuts, "stop_gradient or detach()", caller())
    return Cut(CutKind.NOT_DIFFERENTIABLE, f"{op.name} has no derivative", caller())


# -- history that was not kept ---------------------------------------------------------------------

LOST = wrap(np.zeros(()))
"""The parent of a node whose history was not kept: every leaf may lie behind it."""


class _Unrecorded(NamedTuple):
    """What stands for the op of such a node: a name for messages."""

    name: str


def end_of_history(array: np.ndarray[Any, Any], name: str, reason: str) -> Tensor:
    """A result of `name` that requires a gradient and has no history: one that comes raises."""

    def refuse(g: Tensor) -> Tensor:
        raise RuntimeError(reason)

    node = Node()
    node.op, node.params = _Unrecorded(name), {}  # type: ignore[assignment]
    node.plan = GradPlan((0,), ((refuse, ("g",)),), (), (), False, (), False)
    node.parents = (LOST,)
    node.saved, node.versions = (), None
    node.output = node.shapes = node.hooks = node.retained = None
    node.released = node.unflagged = None
    node.shape, node.dtype = array.shape, array.dtype
    node.sequence, node.where = next_in_sequence(), caller()
    return with_node(node, array)
