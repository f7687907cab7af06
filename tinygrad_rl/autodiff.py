"""The way back: from a loss, through the recorded calls, to the leaves.

    loss.backward()                        # accumulates into the leaves' .grad
    dx, dy = grad(loss, (x, y))            # returns the gradients, touches nothing

Read `sweep` first: it is the only walk back, and hands out each step that it takes. What happens at
a step is the consumer's business: `backward` adds up, `grad` keeps what it was asked for, and
`debug.walkthrough` looks, for the worked example and for `explain`.

Nodes have their turn in the reverse order of their making, so that a node's gradient is complete by
then: a queue, no recursion. For each input that required a gradient *when the call was recorded*
that input's rule runs. An input that required none, a frozen parameter say, has no entry: its rule
does not run, and nothing is computed for it. The rules are ops, so with `create_graph` the sweep
itself is recorded and can be differentiated again.
"""

import heapq
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_rl.core import (
    LOST,
    Node,
    Tensor,
    alias,
    as_tensor,
    at,
    caller,
    changed_since,
    constant,
    method,
    mode,
    refusals,
    set_grad,
    storage_of,
    touch_grad,
    watched_anywhere,
    with_node,
    wrap,
)
from tinygrad_rl.grad_mode import GradMode
from tinygrad_rl.ops.arithmetic import add
from tinygrad_rl.ops.reduce import sum_to
from tinygrad_rl.ops.shape import astype, copy
from tinygrad_rl.spelling import counted, misplaced

Parent = Node | Tensor
"""What a gradient is handed on to: the node that made a tensor, or the leaf itself."""

Step = tuple[Node, Tensor, list[tuple[int, Parent, Tensor]]]
"""A node, the gradient of its output, and (position, parent, gradient) of inputs."""


def sweep(
    roots: Iterable[tuple[Tensor, Tensor]],
    gradients: dict[Parent, Tensor],
    useful: Collection[Parent] | None = None,
    hooks: bool = True,
) -> Iterator[Step]:
    """Carry gradients from the roots back to the leaves; hand out each step when it is done.

    Nothing else happens: the graph can be walked again. The rules run in the consumer's grad mode,
    and who watches is told of each step before they do.

    Parameters
    ----------
    roots : pairs (tensor, gradient of it).
    gradients : an empty dict, which holds the gradient of each leaf at the end. They may share
        memory with other tensors, and two leaves may have the very same.
    useful : the nodes and leaves worth a gradient, see `between`; None for all.
    hooks : whether the hooks of nodes see, and may replace, the gradients.
    """
    queue: list[tuple[int, Node]] = []
    sums: set[Parent] = set()  # those whose gradient was added up here, in memory of its own

    def hand_on(parent: Parent, g: Tensor) -> None:
        known = gradients.get(parent)
        if known is not None:
            if parent in sums and not watched_anywhere and not mode.grad:
                add.into(known._array, known._array, g._array)
            else:
                gradients[parent] = add(known, g)
                sums.add(parent)
            return
        gradients[parent] = g
        if type(parent) is Node:
            heapq.heappush(queue, (-parent.sequence, parent))

    for tensor, g in roots:
        if useful is None or parent_of(tensor) in useful:
            hand_on(parent_of(tensor), g)
    while queue:
        node = heapq.heappop(queue)[1]
        g = gradients.pop(node)
        if node.hooks and hooks:
            g = _run_hooks(node.hooks, g)
        if watched_anywhere:
            for observer in mode.observers:
                observer.on_step(node, g)
        plan, parents = node.plan, node.parents
        made: list[tuple[int, Parent, Tensor]] = []
        if useful is None or any([p in useful for p in parents]):  # noqa: C419 (faster)
            values = _values(node, g)
            for i, parent, (rule, names) in zip(plan.positions, parents, plan.rules, strict=True):
                if useful is not None and parent not in useful:
                    continue
                out = rule(*[values[n] for n in names])
                like = parent._array if type(parent) is Tensor else parent
                if out._array.shape != like.shape or out._array.dtype is not like.dtype:
                    out = _fitted(node, out, like.shape, like.dtype)
                made.append((i, parent, out))
                hand_on(parent, out)
        yield node, g, made


def parent_of(tensor: Tensor) -> Parent:
    """What a gradient of this tensor is handed on to."""
    return tensor.node or tensor


def between(outputs: Iterable[Tensor], targets: Collection[Parent]) -> set[Parent]:
    """The nodes and leaves that lie on a path from the outputs to a target, or to lost history."""
    seen: set[Parent] = set()
    stack = [parent_of(o) for o in outputs]
    while stack:
        parent = stack.pop()
        if parent not in seen:
            seen.add(parent)
            if type(parent) is Node:
                stack.extend(parent.parents)
    useful = {s for s in seen if s in targets or s is LOST}
    for node in sorted((s for s in seen if type(s) is Node), key=lambda n: n.sequence):
        if any(p in useful for p in node.parents):
            useful.add(node)
    return useful


def _fitted(node: Node, out: Tensor, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    """A rule's result in the shape and dtype of its input: here broadcasting is undone."""
    if out.shape != shape:
        try:
            fits = np.broadcast_shapes(shape, out.shape) == out.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"a gradient rule of op {node.op.name!r} (called at {at(node.where)}) gave shape "
                f"{out.shape} for an input of shape {shape}"
            )
        out = sum_to(out, shape)
    return astype(out, dtype)


def _values(node: Node, g: Tensor) -> dict[str, Any]:
    """What the rules of a node can ask for, checked to be what it was at the call."""
    if node.released is not None:
        raise refusals.used_up(node)
    values: dict[str, Any] = {"g": g, **node.params} if node.params else {"g": g}
    saved, versions = node.saved, node.versions
    assert saved is not None
    for k, (name, _) in enumerate(node.plan.saves):
        tensor = values[name] = saved[k]
        if (storage := tensor.storage) is not None:
            version = versions[k] if versions else 0
            if storage.version != version and changed_since(tensor, version):
                raise refusals.changed_in_place(node, f"its input {name!r}", storage.changed)
    for name in node.plan.constants:
        # Frozen at the call, unfrozen now: in gradients of gradients it counts as frozen, too.
        if values[name].requires_grad:
            values[name] = alias(values[name])
    if node.output is not None:
        array, storage, version = node.output
        if storage.version != version:
            raise refusals.changed_in_place(node, "its output", storage.changed)
        # The rules are recorded only where their gradients are: only then it needs its history.
        values["y"] = with_node(node, array, storage) if mode.grad else wrap(array, storage)
    if node.shapes:
        values.update(node.shapes)
    return values


def _run_hooks(hooks: Sequence[Callable[[Tensor], Any]], g: Tensor) -> Tensor:
    """What hooks make of a gradient, one after the other: this tensor's alone.

    Other tensors may have the very same gradient, so a hook sees a copy, and what it wrote there or
    returned, which it may write to again, is copied too.
    """
    for hook in tuple(hooks):
        seen = copy(g)
        changed = hook(seen)
        if changed is None and storage_of(seen).version:
            changed = seen
        if changed is None:
            continue
        if not isinstance(changed, Tensor):
            raise TypeError(f"a hook returns a Tensor or None, not {type(changed).__name__}")
        if changed.shape != g.shape:
            raise ValueError(
                f"a hook turned a gradient of shape {g.shape} into one of shape {changed.shape}"
            )
        g = copy(astype(changed, g.dtype))
    return g


# -- backward and grad ----------------------------------------------------------------------------


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
    if watched_anywhere:
        for observer in mode.observers:
            observer.on_backward([output], None, [gradient])
    check_root(output)
    roots = [(output, initial_gradient(output, gradient))]
    with GradMode(create_graph, backward):
        gradients, retained = _carry_out(roots, retain_graph or create_graph)
        refusals.warn_of_late_freezing(gradients)
        # From here on nothing fails: an exception in a rule or a hook leaves every .grad as it was.
        for leaf in tuple(gradients):
            _accumulate(leaf, gradients.pop(leaf), create_graph)
        for result, g in retained:
            _accumulate(result, copy(g), create_graph)


def _carry_out(
    roots: Sequence[tuple[Tensor, Tensor]],
    retain: bool,
    useful: Collection[Parent] | None = None,
    targets: Collection[Parent] = (),
) -> tuple[dict[Any, Tensor], list[tuple[Tensor, Tensor]]]:
    """Sweep for good: the graph is used up unless `retain`, hooks run, who watches is told.

    Returns
    -------
    The gradient of each leaf and of each target, and the pairs (result, gradient) that
    `retain_grad` asked for.
    """
    where = caller()
    gradients: dict[Parent, Tensor] = {}
    caught: dict[Parent, Tensor] = {}
    retained: list[tuple[Tensor, Tensor]] = []
    # What the rules compute without a graph is a constant by intention.
    before, mode.records_cuts = mode.records_cuts, mode.grad
    try:
        for node, g, made in sweep(roots, gradients, useful):
            if targets and node in targets:
                caught[node] = g
            if node.retained is not None and (result := node.retained()) is not None:
                retained.append((result, g))
            if node.unflagged is not None:
                refusals.warn_of_late_unfreezing(node)
            if made and not retain:
                node.released = where
                node.saved = node.output = None
        for leaf, g in gradients.items():
            if leaf.hooks:
                gradients[leaf] = _run_hooks(leaf.hooks, g)
    finally:
        mode.records_cuts = before
        for observer in mode.observers:
            observer.on_step(None, None)
    return gradients | caught if caught else gradients, retained


def _accumulate(tensor: Tensor, g: Tensor, create_graph: bool) -> None:
    """The first gradient makes a new tensor; later ones are added to that very tensor."""
    if not tensor.requires_grad:
        return
    if watched_anywhere:
        for observer in mode.observers:
            observer.on_gradient(tensor, g)
        touch_grad(tensor, writing=False)
    if tensor.accumulated is not None:
        if create_graph:
            set_grad(tensor, add(tensor.accumulated, g))
        else:
            tensor.accumulated.add_(g)
    else:
        # What nobody else holds can become the gradient itself; everything else is copied.
        own = _holders(g) == _ALONE and g._array.base is None and not create_graph
        set_grad(tensor, g if own else copy(g))


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
    if callable(outputs):
        raise misplaced("grad", "tensors first", outputs)
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None:
        seeds = [None] * len(outs)
    else:
        seeds = list(grad_outputs) if isinstance(grad_outputs, (list, tuple)) else [grad_outputs]
    if len(seeds) != len(outs):
        raise ValueError(f"{counted(len(outs), 'output')} but grad_outputs of {len(seeds)}")
    for i, t in enumerate(ins):
        if not t.requires_grad:
            raise RuntimeError(f"input {i} of grad (shape {t.shape}) does not require a gradient")
    for observer in mode.observers:
        observer.on_backward(outs, ins, seeds)
    for out in outs:
        check_root(out)
    roots = [(o, initial_gradient(o, s)) for o, s in zip(outs, seeds, strict=True)]
    targets = {parent_of(t) for t in ins}
    retain = create_graph if retain_graph is None else retain_graph
    with GradMode(create_graph, grad):
        found, _ = _carry_out(roots, retain, between(outs, targets), targets)
    results = [found.get(parent_of(t)) for t in ins]
    for i, (t, g) in enumerate(zip(ins, results, strict=True)):
        if g is None and materialize_grads:
            results[i] = Tensor(np.zeros(t.shape, t.dtype))
        elif g is None and not allow_unused:
            raise RuntimeError(
                f"the outputs do not depend on input {i} of grad (shape {t.shape}): pass "
                "allow_unused=True for None there, or materialize_grads=True for zeros"
            )
    with GradMode(create_graph, grad):
        return tuple(_apart(results, {id(g._array) for _, g in roots}))


def _apart(gradients: Sequence[Tensor | None], taken: set[int]) -> Iterator[Tensor | None]:
    """The gradients in memory of their own: scaling one in place must not scale another."""
    for g in gradients:
        if g is not None:
            if id(g._array) in taken or g._array.base is not None:
                g = copy(g)
            taken.add(id(g._array))
        yield g


# -- where it starts ------------------------------------------------------------------------------


def check_root(output: Tensor) -> None:
    """Refuse to start from a tensor that no path leads from."""
    # A constant result stays one when its flag is set by hand: nothing behind it would be trained.
    if not output.requires_grad or (output.node is None and output.op is not None):
        raise refusals.no_path(output)


def initial_gradient(output: Tensor, gradient: Any) -> Tensor:
    """The gradient that a sweep starts with: 1 for a scalar, else what the caller gives."""
    if gradient is None:
        if output._array.size != 1:
            raise RuntimeError(
                f"backward needs a scalar to start from, this tensor has shape {output.shape}: "
                "reduce it with sum() or mean(), or pass the gradient of it"
            )
        if not output.shape:
            return constant(1.0, output.dtype)
        return Tensor(np.ones(output.shape, output.dtype))
    gradient = as_tensor(gradient)
    if gradient.shape != output.shape:
        raise ValueError(
            f"the gradient to start from has shape {gradient.shape}, its tensor {output.shape}"
        )
    return gradient if gradient.dtype is output.dtype else astype(gradient, output.dtype)
