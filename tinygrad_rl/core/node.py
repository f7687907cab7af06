"""Node: the record of one call of an op, and `record`, which makes it where a gradient returns."""

import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_rl.core.context import Where, caller, mode, next_in_sequence
from tinygrad_rl.core.cuts import Cut, CutKind
from tinygrad_rl.core.tensor import Storage, Tensor, _Bare, storage_of, wrap

if TYPE_CHECKING:
    from tinygrad_rl.core.op import Op

Rule = Callable[..., Tensor]


class GradPlan(NamedTuple):
    """What a call saves and which rules run, when exactly these inputs want a gradient."""

    positions: tuple[int, ...]  # the inputs that want one
    rules: tuple[tuple[Rule, tuple[str, ...]], ...]  # a rule for each, and the names it asks for
    saves: tuple[tuple[str, int], ...]  # (name, position) of the inputs that some rule asks for
    constant: tuple[bool, ...]  # which of those wanted no gradient
    saves_output: bool
    shapes: tuple[tuple[str, int], ...]  # (name_shape, position)


class Node:
    """The record of one op call in which some input wanted a gradient.

    `parents` has, for each of those inputs, what the gradient is handed to: the node that made it,
    or the leaf tensor itself. Only what the rules ask for is kept alive.
    """

    op: "Op"
    params: dict[str, Any]
    plan: GradPlan
    parents: tuple[Any, ...]
    saved: tuple[Tensor, ...] | None
    versions: tuple[int, ...]
    output: Any  # (array, storage, version) when a rule asks for y
    shapes: dict[str, Any] | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sequence: int
    where: Where | None
    hooks: list[Any] | None
    retained: Any  # a weak reference to the tensor whose .grad is wanted, see `retain_grad`
    released: Where | None
    unflagged: list[Any] | None
    __slots__ = (
        "dtype",
        "hooks",
        "op",
        "output",
        "params",
        "parents",
        "plan",
        "released",
        "retained",
        "saved",
        "sequence",
        "shape",
        "shapes",
        "unflagged",
        "versions",
        "where",
    )


LOST = wrap(np.zeros(()))
"""The parent of a node whose history was not kept: every leaf may lie behind it."""


def record(
    op: "Op",
    inputs: Sequence[Tensor],
    params: dict[str, Any],
    array: np.ndarray[Any, Any],
    storage: Storage | None = None,
) -> Tensor:
    """Make the output tensor of a call; note the call when a gradient will have to come back.

    Whether an input wants a gradient is looked at here, once: a flag that is changed later, by
    leaving a `frozen()` block say, changes nothing about what was recorded. A view comes with its
    `storage`.
    """
    out = _Bare()
    out._array = array
    out.storage = storage
    out.node = out.accumulated = out.hooks = None
    out.op = op
    out._flag = False
    out.cuts = ()
    out.__class__ = Tensor
    needs = tuple([t._flag for t in inputs])
    wanted = True in needs
    if wanted and mode.grad and op.differentiable:
        _remember(op, inputs, params, out, needs)
    elif wanted or any([t.cuts for t in inputs]):  # noqa: C419 (faster than a generator)
        if mode.notes:
            _note_cuts(op, inputs, out, wanted)
    if mode.observers:
        for observer in mode.observers:
            observer.on_call(op, inputs, params, out)  # type: ignore[arg-type]
    return out  # type: ignore[return-value]


def _remember(
    op: "Op", inputs: Sequence[Tensor], params: dict[str, Any], out: _Bare, needs: tuple[bool, ...]
) -> None:
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
    saved = node.saved = tuple([inputs[i] for _, i in plan.saves])
    node.versions = tuple([0 if (s := t.storage) is None else s.version for t in saved])
    node.shapes = None
    if plan.shapes:
        shapes = tuple([t._array.shape for t in inputs])
        node.shapes = {name: shapes if i < 0 else shapes[i] for name, i in plan.shapes}
    node.output = None
    if plan.saves_output:
        # The array and its version, not the tensor: a tensor points to its node, and a node that
        # pointed back would be a cycle, kept until the collector comes by.
        storage = storage_of(out)  # type: ignore[arg-type]
        node.output = (out._array, storage, storage.version)
    node.hooks = node.retained = node.released = node.unflagged = None
    if len(plan.positions) < len(needs):
        # To warn of a leaf whose flag is set too late; weak, so that no array is kept alive.
        node.unflagged = [weakref.ref(t) for t in inputs if not t._flag and t.node is None]
    out.node = node
    out._flag = True


def _note_cuts(op: "Op", inputs: Sequence[Tensor], out: Any, wanted: bool) -> None:
    """Leave crumbs on a result without history: the lines where its paths were cut, no arrays."""
    cuts = dict.fromkeys(cut for t in inputs for cut in t.cuts if cut.kind is not CutKind.UNFROZEN)
    if wanted:
        if not mode.grad:
            cut = Cut(CutKind.NO_GRAD, f"{op.name} was called with grad mode off", caller())
        elif op.cuts is not None:
            cut = Cut(op.cuts, "stop_gradient or detach()", caller())
        else:
            cut = Cut(CutKind.NOT_DIFFERENTIABLE, f"{op.name} has no derivative", caller())
        cuts[cut] = None
    object.__setattr__(out, "cuts", tuple(cuts)[:8])
