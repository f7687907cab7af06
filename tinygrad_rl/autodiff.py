"""The way back: from a loss, through the recorded calls, to the leaves.

    loss.backward()                        # accumulates into the leaves' .grad
    dx, dy = grad(loss, (x, y))            # returns the gradients, touches nothing

The sweep takes nodes in the reverse order of their making, so that a node's gradient is complete
when its turn comes: a queue, no recursion. For each input that wanted a gradient *when the call was
recorded* it runs that input's rule. An input that wanted none, a frozen parameter say, has no
entry: its rule does not run, and nothing is computed for it. The rules are ops, so with
`create_graph` the sweep itself is recorded and can be differentiated again.
"""

import heapq
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_rl.core import (
    LOST,
    CutKind,
    Node,
    Tensor,
    as_tensor,
    at,
    caller,
    constant,
    method,
    mode,
    touch_grad,
    warn,
    wrap,
)
from tinygrad_rl.grad_mode import GradMode
from tinygrad_rl.ops.elementwise import add
from tinygrad_rl.ops.reduce import sum_to
from tinygrad_rl.ops.shape import astype, copy

Sink = Node | Tensor


def sweep(
    roots: Sequence[tuple[Tensor, Tensor]],
    retain: bool,
    useful: set[Sink] | None = None,
    targets: Collection[Sink] = (),
    retained: list[tuple[Tensor, Tensor]] | None = None,
) -> dict[Sink, Tensor]:
    """Carry gradients from the roots back to the leaves, in the grad mode of the caller.

    Parameters
    ----------
    roots : pairs (tensor, gradient of it).
    retain : keep what the nodes saved, for another sweep.
    useful : the nodes and leaves worth visiting; None for all.
    targets : nodes whose gradient is wanted too.
    retained : gets the pairs (result of an op, gradient) that `retain_grad` asked for.

    Returns
    -------
    The gradient of each leaf reached and of each target, after their hooks. It may share memory
    with another tensor, and be the same tensor for two of them.
    """
    where = caller()
    pending: dict[Sink, Tensor] = {}
    caught: dict[Sink, Tensor] = {}
    queue: list[tuple[int, Node]] = []

    def send(sink: Sink, g: Tensor) -> None:
        known = pending.get(sink)
        if known is not None:
            pending[sink] = add(known, g)
            return
        pending[sink] = g
        if type(sink) is Node:
            heapq.heappush(queue, (-sink.sequence, sink))

    for tensor, g in roots:
        if useful is None or _sink(tensor) in useful:
            send(_sink(tensor), g)
    # What the rules compute without a graph is a constant by intention.
    notes, mode.notes = mode.notes, mode.grad
    try:
        while queue:
            node = heapq.heappop(queue)[1]
            g = pending.pop(node)
            if node.hooks:
                g = _hooked(node.hooks, g)
            if node.retained is not None and retained is not None:
                if (result := node.retained()) is not None:
                    retained.append((result, g))
            if node in targets:
                caught[node] = g
            if node.unflagged is not None:
                _warn_of_late_thaw(node)
            for observer in mode.observers:
                observer.on_step(node)
            if _step(node, g, useful, send) and not retain:
                node.released = where
                node.saved = node.output = None
        for leaf, g in pending.items():
            if leaf._hooks:  # type: ignore[union-attr]
                pending[leaf] = _hooked(leaf._hooks, g)  # type: ignore[union-attr]
    finally:
        mode.notes = notes
        for observer in mode.observers:
            observer.on_step(None)
    return pending | caught


def _sink(tensor: Tensor) -> Sink:
    """What a gradient of this tensor is handed to: the node that made it, or the leaf itself."""
    return tensor._node or tensor


def _step(
    node: Node, g: Tensor, useful: set[Sink] | None, send: Callable[[Sink, Tensor], None]
) -> bool:
    """Run the rules of one node: the gradient of its output becomes gradients of its inputs.

    Returns False when none of them was wanted, and so none ran.
    """
    if useful is not None and not any([p in useful for p in node.parents]):  # noqa: C419 (faster)
        return False
    values = _values(node, g)
    for sink, (rule, names) in zip(node.parents, node.plan.rules, strict=True):
        if useful is not None and sink not in useful:
            continue
        out = rule(*[values[n] for n in names])
        shape = sink._array.shape if type(sink) is Tensor else sink.shape
        dtype = sink._array.dtype if type(sink) is Tensor else sink.dtype
        if out._array.shape != shape:
            out = _unbroadcast(node, out, shape)
        if out._array.dtype != dtype:
            out = astype(out, dtype)
        send(sink, out)
    return True


def _unbroadcast(node: Node, out: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        fits = np.broadcast_shapes(shape, out.shape) == out.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"a gradient rule of op {node.op.name!r} (called at {at(node.where)}) gave shape "
            f"{out.shape} "
            f"for an input of shape {shape}"
        )
    return sum_to(out, shape)


def _values(node: Node, g: Tensor) -> dict[str, Any]:
    """What the rules of a node can ask for, checked to be what it was at the call."""
    if node.released is not None:
        raise RuntimeError(
            f"the graph of {node.op.name!r} (called at {at(node.where)}) was used up by the "
            "backward at "
            f"{at(node.released)}; pass retain_graph=True there to go through it again"
        )
    values: dict[str, Any] = {"g": g, **node.params}
    plan, saved = node.plan, node.saved
    assert saved is not None
    for (name, _), fixed, tensor, version in zip(
        plan.saves, plan.constant, saved, node.versions, strict=True
    ):
        storage = tensor._storage
        if storage is not None and storage.version != version:
            raise _changed(node, f"its input {name!r}", storage.changed)
        # Frozen at the call, thawed now: in gradients of gradients it counts as frozen, too.
        values[name] = _constant_twin(tensor) if fixed and tensor._flag else tensor
    if node.output is not None:
        array, storage, version = node.output
        if storage.version != version:
            raise _changed(node, "its output", storage.changed)
        y = wrap(array)
        for slot, value in (("_node", node), ("_flag", True), ("_storage", storage)):
            object.__setattr__(y, slot, value)
        values["y"] = y
    if node.shapes:
        values.update(node.shapes)
    return values


def _constant_twin(tensor: Tensor) -> Tensor:
    twin = wrap(tensor._array)
    object.__setattr__(twin, "_storage", tensor._storage)
    return twin


def _changed(node: Node, what: str, where: Any) -> RuntimeError:
    return RuntimeError(
        f"a tensor needed for the gradient was changed in place: {node.op.name!r}, called at "
        f"{at(node.where)}, saved {what}, which was changed at {at(where)}. Change it after "
        "backward(), "
        "or work on a copy()"
    )


def _hooked(hooks: Sequence[Callable[[Tensor], Any]], g: Tensor) -> Tensor:
    for hook in tuple(hooks):
        changed = hook(g)
        if changed is None:
            continue
        if not isinstance(changed, Tensor):
            raise TypeError(f"a hook returns a Tensor or None, not {type(changed).__name__}")
        if changed.shape != g.shape:
            raise ValueError(
                f"a hook turned a gradient of shape {g.shape} into one of shape {changed.shape}"
            )
        g = astype(changed, g.dtype)
    return g


def _warn_of_late_thaw(node: Node) -> None:
    for reference in node.unflagged or ():
        leaf = reference()
        thawed = leaf is not None and leaf._flag and leaf._cuts and leaf._cuts[0]
        if leaf is not None and thawed and thawed.when > node.sequence:
            warn(
                f"a tensor of shape {leaf.shape} got requires_grad=True (at {at(thawed.where)}) "
                "only after "
                f"{node.op.name!r} was called with it at {at(node.where)}: it gets no gradient "
                "from that "
                "call. Set the flag before the forward pass"
            )


def _initial(output: Tensor, gradient: Any) -> Tensor:
    """The gradient that a sweep starts with: 1 for a scalar, else what the caller gives."""
    if gradient is None:
        if output.size != 1:
            raise RuntimeError(
                f"backward needs a scalar to start from, this tensor has shape {output.shape}: "
                "reduce it "
                "with sum() or mean(), or pass the gradient of it"
            )
        if not output.shape:
            return constant(1.0, output.dtype)
        return Tensor(np.ones(output.shape, output.dtype))
    gradient = as_tensor(gradient)
    if gradient.shape != output.shape:
        raise ValueError(
            f"the gradient to start from has shape {gradient.shape}, its tensor {output.shape}"
        )
    return astype(gradient, output.dtype)


def no_path(output: Tensor) -> RuntimeError:
    """The error for a tensor without history, with every cut that was noted on the way to it."""
    lines = [
        f"  {cut.kind}: {cut.detail}, {at(cut.where)}"
        for cut in output._cuts
        if cut.kind is not CutKind.UNFROZEN
    ]
    if not lines:
        lines = ["  nothing that went into it requires a gradient"]
    return RuntimeError(
        "no gradient can come back from this tensor: no path leads from it to a leaf that "
        "requires one.\n" + "\n".join(lines) + f"\nFor every path and every cut: {_explain_call()}"
    )


def _explain_call() -> str:
    """The call that explains what the user's innermost function is doing, ready to be pasted."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(
        str(Path(__file__).parent)
    ):
        frame = frame.f_back
    code = frame.f_code
    if not code.co_name.isidentifier():  # at the top level of a file, in a lambda
        return "tinygrad_rl.explain(f), where f() computes this tensor and returns it"
    arguments = code.co_varnames[: code.co_argcount]
    owner = "self." if arguments[:1] == ("self",) else ""
    given = arguments[1:] if owner else arguments
    return f"tinygrad_rl.explain({', '.join((owner + code.co_name, *given))})"


def _check_root(output: Tensor) -> None:
    # A constant result stays one when its flag is set by hand: nothing behind it would be trained.
    if not output._flag or (output._node is None and output._op is not None):
        raise no_path(output)


@method("backward")
def backward(
    output: Tensor, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False
) -> None:
    """Add the gradient of this tensor to `.grad` of every leaf that it depends on.

    Parameters
    ----------
    gradient : the gradient of this tensor, of its shape; 1 when left out, for scalars only.
    retain_graph : allow another backward through the same graph.
    create_graph : make the gradients differentiable; implies `retain_graph`.

    Raises
    ------
    RuntimeError : when no path leads to a leaf that requires a gradient (with the places where
        paths were cut), for a graph that was used up, and for a saved tensor that was changed in
        place (with both places).
    """
    for observer in mode.observers:
        observer.on_backward([output], None, [gradient])
    _check_root(output)
    retained: list[tuple[Tensor, Tensor]] = []
    roots = [(output, _initial(output, gradient))]
    with GradMode(create_graph, backward):
        gradients: dict[Any, Tensor] = sweep(roots, retain_graph or create_graph, retained=retained)
        _warn_of_late_freezing(gradients)
        # From here on nothing fails: an exception in a rule or a hook leaves every .grad as it was.
        for leaf in tuple(gradients):
            _accumulate(leaf, gradients.pop(leaf), create_graph)
        for result, g in retained:
            _accumulate(result, copy(g), create_graph)


def _warn_of_late_freezing(leaves: Iterable[Any]) -> None:
    for leaf in leaves:
        if not leaf._flag:
            warn(
                f"a leaf of shape {leaf.shape} was frozen between forward and backward (at "
                f"{at(leaf._cuts[0].where) if leaf._cuts else '?'}): its gradient was computed "
                "and thrown "
                "away. Freeze before the forward pass"
            )


def _accumulate(tensor: Tensor, g: Tensor, create_graph: bool) -> None:
    """The first gradient makes a new tensor; later ones are added to that very tensor."""
    if not tensor._flag:
        return
    for observer in mode.observers:
        observer.on_gradient(tensor, g)
    touch_grad(tensor, writing=False)
    if tensor._grad is not None:
        if create_graph:
            object.__setattr__(tensor, "_grad", add(tensor._grad, g))
        else:
            tensor._grad.add_(g)
    else:
        # What nobody else holds can become the gradient itself; everything else is copied.
        own = _holders(g) == _ALONE and g._array.base is None and not create_graph
        object.__setattr__(tensor, "_grad", g if own else copy(g))


def _holders(t: Tensor) -> tuple[int, int]:
    return sys.getrefcount(t), sys.getrefcount(t._array)


def _holders_of_an_argument(t: Tensor) -> tuple[int, int]:
    return _holders(t)


_ALONE = _holders_of_an_argument(wrap(np.empty(0)))  # differs between versions of Python


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the outputs' sum with respect to the inputs; `.grad` stays as it is.

    Only what lies between is computed: with the actor's parameters as inputs, no gradient of the
    critic's parameters is ever formed.

    Parameters
    ----------
    outputs, inputs : a tensor or a sequence of tensors; inputs may be results of ops.
    grad_outputs : gradients of the outputs (one, or a list); 1 for each scalar when left out.
    create_graph : make the gradients differentiable.
    retain_graph : allow another sweep; None means `create_graph`.
    allow_unused : give None for an input that the outputs don't depend on, instead of raising.
    materialize_grads : give zeros for it (implies `allow_unused`).

    Raises
    ------
    RuntimeError : as `backward`; also for an input that does not require a gradient or is not used.
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        seeds = [None] * len(outs)
    else:
        seeds = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs]
    if len(seeds) != len(outs):
        raise ValueError(f"{len(outs)} outputs but {len(seeds)} grad_outputs")
    for i, t in enumerate(ins):
        if not t._flag:
            raise RuntimeError(f"input {i} of grad (shape {t.shape}) does not require a gradient")
    for observer in mode.observers:
        observer.on_backward(outs, ins, seeds)
    for out in outs:
        _check_root(out)
    roots = [(o, _initial(o, s)) for o, s in zip(outs, seeds, strict=True)]
    targets = {_sink(t) for t in ins}
    retain = create_graph if retain_graph is None else retain_graph
    with GradMode(create_graph, grad):
        found = sweep(roots, retain, _between(outs, targets), targets)
    results: list[Tensor | None] = []
    taken = {id(g._array) for _, g in roots}
    for i, t in enumerate(ins):
        g = found.get(_sink(t))
        if g is None and materialize_grads:
            g = Tensor(np.zeros(t.shape, t.dtype))
        if g is None and not allow_unused:
            raise RuntimeError(
                f"the outputs do not depend on input {i} of grad (shape {t.shape}): pass "
                "allow_unused=True for None there, or materialize_grads=True for zeros"
            )
        if g is not None:
            if id(g._array) in taken or g._array.base is not None:
                # Two results never share memory: scaling one in place must not scale the other.
                with GradMode(create_graph, grad):
                    g = copy(g)
            taken.add(id(g._array))
        results.append(g)
    return tuple(results)


def _between(outputs: Sequence[Tensor], targets: Collection[Sink]) -> set[Sink]:
    """The nodes and leaves that lie on a path from the outputs to a target, or to lost history."""
    seen: set[Sink] = set()
    stack = [_sink(o) for o in outputs]
    while stack:
        sink = stack.pop()
        if sink not in seen:
            seen.add(sink)
            if type(sink) is Node:
                stack.extend(sink.parents)
    useful = {s for s in seen if s in targets or s is LOST}
    for node in sorted((s for s in seen if type(s) is Node), key=lambda n: n.sequence):
        if any(p in useful for p in node.parents):
            useful.add(node)
    return useful


# -- hooks -----------------------------------------------------------------------------------------


class HookHandle:
    """Takes a hook off again."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook off; harmless when it is off already."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


@method("register_hook")
def register_hook(tensor: Tensor, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
    """Call `hook(gradient)` when this tensor's gradient is complete; what it returns replaces it.

    Raises
    ------
    RuntimeError : when the tensor does not require a gradient.
    """
    if not tensor._flag:
        raise RuntimeError("a hook needs a tensor that requires a gradient")
    if tensor._node is not None:
        hooks = tensor._node.hooks = tensor._node.hooks or []
    else:
        hooks = tensor._hooks or []
        object.__setattr__(tensor, "_hooks", hooks)
    hooks.append(hook)
    return HookHandle(hooks, hook)


@method("retain_grad")
def retain_grad(tensor: Tensor) -> None:
    """Make `backward` fill `.grad` of this result of an op too; leaves have it anyway."""
    if not tensor._flag:
        raise RuntimeError("retain_grad needs a tensor that requires a gradient")
    if tensor._node is not None:
        tensor._node.retained = weakref.ref(tensor)
