"""From a recording to a verdict for each leaf: reached, or not and why, or reached by zeros only.

    flow = Flow(recorder, recorder.roots)
    leaves, data = diagnose(recorder, flow)

A *shadow path* leads from a leaf to the result through any calls. A *live path* is one that the
engine recorded, so a gradient comes back on it. A leaf is reached when it has a live path;
otherwise every cut on any of its shadow paths is listed: lifting one of two would not help.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from tinygrad_rl.core import Cut, CutKind, Elementwise, Line, Node, Tensor
from tinygrad_rl.explain.record import Call, Recorder, Root, Tracked

Edge = tuple[Call, int]  # a call and the position of one of its inputs
Gradient = np.ndarray[Any, Any]


class Status(StrEnum):
    """What becomes of a leaf."""

    REACHED = "reached"
    ZERO = "zero"  # reached, but the gradient is exactly zero
    FROZEN = "frozen"  # the way is open, nothing is computed for it
    BLOCKED = "blocked"  # the gradient does not come that far
    UNUSED = "unused"


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
    stack: tuple[Line, ...] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Leaf:
    """The verdict on one tensor.

    Attributes
    ----------
    norm : 2-norm of the gradient; None where there is none.
    paths, blocked_paths : ways from the result to the tensor that a gradient can take, and can't.
    causes : every cut that stops a gradient of this tensor, or makes it zero.
    uses : where the gradient comes from.
    passed : whether a gradient goes through a call that uses the tensor, to another input.
    """

    name: str
    shape: tuple[int, ...]
    tensor: Tensor = field(repr=False, compare=False)
    status: Status = Status.UNUSED
    norm: float | None = None
    paths: int = 0
    blocked_paths: int = 0
    causes: tuple[Cut, ...] = ()
    uses: tuple[Use, ...] = ()
    passed: bool = False


class Flow:
    """What leads to the roots: calls, shadow and live paths, and the gradients on these.

    Attributes
    ----------
    consumers : the edges at which each value is used.
    live : the edges that a gradient from a root takes.
    paths, shadow_paths : how many (live) ways lead from the roots back to each value.
    incoming, sent : the gradient of each call's output, and what it made of it for each input.
    """

    def __init__(self, recorder: Recorder, roots: Sequence[Root]) -> None:
        self.roots = roots
        self.targets = list(dict.fromkeys(v for root in roots for v in root.outputs))
        self.calls = _leading_to(self.targets)
        self.consumers: dict[Tracked, list[Edge]] = {}
        for call in self.calls:
            for i, v in enumerate(call.inputs):
                self.consumers.setdefault(v, []).append((call, i))
        self.live = self._live_edges()
        self.paths = self._count(lambda edge: edge in self.live)
        self.shadow_paths = self._count(lambda edge: True)
        self.incoming: dict[Call, Gradient] = {}
        self.sent: dict[Edge, Gradient] = {}
        self._collect_gradients()

    def onward(self, value: Tracked, live: bool = False) -> list[Edge]:
        """The edges on all shadow (or live) paths from a value to the roots."""
        return edges_from([value], self.calls, self.live.__contains__ if live else None)

    def _collect_gradients(self) -> None:
        calls: dict[Node | None, list[Call]] = {}
        for call in self.calls:
            calls.setdefault(call.out.tensor.node, []).append(call)
        for visit in (v for root in self.roots for v in root.visits):
            for call in calls.get(visit.node, ()):
                self.incoming[call] = self.incoming.get(call, 0) + visit.g._array
                for i, _, g in visit.sent:
                    self.sent[call, i] = self.sent.get((call, i), 0) + g._array

    def _live_edges(self) -> set[Edge]:
        """The edges that a gradient from a root really takes."""
        useful = self._useful()
        alive = {v for v in self.targets if v.tensor.requires_grad}
        live = set()
        for call in reversed(self.calls):
            if call.recorded and call.out in alive:
                for i, v in enumerate(call.inputs):
                    if call.flags[i] and (useful is None or v in useful):
                        live.add((call, i))
                        alive.add(v)
        return live

    def _useful(self) -> set[Tracked] | None:
        """The values that depend on what `grad` was asked about; None for all."""
        asked: set[Tensor] = set()
        for root in self.roots:
            if root.asked is None:
                return None
            asked |= root.asked
        starts = [v for v in (*self.consumers, *self.targets) if v.tensor in asked]
        edges = edges_from(starts, self.calls, lambda e: e[0].recorded and e[0].flags[e[1]])
        return {*starts, *(call.out for call, _ in edges)}

    def _count(self, takes: Callable[[Edge], bool]) -> dict[Tracked, int]:
        """How many ways lead from the roots back to each value."""
        ways = dict.fromkeys(self.targets, 1)
        for call in reversed(self.calls):
            for i, v in enumerate(call.inputs):
                if takes((call, i)):
                    ways[v] = ways.get(v, 0) + ways.get(call.out, 0)
        return ways


def edges_from(
    starts: Iterable[Tracked], calls: Iterable[Call], takes: Callable[[Edge], bool] | None = None
) -> list[Edge]:
    """The edges on all ways onward from some values, or on those that may be taken."""
    reached, edges = set(starts), []
    for call in calls:
        for i, v in enumerate(call.inputs):
            if v in reached and (takes is None or takes((call, i))):
                edges.append((call, i))
                reached.add(call.out)
    return edges


def _leading_to(targets: Iterable[Tracked]) -> list[Call]:
    """The calls on any path to the targets, inputs before outputs."""
    found: set[Call] = set()
    stack = [v.maker for v in targets]
    while stack:
        call = stack.pop()
        if call is not None and call not in found:
            found.add(call)
            stack += [v.maker for v in call.inputs]
    return sorted(found, key=lambda call: call.order)


# -- verdicts --------------------------------------------------------------------------------------


def diagnose(recorder: Recorder, flow: Flow) -> tuple[list[Leaf], list[str]]:
    """The verdict on each leaf that is a parameter or has, or had, the flag; names of the data."""
    names = recorder.names
    values = [v for call in recorder.calls for v in call.inputs] + flow.targets
    used = {v.tensor: v for v in values if v.maker is None}
    swept = [t for root in flow.roots for t in root.gradients]
    made = {c.out.tensor for c in recorder.calls}
    leaves, data, nameless = [], [], 0
    for t in dict.fromkeys([*names.found, *used, *swept]):
        if t.dtype.kind != "f" or t.op is not None or t in made:
            continue
        value = used.get(t) or Tracked(t)
        name = names.tensors.get(id(t)) or value.name
        if id(t) in names.parameters or t.requires_grad or t.cuts:
            nameless += not name
            leaf = Leaf(name or f"tensor {nameless}", t.shape, t)
            leaves.append(_verdict(recorder, flow, value, leaf))
        elif name and t in used:
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


def _verdict(recorder: Recorder, flow: Flow, value: Tracked, leaf: Leaf) -> Leaf:
    paths, shadow = flow.paths.get(value, 0), flow.shadow_paths.get(value, 0)
    found = [r.gradients[leaf.tensor]._array for r in flow.roots if leaf.tensor in r.gradients]
    g = np.sum(found, axis=0) if found else None  # also by history from before the recording
    if not shadow and g is None:
        causes = _left_the_engine(recorder, value)
        status = Status.BLOCKED if causes else Status.UNUSED
        return replace(leaf, status=status, causes=tuple(causes or [_unused(recorder, value)]))
    cuts = _on_paths(recorder, flow, value)
    late = [r.frozen_late[leaf.tensor] for r in flow.roots if leaf.tensor in r.frozen_late]
    if late or (not paths and g is None):
        causes = [*late[:1], *cuts, *_not_asked(flow, value)] or [_no_flag(recorder, value)]
        frozen = all(c.kind is CutKind.FROZEN for c in causes)
        status = Status.FROZEN if frozen else Status.BLOCKED
        users = {call for call, _ in flow.consumers.get(value, ())}
        passed = any(call in users for call, _ in flow.live)
        return replace(
            leaf, status=status, blocked_paths=shadow, causes=tuple(causes), passed=passed
        )
    is_zero = g is not None and not np.any(g)
    return replace(
        leaf,
        status=Status.ZERO if is_zero else Status.REACHED,
        norm=None if g is None else float(np.linalg.norm(g.astype(np.float64))),
        paths=paths,
        blocked_paths=shadow - paths,
        causes=(*(_zeros(flow, value) if is_zero else ()), *cuts),
        uses=_uses(flow, value),
    )


# -- cuts ------------------------------------------------------------------------------------------


def _unique(cuts: Iterable[Cut]) -> list[Cut]:
    """Each place once: a block that holds ten calls is one cut."""
    found: dict[tuple[str, Line], Cut] = {}
    for cut in cuts:
        found.setdefault((cut.title, cut.line), cut)
    return list(found.values())


def _on_paths(recorder: Recorder, flow: Flow, value: Tracked) -> list[Cut]:
    edges = flow.onward(value)
    late = recorder.unfrozen_late(value.tensor)
    cuts = [c for call, i in edges for c in call.cuts[i]]
    unseen = any(call.inputs[i] is value and not call.flags[i] for call, i in edges)
    return _unique([late, *cuts] if late and unseen else cuts)


def _not_asked(flow: Flow, value: Tracked) -> list[Cut]:
    roots = [r for r in flow.roots if r.asked is not None and value.tensor not in r.asked]
    detail = "grad() was asked about other tensors only"
    return [Cut(CutKind.NOT_ASKED, detail, root.where) for root in roots[:1]]


def _no_flag(recorder: Recorder, value: Tracked) -> Cut:
    call = next(c for c in recorder.calls if value in c.inputs)
    detail = f"requires_grad was False when {call.name} was called"
    return Cut(CutKind.NO_FLAG, detail, call.site.where)


def _left_the_engine(recorder: Recorder, value: Tracked) -> list[Cut]:
    """Reads of what was computed from a leaf whose values never came back."""
    reached = {value, *(call.out for call, _ in edges_from([value], recorder.calls))}
    reads = [r for r in recorder.reads if r.source in reached]
    return _unique(Cut(CutKind.LEFT_ENGINE, f"through {r.how}", r.site.where) for r in reads)


def _unused(recorder: Recorder, value: Tracked) -> Cut:
    """Where the influence of a leaf on anything ends."""
    edges = edges_from([value], recorder.calls)
    if not edges:
        return Cut(CutKind.UNUSED, "the function never uses it", None)
    detail = "what is computed from it does not enter the result"
    return Cut(CutKind.UNUSED, detail, edges[-1][0].site.where)


def _uses(flow: Flow, value: Tracked) -> tuple[Use, ...]:
    return tuple(
        Use(call.name, float(np.linalg.norm(g)), call.site.stack[0], call.site.stack)
        for (call, i), g in flow.sent.items()
        if call.inputs[i] is value
    )


# -- exactly zero ----------------------------------------------------------------------------------


def _zeros(flow: Flow, value: Tracked) -> list[Cut]:
    """The calls on the way that turn a gradient into zeros, or else those that do so in part."""
    on_way = set(flow.onward(value, live=True))
    found = [_zero(flow, edge) for edge in flow.sent if edge in on_way]
    wholly = [cut for share, cut in found if share == 1]
    partly = [cut for share, cut in found if share]
    detail = "the contributions of several paths add up to exactly zero"
    return _unique(wholly or partly) or [Cut(CutKind.CANCELS, detail, None)]


def _zero(flow: Flow, edge: Edge) -> tuple[float, Cut]:
    """The share of a gradient's rows that end at one input of a call, and the cut that this is."""
    call, kind = edge[0], CutKind.ZERO_DERIVATIVE
    before, after = _live_rows(flow.incoming[call]), _live_rows(flow.sent[edge])
    if isinstance(call.op, Elementwise) and before.shape == after.shape:
        dead, total = int((before & ~after).sum()), max(1, before.size)
        detail = f"{call.name}: {dead} of {total} rows ({dead / total:.0%})"
        return dead / total, Cut(kind, detail, call.site.where, name=call.op.flat)
    detail = f"all that {call.name} passes back is zero"
    return float(before.any() and not after.any()), Cut(kind, detail, call.site.where)


def _live_rows(g: Gradient) -> np.ndarray[Any, Any]:
    """Which rows (entries of the first axis) of a gradient have anything in them."""
    return np.atleast_1d(np.any(g, axis=tuple(range(1, g.ndim))))
