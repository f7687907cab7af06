"""Give each value that needs it a place in memory, at every call the same.

Everything that is not a state's or the caller's shares one block, in which a value's place is free
again after its last use.
"""

from dataclasses import dataclass

from tinygrad_rl.compiler.phases import MINE, accesses, length
from tinygrad_rl.compiler.plan import Loop, Plan, Step
from tinygrad_rl.compiler.program import Value
from tinygrad_rl.core import Reduction

_LINE = 64
"""Bytes of a cache line and of a vector: where each value starts."""


def choose_materialised(plan: Plan) -> None:
    """Which values need memory, and which have it already: states and outputs.

    Memory is for what is read outside its own loop, and for results of steps that are no loops. A
    state's new value is written straight into the state where nobody reads the old one any more.
    """
    reads, makers, times = plan.readers(), plan.makers(), plan.times()
    for v, maker in makers.items():
        inside = isinstance(maker, Loop) and not isinstance(plan.made_by[v].op, Reduction)
        if v.shape and not (inside and all((maker, v) == read for read in reads.get(v, ()))):
            plan.materialised.add(v)
    for state, v in plan.program.writes:
        if v in plan.materialised and v not in plan.in_place and v.dtype == state.dtype:
            maker = makers[v]
            if all(
                times[by] < times[maker] or (by is maker and _replaces(plan, state, v, maker))
                for by, _ in reads.get(state, ())
            ):
                plan.in_place[v] = state
    plan.direct = {
        v for v in plan.program.outputs if v in plan.materialised and v not in plan.in_place
    }


def materialise_numbers(plan: Plan) -> None:
    """Single numbers need memory too where another phase reads them: variables end with a phase."""
    times, makers = plan.times(), plan.makers()
    for v, reads in plan.readers().items():
        if v in makers and not v.shape and any(times[by] > times[makers[v]] for by, _ in reads):
            plan.materialised.add(v)


def place(plan: Plan) -> None:
    """First fit: the lowest offset at which a value disturbs nobody."""
    spans = sorted(_spans(plan), key=lambda s: (-s.value.nbytes, s.made, s.value.name))
    for k, span in enumerate(spans):
        others = [s for s in spans[:k] if s.opens <= span.closes and span.opens <= s.closes]
        candidates = {0} | {s.offset for s in others} | {s.end for s in others}
        span.offset = next(c for c in sorted(candidates) if _fits(plan, span, c, others))
        plan.offsets[span.value] = span.offset
        plan.size = max(plan.size, span.end)


@dataclass(eq=False)
class _Span:
    """From when to when a value needs its place."""

    value: Value
    maker: Step
    made: int  # the maker's number
    last: int  # step that reads it
    opens: int  # phase, or again the step where nothing is divided
    closes: int
    by_rows: bool  # each part of a phase meets only its own rows
    offset: int = 0

    @property
    def end(self) -> int:
        return -(-(self.offset + self.value.nbytes) // _LINE) * _LINE


def _spans(plan: Plan) -> list[_Span]:
    times, reads = plan.times(), plan.readers()
    steps = [s for steps in plan.phases for s in steps] or plan.steps  # as the function has them
    order = {step: k for k, step in enumerate(steps)}
    spans = {}
    for v, step in plan.makers().items():
        if v in plan.materialised and v not in plan.in_place and v not in plan.direct:
            at, now = order[step], times[step]
            closes = max((times[by] for by, _ in reads.get(v, ())), default=now)
            spans[v] = _Span(v, step, at, at, now, closes, True)
    for step in plan.steps:
        for access in accesses(plan, step):
            if access.value in spans:
                span = spans[access.value]
                span.last = max(span.last, order[step])
                rows = access.at is not None and access.at[:1] == (MINE,)
                span.by_rows &= rows and length(plan, step) == span.value.shape[0]
    for span in spans.values():
        if span.closes == times[None]:
            span.last = len(steps)
    return list(spans.values())


def _fits(plan: Plan, span: _Span, offset: int, others: list[_Span]) -> bool:
    """Whether a value can lie there: where no other is, or exactly in the place of a dead one."""
    end = offset + span.value.nbytes
    return all(
        end <= s.offset or s.end <= offset or (offset == s.offset and _follow(plan, span, s))
        for s in others
    )


def _follow(plan: Plan, a: _Span, b: _Span) -> bool:
    """Whether one can lie exactly where the other was, although the same phase makes it.

    Parts of a phase do not wait for each other, so each must find its own rows in its own bytes.
    """
    if a.value.nbytes != b.value.nbytes:
        return False
    first, second = (a, b) if a.made < b.made else (b, a)
    if plan.phases and not (a.by_rows and b.by_rows and a.value.shape[0] == b.value.shape[0]):
        return False
    if first.last == second.made > first.made:
        return _replaces(plan, first.value, second.value, second.maker)
    return first.last < second.made


def _replaces(plan: Plan, old: Value, new: Value, step: Step) -> bool:
    """Whether a loop can write a result over an operand: each number is read just before."""
    if not isinstance(step, Loop) or isinstance(plan.made_by[new].op, Reduction):
        return False
    reads = [v for i in step.members for v in i.inputs if plan.root(v) is old]
    return old.dtype == new.dtype and all(v is old and v.shape == step.shape for v in reads)
