"""Give each value that needs it a place in memory, at every call the same.

A new value of a state goes into the state's own memory where nobody reads the old one any more.
Everything else shares one block, in which a value's place is free again after its last use.
"""

from dataclasses import dataclass

from tinygrad_rl.compiler.phases import MINE, accesses, length
from tinygrad_rl.compiler.plan import Loop, Plan, Step, instructions
from tinygrad_rl.compiler.program import Instruction, Value
from tinygrad_rl.core import Reduction

_LINE = 64
"""Bytes of a cache line and of a vector: where each value starts."""


def choose_materialised(plan: Plan) -> None:
    """Which values need memory, and which have it already: states and outputs."""
    plan.materialised = _materialised(plan)
    plan.in_place = _in_place_outputs(plan)
    plan.direct = {
        v for v in plan.program.outputs if v in plan.materialised and v not in plan.in_place
    }


def materialise_numbers(plan: Plan) -> None:
    """Single numbers need memory too where another phase reads them: variables end with a phase."""
    times = plan.times()
    makers = {i.out: times[step] for step in plan.steps for i in instructions(step)}
    for v, reads in _readers(plan).items():
        if v in makers and not v.shape and any(at > makers[v] for at in reads):
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
    times, reads = plan.times(), _readers(plan)
    end = len(plan.steps)
    order = {step: k for k, step in enumerate(plan.order())}
    spans = {}
    for step in plan.steps:
        for i in instructions(step):
            v = i.out
            if v in plan.materialised and v not in plan.in_place and v not in plan.direct:
                at, now = order[step], times[step]
                spans[v] = _Span(v, step, at, at, now, max(reads.get(v, []), default=now), True)
    for step in plan.steps:
        for access in accesses(plan, step):
            if access.value in spans:
                span = spans[access.value]
                span.last = max(span.last, order[step])
                rows = access.at is not None and access.at[:1] == (MINE,)
                span.by_rows &= rows and length(plan, step) == span.value.shape[0]
    for span in spans.values():
        if span.closes > max(times.values()):  # read at the end
            span.last = end
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
        return _in_place(plan, first, second)
    return first.last < second.made


def _in_place(plan: Plan, dying: _Span, made: _Span) -> bool:
    """Whether a loop can write a result over an operand: each number is read just before."""
    v, step = dying.value, made.maker
    if not isinstance(step, Loop) or isinstance(plan.made_by[made.value].op, Reduction):
        return False
    reads = [u for i in step.members for u in i.inputs if plan.root(u) is v]
    return v.dtype == made.value.dtype and all(u is v and u.shape == step.shape for u in reads)


def _readers(plan: Plan) -> dict[Value, list[int]]:
    """When the memory of each value is read: at the end, of outputs and of what is to be copied."""
    times = plan.times()
    reads: dict[Value, list[int]] = {}
    for step in plan.steps:
        for i in instructions(step):
            for v in i.inputs:
                reads.setdefault(plan.root(v), []).append(times[step])
    end = 1 + max(times.values(), default=0)
    late = [v for state, v in plan.program.writes if plan.in_place.get(v) is not state]
    for v in [*plan.program.outputs, *late]:
        reads.setdefault(plan.root(v), []).append(end)
    return reads


def _materialised(plan: Plan) -> set[Value]:
    """Results that are read outside their own loop, and those of steps that are no loops."""
    inside = {i.out: s for s in plan.steps if isinstance(s, Loop) for i in s.members}
    stored = {s.out for s in plan.steps if isinstance(s, Instruction)}

    def read(v: Value, by: Step | None) -> None:
        memory = plan.root(v)
        if memory in inside and (inside[memory] is not by or memory is not v):
            stored.add(memory)

    for step in plan.steps:
        for i in instructions(step):
            for v in i.inputs:
                read(v, step)
            if isinstance(i.op, Reduction) and i.out.shape:
                stored.add(i.out)
    for v in plan.program.roots():
        read(v, None)
    return {v for v in stored if v.shape}


def _in_place_outputs(plan: Plan) -> dict[Value, Value]:
    """Write a state's new value straight into the state where nobody reads the old one any more."""
    in_place: dict[Value, Value] = {}
    makers = {i.out: k for k, step in enumerate(plan.steps) for i in instructions(step)}
    reads: dict[Value, list[tuple[int, bool]]] = {}  # by which step, only where it writes?
    for k, step in enumerate(plan.steps):
        for i in instructions(step):
            for v in i.inputs:
                same = isinstance(step, Loop) and v.shape == step.shape and not plan.is_view(v)
                reads.setdefault(plan.root(v), []).append((k, same))
    for v in plan.program.outputs:
        reads.setdefault(plan.root(v), []).append((len(plan.steps), False))
    for state, v in plan.program.writes:
        if v not in plan.materialised or v in in_place or v.dtype != state.dtype:
            continue
        k = makers[v]
        loop = isinstance(plan.steps[k], Loop) and not isinstance(plan.made_by[v].op, Reduction)
        if all(at < k or (at == k and same and loop) for at, same in reads.get(state, [])):
            in_place[v] = state
    return in_place
