"""Decide what runs together and where numbers live.

    plan = make_plan(program)             # steps in order, and a place for each value in memory

Elementwise instructions of one shape, with the sums that follow them, become one loop (`Loop`):
each operand is read once, what is used only inside never reaches memory. Everything else is a step
of its own. Then each value gets memory: a state's own where the state is due to be overwritten with
it, a part of one shared block otherwise, given back after the value's last use.
"""

from dataclasses import dataclass, field

from tinygrad_rl.compiler.views import REDUCTIONS, is_loop_op, is_view
from tinygrad_rl.program import Instruction, Program, Value


@dataclass(eq=False)
class Loop:
    """Instructions that run in one loop nest over `shape`."""

    shape: tuple[int, ...]
    members: list[Instruction] = field(default_factory=list)

    @property
    def made(self) -> set[Value]:
        """What its members compute."""
        return {i.out for i in self.members}


Step = Loop | Instruction


@dataclass(eq=False)
class Plan:
    """The steps in order, and where each value that needs memory has it."""

    program: Program
    steps: list[Step]
    made_by: dict[Value, Instruction]
    stored: set[Value]  # results that are kept in memory
    homes: dict[Value, Value]  # a result that is written straight into a state's memory
    direct: set[Value]  # outputs that are computed where the caller finds them
    offsets: dict[Value, int]  # bytes into the shared block
    size: int  # of the shared block, in bytes

    def is_view(self, v: Value) -> bool:
        """True when reads of `v` are reads of another value at other places."""
        return v in self.made_by and is_view(self.made_by[v])


def make_plan(program: Program) -> Plan:
    """Group, order and place the instructions of a simplified program."""
    made_by = {i.out: i for i in program.instructions}
    steps = _fuse(program, made_by)
    plan = Plan(program, steps, made_by, set(), {}, set(), {}, 0)
    plan.stored = _stored(plan)
    plan.homes = _homes(plan)
    plan.direct = {v for v in program.outputs if v in plan.stored and v not in plan.homes}
    _place(plan)
    return plan


# -- fusion ----------------------------------------------------------------------------------------


def _fuse(program: Program, made_by: dict[Value, Instruction]) -> list[Step]:
    """Put each instruction into the latest loop of its shape that has what it needs, or last."""
    steps: list[Step] = []
    ready: dict[Value, int] = {}  # position of the step that makes a value

    def position(v: Value) -> int:
        """Where the memory that a value is read from is complete."""
        while v in made_by and is_view(made_by[v]):
            v = made_by[v].inputs[0]
        return ready.get(v, -1)

    for i in program.instructions:
        if is_view(i):
            continue
        if not (is_loop_op(i.op) or i.op.name in REDUCTIONS):
            ready[i.out] = len(steps)
            steps.append(i)
            continue
        shape = i.inputs[0].shape if i.op.name in REDUCTIONS else i.out.shape
        earliest = max((position(v) for v in i.inputs), default=-1)
        k = _joinable(steps, i, shape, earliest, made_by)
        if k is None:
            k = len(steps)
            steps.append(Loop(shape))
        loop = steps[k]
        assert isinstance(loop, Loop)
        loop.members.append(i)
        ready[i.out] = k
    return steps


def _joinable(
    steps: list[Step],
    i: Instruction,
    shape: tuple[int, ...],
    earliest: int,
    made_by: dict[Value, Instruction],
) -> int | None:
    for k in range(len(steps) - 1, max(earliest, 0) - 1, -1):
        loop = steps[k]
        if not isinstance(loop, Loop) or loop.shape != shape:
            continue
        if k > earliest and (not shape or _share(loop, i, made_by)):
            return k
        if k == earliest and all(_same_place(v, loop, made_by) for v in i.inputs):
            return k
    return None


def _share(loop: Loop, i: Instruction, made_by: dict[Value, Instruction]) -> bool:
    """Worth joining: they read the memory of a value in common."""
    read = {_behind(v, made_by) for member in loop.members for v in member.inputs}
    return any(
        _behind(v, made_by) in read or v in loop.made for v in i.inputs if v.kind != "literal"
    )


def _behind(v: Value, made_by: dict[Value, Instruction]) -> Value:
    """The value whose memory is read for `v`."""
    while v in made_by and is_view(made_by[v]):
        v = made_by[v].inputs[0]
    return v


def _same_place(v: Value, loop: Loop, made_by: dict[Value, Instruction]) -> bool:
    """An operand made by the loop itself must be one of its elements, where it is needed."""
    if v in loop.made:
        return made_by[v].op.name not in REDUCTIONS
    while v in made_by and is_view(made_by[v]):
        v = made_by[v].inputs[0]
    return v not in loop.made


# -- memory ----------------------------------------------------------------------------------------


def _stored(plan: Plan) -> set[Value]:
    """Results that are read outside their own loop, and those of steps that are no loops."""
    inside: dict[Value, Loop] = {
        i.out: s for s in plan.steps if isinstance(s, Loop) for i in s.members
    }
    stored = {s.out for s in plan.steps if isinstance(s, Instruction)}

    def read(v: Value, by: Step | None) -> None:
        direct = v
        while plan.is_view(v):
            v = plan.made_by[v].inputs[0]
        if v in inside and (inside[v] is not by or v is not direct):
            stored.add(v)

    for step in plan.steps:
        members = step.members if isinstance(step, Loop) else [step]
        for i in members:
            for v in i.inputs:
                read(v, step)
            if i.op.name in REDUCTIONS and i.out.shape:
                stored.add(i.out)
    for v in plan.program.roots():
        read(v, None)
    return {v for v in stored if v.shape}


def root(plan: Plan, v: Value) -> Value:
    """The value whose memory `v` is read from."""
    while plan.is_view(v):
        v = plan.made_by[v].inputs[0]
    return v


def _reads(plan: Plan) -> dict[Value, list[tuple[int, bool]]]:
    """For each value in memory the steps that read it, and whether only where they write."""
    reads: dict[Value, list[tuple[int, bool]]] = {}
    for k, step in enumerate(plan.steps):
        for i in step.members if isinstance(step, Loop) else [step]:
            for v in i.inputs:
                same = isinstance(step, Loop) and v.shape == step.shape and not plan.is_view(v)
                reads.setdefault(root(plan, v), []).append((k, same))
    end = len(plan.steps)
    for v in plan.program.outputs:
        reads.setdefault(root(plan, v), []).append((end, False))
    return reads


def _makers(plan: Plan) -> dict[Value, int]:
    return {
        i.out: k
        for k, step in enumerate(plan.steps)
        for i in (step.members if isinstance(step, Loop) else [step])
    }


def _homes(plan: Plan) -> dict[Value, Value]:
    """Write a state's new value straight into the state where nobody reads the old one any more."""
    homes: dict[Value, Value] = {}
    reads, makers = _reads(plan), _makers(plan)
    for state, v in plan.program.writes:
        if v not in plan.stored or v in homes or v.kind != "result" or v.dtype != state.dtype:
            continue
        k = makers[v]
        loop = plan.steps[k]
        reduced = plan.made_by[v].op.name in REDUCTIONS
        ok = all(
            at < k or (at == k and same and isinstance(loop, Loop) and not reduced)
            for at, same in reads.get(state, [])
        )
        if ok:
            homes[v] = state
    return homes


def _place(plan: Plan) -> None:
    """First fit: lowest offset that is free from a value's making to its last use."""
    reads, makers = _reads(plan), _makers(plan)
    end = len(plan.steps)
    for _, v in plan.program.writes:
        if v not in plan.homes:
            reads.setdefault(root(plan, v), []).append((end, False))
    spans = []
    for v in plan.stored:
        if v in plan.homes or v in plan.direct:
            continue
        last = max((at for at, _ in reads.get(v, [])), default=makers[v])
        spans.append((makers[v], last, v))
    spans.sort(key=lambda s: (-s[2].nbytes, s[0], s[2].name))
    placed: list[tuple[int, int, int, int]] = []  # first step, last step, offset, end
    for first, last, v in spans:
        offset = 0
        for _, _, low, high in sorted(
            (p for p in placed if p[0] <= last and first <= p[1]), key=lambda p: p[2]
        ):
            if offset + v.nbytes <= low:
                break
            offset = max(offset, high)
        plan.offsets[v] = offset
        stop = -(-(offset + v.nbytes) // 64) * 64
        placed.append((first, last, offset, stop))
        plan.size = max(plan.size, stop)
