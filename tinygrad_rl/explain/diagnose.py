"""From a recording to a verdict for each leaf: reached, or not and why, or reached by zeros only.

    leaves = diagnose(recorder, roots)

A *shadow path* leads from a leaf to the result through any calls. A *live path* is one that the
engine recorded, so a gradient comes back on it. A leaf is reached when it has a live path;
otherwise every cause on any of its shadow paths is listed: lifting one cut of two would not help.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_rl.core import Elementwise, Tensor
from tinygrad_rl.debug.walkthrough import Visit
from tinygrad_rl.explain.record import Call, Cause, Line, Recorder, Root, Value

REACHED, ZERO, FROZEN, BLOCKED, UNUSED = "reached", "zero", "frozen", "blocked", "unused"

# What a flat piece of a function is called; every other op has "a zero derivative".
_FLAT = {
    "relu": "dead ReLU",
    "tanh": "saturated tanh",
    "sigmoid": "saturated sigmoid",
    "clip": "outside clip's bounds",
    "mul": "multiplied by zero",
    "maximum": "not selected by maximum",
    "minimum": "not selected by minimum",
    "where": "not selected by where",
}
_STAIRS = {"floor", "ceil", "round", "trunc", "sign", "floor_divide"}


@dataclass(frozen=True)
class Use:
    """One call through which a leaf gets gradient.

    Attributes
    ----------
    op, norm : the op that is called with it, and the norm of what comes back from this call.
    line : the line of the explained function, or, when all gradients come in at that line, the
        first line below it at which they part.
    stack : all lines, from the explained function to the op.
    """

    op: str
    norm: float
    line: Line
    stack: tuple[Line, ...] = field(repr=False, compare=False, default=())


@dataclass(frozen=True)
class Leaf:
    """The verdict on one tensor.

    Attributes
    ----------
    status : "reached", "zero" (reached, but the gradient is exactly zero), "frozen" (the gradient
        passes by), "blocked" (it does not come that far) or "unused".
    norm : 2-norm of the gradient; None where there is none.
    paths, blocked_paths : ways from the result to the tensor that a gradient can take, and can't.
    causes : every place that stops a gradient of this tensor, or makes it zero.
    uses : where the gradient comes from.
    """

    name: str
    shape: tuple[int, ...]
    status: str
    norm: float | None
    paths: int
    blocked_paths: int
    causes: tuple[Cause, ...] = ()
    uses: tuple[Use, ...] = ()
    tensor: Tensor = field(repr=False, compare=False, default=None)  # type: ignore[assignment]


class Flow:
    """What leads to the roots: calls, shadow and live paths, and where paths are cut."""

    def __init__(self, recorder: Recorder, roots: Sequence[Root]) -> None:
        self.roots = roots
        self.targets = list({id(v): v for root in roots for v in root.values}.values())
        self.calls = _leading_to(self.targets)
        self.live = self._live_edges()
        self.paths = self._count(lambda call, i: (call.index, i) in self.live)
        self.shadow_paths = self._count(lambda call, i: True)
        self.consumers: dict[int, list[tuple[Call, int]]] = {}
        for call in self.calls:
            for i, v in enumerate(call.inputs):
                self.consumers.setdefault(id(v), []).append((call, i))

    def _live_edges(self) -> set[tuple[int, int]]:
        """Pairs (call, position) that a gradient from a root really takes."""
        asked: set[int] | None = set()
        for root in self.roots:
            asked = None if asked is None or root.asked is None else asked | root.asked
        useful = {id(t) for t in self.targets} if asked is None else self._toward(asked)
        alive = {id(v) for v in self.targets if v.tensor.requires_grad}
        live = set()
        for call in reversed(self.calls):
            if call.recorded and id(call.out) in alive:
                for i, v in enumerate(call.inputs):
                    if call.flags[i] and (asked is None or id(v) in useful):
                        live.add((call.index, i))
                        alive.add(id(v))
        return live

    def _toward(self, asked: set[int]) -> set[int]:
        """The values that depend on what `grad` was asked about."""
        useful: set[int] = set()
        for call in self.calls:
            for i, v in enumerate(call.inputs):
                if id(v.tensor) in asked:
                    useful.add(id(v))
                if id(v) in useful and call.recorded and call.flags[i]:
                    useful.add(id(call.out))
        return useful

    def _count(self, takes: Any) -> dict[int, int]:
        """How many ways lead from the roots back to each value."""
        ways = {id(v): 1 for v in self.targets}
        for call in reversed(self.calls):
            for i, v in enumerate(call.inputs):
                if takes(call, i):
                    ways[id(v)] = ways.get(id(v), 0) + ways.get(id(call.out), 0)
        return ways

    def onward(self, value: Value, live: bool = False) -> list[tuple[Call, int]]:
        """The edges on all shadow (or live) paths from a value to the roots."""
        reached, edges = {id(value)}, []
        for call in self.calls:
            for i, v in enumerate(call.inputs):
                if id(v) in reached and (not live or (call.index, i) in self.live):
                    edges.append((call, i))
                    reached.add(id(call.out))
        return edges


def _leading_to(targets: Iterable[Value]) -> list[Call]:
    """The calls on any path to the targets, in the order of their values' making."""
    found: dict[int, Call] = {}
    stack = [v.maker for v in targets]
    while stack:
        call = stack.pop()
        if call is not None and id(call) not in found:
            found[id(call)] = call
            stack += [v.maker for v in call.inputs]
    return _in_order(list(found.values()))


def _in_order(calls: list[Call]) -> list[Call]:
    """Inputs before outputs; a link through NumPy is found late but belongs early."""
    done: dict[int, Call] = {}
    mine = {id(c) for c in calls}
    for call in sorted(calls, key=lambda c: c.index):
        stack = [call]
        while stack:
            c = stack[-1]
            before = [v.maker for v in c.inputs if v.maker and id(v.maker) in mine]
            missing = [m for m in before if id(m) not in done]
            if missing and c not in missing:
                stack += missing
            else:
                done.setdefault(id(c), c)
                stack.pop()
    return list(done.values())


# -- verdicts --------------------------------------------------------------------------------------


def diagnose(recorder: Recorder, flow: Flow) -> tuple[list[Leaf], list[str]]:
    """The verdict on each leaf that is a parameter or has, or had, the flag; names of the data."""
    used = {id(v.tensor): v for call in recorder.calls for v in call.inputs if v.maker is None}
    used |= {id(v.tensor): v for v in flow.targets if v.maker is None}
    tensors = {id(t): t for t in recorder.names.found}
    tensors |= {i: v.tensor for i, v in used.items()}
    tensors |= {id(t): t for root in flow.roots for t in root.gradients}
    made = {id(c.out.tensor) for c in recorder.calls}
    leaves, data = [], []
    count = 0
    for i, t in tensors.items():
        value = used.get(i)
        if t.dtype.kind != "f" or t.op is not None or i in made:
            continue
        name = recorder.names.tensors.get(i) or (value.name if value else "")
        if _is_candidate(recorder, value, t):
            count += not name
            leaves.append(_verdict(recorder, flow, value, t, name or f"tensor {count}"))
        elif value is not None and name:
            data.append(name)
    return _told_apart(leaves), data


def _told_apart(leaves: list[Leaf]) -> list[Leaf]:
    """Go below the lines that all gradients share: that `self.step()` is called says nothing."""
    stacks = [use.stack for leaf in leaves for use in leaf.uses]
    shared = 0
    while stacks and min(map(len, stacks)) > shared and len({s[shared] for s in stacks}) == 1:
        shared += 1
    if not stacks or shared == max(map(len, stacks)):
        return leaves  # one line for all of them: the function's own is the best to show

    def parted(use: Use) -> Use:
        return replace(use, line=use.stack[min(shared, len(use.stack) - 1)])

    return [replace(leaf, uses=tuple(parted(u) for u in leaf.uses)) for leaf in leaves]


def _is_candidate(recorder: Recorder, value: Value | None, t: Tensor) -> bool:
    if id(t) in recorder.names.parameters or t.requires_grad or t.cuts:
        return True
    return value is not None and any(
        call.flags[i] or (call.causes[i][:1] and call.causes[i][0].kind == "frozen")
        for call in recorder.calls
        for i, v in enumerate(call.inputs)
        if v is value
    )


def _verdict(recorder: Recorder, flow: Flow, value: Value | None, t: Tensor, name: str) -> Leaf:
    paths = flow.paths.get(id(value), 0)
    shadow = flow.shadow_paths.get(id(value), 0)
    late = next((r.frozen_late[id(t)] for r in flow.roots if id(t) in r.frozen_late), None)
    known = _gradient(flow, t) is not None  # also through history from before the recording
    if not (shadow or known):
        left = _left_the_engine(recorder, value) if value else []
        cause = left or [_unused(recorder, value)]
        return Leaf(name, t.shape, BLOCKED if left else UNUSED, None, 0, 0, tuple(cause), (), t)
    causes = _causes(recorder, flow, value) if value else []
    if not (paths or known) or late is not None:
        causes = [*([late] if late else []), *causes, *_not_asked(flow, t)]
        causes = causes or [_no_flag(recorder, t)]
        status = FROZEN if all(c.kind == "frozen" for c in causes) else BLOCKED
        return Leaf(name, t.shape, status, None, 0, shadow, tuple(causes), (), t)
    g = _gradient(flow, t)
    norm = None if g is None else float(np.linalg.norm(g.astype(np.float64)))
    status = ZERO if g is not None and not np.any(g) else REACHED
    if status == ZERO:
        causes = (_zeros(flow, value) if value else []) + causes
    uses = _uses(flow, value) if value else ()
    return Leaf(name, t.shape, status, norm, paths, shadow - paths, tuple(causes), uses, t)


def _gradient(flow: Flow, t: Tensor) -> np.ndarray[Any, Any] | None:
    found = [r.gradients[t]._array for r in flow.roots if t in r.gradients]
    return None if not found else np.sum(found, axis=0)


def _unique(causes: Iterable[Cause]) -> list[Cause]:
    """Each place once: a block that holds ten calls is one cut."""
    found: dict[tuple[str, Line], Cause] = {}
    for c in causes:
        found.setdefault((c.kind, c.line), c)
    return list(found.values())


def _causes(recorder: Recorder, flow: Flow, value: Value) -> list[Cause]:
    late = recorder.thawed_late(value.tensor)
    edges = flow.onward(value)
    unseen = any(call.inputs[i] is value and not call.flags[i] for call, i in edges)
    first = [late] if late and unseen else []
    return _unique([*first, *(c for call, i in edges for c in call.causes[i])])


def _not_asked(flow: Flow, t: Tensor) -> list[Cause]:
    lines = [r.line for r in flow.roots if r.asked is not None and id(t) not in r.asked and r.line]
    return [
        Cause("not asked for", "grad() was asked about other tensors only", n) for n in lines[:1]
    ]


def _no_flag(recorder: Recorder, t: Tensor) -> Cause:
    call = next(c for c in recorder.calls if any(v.tensor is t for v in c.inputs))
    return Cause("no flag", f"requires_grad was False when {call.op} was called", call.line)


def _left_the_engine(recorder: Recorder, value: Value) -> list[Cause]:
    """Reads of what was computed from a leaf whose numbers never came back."""
    reached = {id(value)}
    for call in recorder.calls:
        if any(id(v) in reached for v in call.inputs):
            reached.add(id(call.out))
    return _unique(
        Cause("left the engine", f"through {read.how}", read.line)
        for read in recorder.reads
        if id(read.source) in reached
    )


def _unused(recorder: Recorder, value: Value | None) -> Cause:
    """Where the influence of a leaf on anything ends."""
    if value is None:
        return Cause("unused", "the function never uses it", Line("?", 0))
    reached, last = {id(value)}, None
    for call in recorder.calls:
        if any(id(v) in reached for v in call.inputs):
            reached.add(id(call.out))
            last = call
    line = last.line if last else Line("?", 0)
    return Cause("unused", "what is computed from it does not enter the result", line)


def _uses(flow: Flow, value: Value) -> tuple[Use, ...]:
    node_calls = {id(c.out.tensor.node): c for c, _ in flow.consumers.get(id(value), [])}
    found = []
    for visit in (v for root in flow.roots for v in root.visits):
        call = node_calls.get(id(visit.node))
        for _, sink, g in visit.sent:
            if sink is value.tensor and call is not None:
                norm = float(np.linalg.norm(g._array))
                found.append(Use(call.op, norm, call.stack[0], call.stack))
    return tuple(found)


# -- exactly zero ----------------------------------------------------------------------------------


def _zeros(flow: Flow, value: Value) -> list[Cause]:
    """The calls on the way that turn a gradient into zeros, with the share of rows."""
    on_way = {id(c.out.tensor.node): (c, i) for c, i in flow.onward(value, live=True)}
    kills: list[tuple[float, Cause]] = []
    for visit in (v for root in flow.roots for v in root.visits):
        if id(visit.node) in on_way:
            call, _ = on_way[id(visit.node)]
            kills += [kill for kill in (_kill(call, visit, p, g) for p, _, g in visit.sent) if kill]
    whole = [cause for share, cause in kills if share == 1.0]
    return _unique(whole or [cause for _, cause in kills]) or [
        Cause("cancels", "the contributions of several paths add up to exactly zero", Line("?", 0))
    ]


def _kill(call: Call, visit: Visit, position: int, out: Tensor) -> tuple[float, Cause] | None:
    before, after = _live_rows(visit.g._array), _live_rows(out._array)
    if not before.any():
        return None
    if isinstance(visit.node.op, Elementwise) and before.shape == after.shape:
        dead, total = int((before & ~after).sum()), before.size
        if not dead:
            return None
        share = dead / total
        kind = _FLAT.get(call.op, "flat everywhere" if call.op in _STAIRS else "zero derivative")
        detail = f"{call.op}: {dead} of {total} rows ({share:.0%})"
        return share, Cause(kind, detail, call.line)
    if after.any():
        return None
    return 1.0, Cause("zero derivative", f"all that {call.op} passes back is zero", call.line)


def _live_rows(g: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which rows (entries of the first axis) of a gradient have anything in them."""
    return np.any(g.reshape(g.shape[0], -1), axis=1) if g.ndim > 1 else np.atleast_1d(g != 0)
