"""Put elementwise instructions of one shape, and the sums that follow them, into one loop.

Each operand of a loop is read once, and what is used only inside never reaches memory.
"""

from tinygrad_rl.compiler.plan import Loop, Step
from tinygrad_rl.compiler.program import Instruction, Program, Value
from tinygrad_rl.compiler.views import is_loop_op, is_view
from tinygrad_rl.core import Reduction


def fuse(program: Program, made_by: dict[Value, Instruction], apart: bool) -> list[Step]:
    """Put each instruction into the latest loop of its shape that has what it needs, or last.

    With `apart`, sums over the rows of a matrix get loops of their own, so that the rows of the
    other loops can be divided among threads.
    """
    over_rows = _over_rows(program) if apart else set()
    steps: list[Step] = []
    ready: dict[Value, int] = {}  # position of the step that makes a value

    for i in program.instructions:
        if is_view(i):
            continue
        if not is_loop_op(i.op) and not isinstance(i.op, Reduction):
            ready[i.out] = len(steps)
            steps.append(i)
            continue
        shape = i.inputs[0].shape if isinstance(i.op, Reduction) else i.out.shape
        earliest = max((ready.get(_behind(v, made_by), -1) for v in i.inputs), default=-1)
        k = _joinable(steps, i, shape, earliest, made_by, over_rows)
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
    over_rows: set[Instruction],
) -> int | None:
    for k in range(len(steps) - 1, max(earliest, 0) - 1, -1):
        loop = steps[k]
        if not isinstance(loop, Loop) or loop.shape != shape:
            continue
        if (loop.members[0] in over_rows) != (i in over_rows):
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
        return not isinstance(made_by[v].op, Reduction)
    return _behind(v, made_by) not in loop.made


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
