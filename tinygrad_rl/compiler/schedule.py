"""Decide what runs together, when, and where numbers live.

plan = make_plan(program)             # steps in order, and a place for each value in memory

Elementwise instructions of one shape, and the sums that follow them, are put into one loop: each of
its operands is read once, and what is used only inside never reaches memory.
"""

from tinygrad_rl.compiler import memory, phases
from tinygrad_rl.compiler.plan import Loop, Plan
from tinygrad_rl.compiler.program import Instruction, Program, Value
from tinygrad_rl.compiler.views import is_loop_op, is_view
from tinygrad_rl.core import Reduction


def make_plan(program: Program, parts: int = 1) -> Plan:
    """Group, order and place the instructions of a simplified program.

    Parameters
    ----------
    program : what to compile.
    parts : threads among which a program is divided that is large enough.
    """
    plan = Plan(program)
    divided = phases.is_worth_dividing(program)
    _fuse(plan, apart=divided)
    memory.choose_materialised(plan)
    if divided:
        phases.divide(plan, parts)
        memory.materialise_numbers(plan)
    memory.place(plan)
    return plan


def _fuse(plan: Plan, apart: bool) -> None:
    """Put each instruction into the latest loop of its shape that has what it needs, or last.

    With `apart`, sums over the rows of a matrix get loops of their own, so that the rows of the
    other loops can be divided among threads.
    """
    over_rows = _over_rows(plan.program) if apart else set()
    ready: dict[Value, int] = {}  # position of the step that makes a value
    for i in plan.program.instructions:
        if is_view(i):
            continue
        if not is_loop_op(i.op) and not isinstance(i.op, Reduction):
            ready[i.out] = len(plan.steps)
            plan.steps.append(i)
            continue
        shape = (i.inputs[0] if isinstance(i.op, Reduction) else i.out).shape
        earliest = max((ready.get(plan.root(v), -1) for v in i.inputs), default=-1)
        k = _joinable(plan, i, shape, earliest, over_rows)
        if k is None:
            k = len(plan.steps)
            plan.steps.append(Loop(shape))
        loop = plan.steps[k]
        assert isinstance(loop, Loop)
        loop.members.append(i)
        ready[i.out] = k


def _joinable(
    plan: Plan, i: Instruction, shape: tuple[int, ...], earliest: int, over_rows: set[Instruction]
) -> int | None:
    """The latest loop that `i` can join, not before the step that makes its last operand."""
    for k in range(len(plan.steps) - 1, max(earliest, 0) - 1, -1):
        loop = plan.steps[k]
        if not isinstance(loop, Loop) or loop.shape != shape:
            continue
        if (loop.members[0] in over_rows) != (i in over_rows):
            continue
        if k > earliest and (not shape or _share(plan, loop, i)):
            return k
        if k == earliest and all(_same_place(plan, v, loop) for v in i.inputs):
            return k
    return None


def _share(plan: Plan, loop: Loop, i: Instruction) -> bool:
    """Worth joining: they read the memory of a value in common."""
    read = {plan.root(v) for member in loop.members for v in member.inputs}
    return any(v in loop.made or plan.root(v) in read for v in i.inputs if v.kind != "literal")


def _same_place(plan: Plan, v: Value, loop: Loop) -> bool:
    """An operand made by the loop itself must be one of its elements, where it is needed."""
    if v in loop.made:
        return not isinstance(plan.made_by[v].op, Reduction)
    return plan.root(v) not in loop.made


def _over_rows(program: Program) -> set[Instruction]:
    """Sums along the first axis, and what is computed for nothing but such sums."""
    readers: dict[Value, list[Instruction]] = {}
    for i in program.instructions:
        for v in i.inputs:
            readers.setdefault(v, []).append(i)
    kept = set(program.roots())
    found: set[Instruction] = set()
    for i in reversed(program.instructions):
        if isinstance(i.op, Reduction):
            summed = 0 in i.params["axis"]
        else:
            by = readers.get(i.out, [])
            summed = bool(by) and all(r in found and r.inputs[0].shape == i.out.shape for r in by)
            summed = summed and is_loop_op(i.op) and i.out not in kept
        if summed:
            found.add(i)
    return found
