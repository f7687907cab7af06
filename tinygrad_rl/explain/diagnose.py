"""From a recording to a verdict for each leaf: reached, or not and why, or reached by zeros only.

    leaves, data = diagnose(recorder, Flow(recorder.roots))

A leaf is reached when it has a live path; otherwise every cut on any of its shadow paths is listed:
lifting one of two would not help.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from tinygrad_rl.core import Cut, CutKind, Elementwise, Line, Tensor
from tinygrad_rl.explain.flow import Flow, Gradient
from tinygrad_rl.explain.paths import Edge, edges_from
from tinygrad_rl.explain.record import Call, Recorder, Tracked
from tinygrad_rl.spelling import counted


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
    line : the line of the explained function, or, when all gradients come in at that line and by
        the same part of it, the first line below it at which they part; if they part nowhere but
        inside a line, the function's own all the same.
    parting : where they part, to the column.
    stack : all lines, from the explained function to the op.
    """

    op: str
    norm: float
    line: Line
    parting: Line
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
    by_column = _parting(stacks)
    by_line = _parting([[line[:2] for line in stack] for stack in stacks]) if by_column else 0

    def parted(use: Use) -> Use:
        last = len(use.stack) - 1
        line, parting = use.stack[min(by_line, last)], use.stack[min(by_column, last)]
        return replace(use, line=line, parting=parting)

    return [replace(leaf, uses=tuple(parted(u) for u in leaf.uses)) for leaf in leaves]


def _parting(stacks: Sequence[Sequence[object]]) -> int:
    """How many calls deep the stacks first differ; 0 when they never do."""
    shared = 0
    while stacks and min(map(len, stacks)) > shared and len({s[shared] for s in stacks}) == 1:
        shared += 1
    return 0 if not stacks or shared == max(map(len, stacks)) else shared


def _verdict(recorder: Recorder, flow: Flow, value: Tracked, leaf: Leaf) -> Leaf:
    paths, shadow = flow.paths.get(value, 0), flow.shadow_paths.get(value, 0)
    found = [r.gradients[leaf.tensor]._array for r in flow.roots if leaf.tensor in r.gradients]
    g = np.sum(found, axis=0) if found else None  # also by history from before the recording
    if not shadow and g is None:
        causes = _left_the_engine(recorder, flow, value)
        status = Status.BLOCKED if causes else Status.UNUSED
        return replace(leaf, status=status, causes=tuple(causes or [_unused(recorder, value)]))
    cuts = _on_paths(recorder, flow, value)
    late = [r.frozen_late[leaf.tensor] for r in flow.roots if leaf.tensor in r.frozen_late]
    if late or (not paths and g is None):
        users = {call for call, _ in flow.consumers.get(value, ())}
        aside = {value.tensor, *(t for r in flow.roots for t in r.frozen_late)}
        passed = any(c in users and c.inputs[i].tensor not in aside for c, i in flow.live)
        if passed:  # what cuts another way comes after what is decisive where the gradient passes
            cuts.sort(key=lambda c: c.kind is not CutKind.FROZEN)
        kinds = {c.kind for c in (cuts[:1] if passed else cuts)}
        frozen = not late and kinds == {CutKind.FROZEN}
        asked = [] if frozen else _not_asked(flow, value)
        others = [*asked, *cuts] if passed else [*cuts, *asked]
        causes = [*late[:1], *others] or [_no_flag(recorder, value)]
        status = Status.FROZEN if frozen else Status.BLOCKED
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
    edges = [edge for edge in flow.onward(value) if edge not in flow.by_hand]
    late = recorder.unfrozen_late(value.tensor)
    cuts = [c for call, i in edges for c in call.cuts[i]]
    unseen = any(call.inputs[i] is value and not call.flags[i] for call, i in edges)
    return _unique([late, *cuts] if late and unseen else cuts)


def _not_asked(flow: Flow, value: Tracked) -> list[Cut]:
    """The grad() calls that a leaf leads to, and that were not to find its gradient."""
    edges = edges_from([value], flow.calls, lambda edge: edge not in flow.by_hand)
    ends = {value, *(call.out for call, _ in edges)}
    detail = "grad() was asked about other tensors only"
    return _unique(
        Cut(CutKind.NOT_ASKED, detail, root.where)
        for root in flow.roots
        if root.asked is not None and value.tensor not in root.asked and ends & {*root.outputs}
    )


def _no_flag(recorder: Recorder, value: Tracked) -> Cut:
    call = next(c for c in recorder.calls if value in c.inputs)
    detail = f"requires_grad was False when {call.name} was called"
    return Cut(CutKind.NO_FLAG, detail, call.site.where)


def _left_the_engine(recorder: Recorder, flow: Flow, value: Tracked) -> list[Cut]:
    """Reads of what was computed from a leaf whose values never came back.

    A gradient that is read counts only when a gradient of unknown origin is given back.
    """
    given = [g for root in flow.roots for g in root.given]
    unknown = any(
        isinstance(g, np.ndarray) or (isinstance(g, Tracked) and not g.maker) for g in given
    )
    calls = recorder.calls if unknown else _forward(recorder)
    reached = {value, *(call.out for call, _ in edges_from([value], calls))}
    reads = [r for r in recorder.reads if r.source in reached]
    return _unique(Cut(CutKind.LEFT_ENGINE, f"through {r.how}", r.site.where) for r in reads)


def _forward(recorder: Recorder) -> list[Call]:
    """The calls outside of backward() and grad()."""
    return [call for call in recorder.calls if call.site.sweep < 0]


def _unused(recorder: Recorder, value: Tracked) -> Cut:
    """Where the influence of a leaf on anything ends."""
    edges = edges_from([value], _forward(recorder))
    if not edges:
        return Cut(CutKind.UNUSED, "the function never uses it", None)
    detail = "what is computed from it does not enter the result"
    return Cut(CutKind.UNUSED, detail, edges[-1][0].site.where)


def _uses(flow: Flow, value: Tracked) -> tuple[Use, ...]:
    uses = []
    for (call, i), g in flow.sent.items():
        if call.inputs[i] is value and (call, i) not in flow.by_hand:
            stack = call.site.stack
            uses.append(Use(call.name, float(np.linalg.norm(g)), stack[0], stack[0], stack))
    return tuple(uses)


# -- exactly zero ----------------------------------------------------------------------------------


def _zeros(flow: Flow, value: Tracked) -> list[Cut]:
    """The calls on the way that turn a gradient into zeros, or else those that do so in part."""
    on_way = set(flow.onward(value, live=True)) - flow.by_hand
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
        detail = f"{call.name}: {dead} of {counted(total, 'row')} ({dead / total:.0%})"
        return dead / total, Cut(kind, detail, call.site.where, name=call.op.flat)
    detail = f"all that {call.name} passes back is zero"
    return float(before.any() and not after.any()), Cut(kind, detail, call.site.where)


def _live_rows(g: Gradient) -> Gradient:
    """Which rows (entries of the first axis) of a gradient have anything in them."""
    return np.atleast_1d(np.any(g, axis=tuple(range(1, g.ndim))))
