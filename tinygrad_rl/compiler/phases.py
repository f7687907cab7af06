"""Divide a large program among threads: which rows each computes, and when they must meet.

    divide(plan, parts=2)                 # fills in plan.phases and plan.axes

A step is divided along one axis of what it makes: each part computes a share of the rows. Steps
that read only what the same part has made follow each other without waiting: a whole network's
forward and backward pass for some rows of the batch. Where a step reads what other parts made (a
weight's gradient sums over the whole batch), a new phase begins, which all parts enter together.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tinygrad_rl.compiler.plan import Loop, Plan, Step
from tinygrad_rl.compiler.program import Instruction, Program, Value
from tinygrad_rl.compiler.views import Places, broadcast_index, reduced_index, source_index
from tinygrad_rl.core import Gather, Index, Product, Reduction, Scatter

WORTH = 50_000_000
"""FLOPs of matrix products from which a program is divided: half a millisecond of one core. Below,
waiting for each other costs what the threads gain."""
ROWS = 16
"""An axis shorter than this is not divided."""
BLOCK = 8
"""Shares are multiples of this, except for the last: a matrix product computes rows in blocks."""
MINE = Index.of("mine")
"""Stands for the places of an axis that a part has to itself."""
_ANY = Index.of("any")


class Access(NamedTuple):
    """A step reads or writes the memory of a value, at places of which one axis may be divided."""

    value: Value
    at: Places | None
    writes: bool


def is_worth_dividing(program: Program) -> bool:
    """Large enough that threads are faster, in spite of their meetings."""
    return sum(i.flops for i in program.instructions if isinstance(i.op, Product)) >= WORTH


def divide(plan: Plan, parts: int) -> None:
    """Choose each step's axis, and the phase in which it runs; steps of a phase keep their order.

    The choice does not depend on the number of parts: neither do the results.
    """
    plan.parts = parts
    plan.axes = {step: _axis(step) for step in plan.steps}
    phase_of: dict[Step, int] = {}
    before: dict[Value, list[tuple[Access, Step]]] = {}
    for step in plan.steps:
        phase, now = 0, list(accesses(plan, step))
        for access in now:
            for other, earlier in before.get(access.value, []):
                if other.writes or access.writes:
                    apart = not _same_share(plan, (other, earlier), (access, step))
                    phase = max(phase, phase_of[earlier] + apart)
        phase_of[step] = phase
        for access in now:
            before.setdefault(access.value, []).append((access, step))
    count = 1 + max(phase_of.values(), default=0)
    plan.phases = [[s for s in plan.steps if phase_of[s] == k] for k in range(count)]


def _axis(step: Step) -> int | None:
    """The axis that is divided: the first that is long enough and that nobody sums over."""
    if isinstance(step, Loop):
        summed = {a for i in step.members if isinstance(i.op, Reduction) for a in i.params["axis"]}
        return next((a for a, n in enumerate(step.shape) if n >= ROWS and a not in summed), None)
    shape = step.out.shape
    able = (
        (isinstance(step.op, Product) and len(shape) == 2 and step.out.dtype.kind == "f")
        or (isinstance(step.op, Gather) and len(step.inputs[1].shape) > 0)
        or (isinstance(step.op, Scatter) and _keeps_rows(step, step.op))
    )
    return 0 if able and shape and shape[0] >= ROWS else None


def _keeps_rows(step: Instruction, op: Scatter) -> bool:
    """Whether each row of the output is made of the same row of each input."""
    base, values, rows = op.parts(step.inputs)
    if base is not None or rows is not None:
        return False
    for k, v in enumerate(values):
        at = (MINE, *[_ANY] * (len(v.shape) - 1))
        target = op.places(at, None, k, step.inputs, step.out, step.params)
        if not v.shape or v.shape[0] != step.out.shape[0] or Index.of(target[0]) != MINE:
            return False
    return True


def length(plan: Plan, step: Step) -> int:
    """How many places the divided axis of a step has; 0 where a step is not divided."""
    axis = plan.axes.get(step)
    shape = step.shape if isinstance(step, Loop) else step.out.shape
    return 0 if axis is None else shape[axis]


def accesses(plan: Plan, step: Step) -> Iterator[Access]:
    """All memory that a step reads or writes."""
    axis = plan.axes.get(step)

    def index_of(ndim: int) -> Places:
        return tuple(MINE if a == axis else _ANY for a in range(ndim))

    if isinstance(step, Loop):
        index = index_of(len(step.shape))
        for i in step.members:
            for v in i.inputs:
                if v not in step.made:
                    yield _access(plan, v, broadcast_index(v.shape, index), False)
            if i.out in plan.materialised or not i.out.shape:
                at = index
                if isinstance(i.op, Reduction):
                    at = reduced_index(i, broadcast_index(i.inputs[0].shape, index))
                yield _access(plan, i.out, at, True)
        return
    # The input of which each part reads everything.
    whole = 1 if isinstance(step.op, Product) else 0 if isinstance(step.op, Gather) else None
    for k, v in enumerate(step.inputs):
        yield _access(plan, v, None if k == whole else index_of(len(v.shape)), False)
    yield _access(plan, step.out, index_of(len(step.out.shape)), True)


def _access(plan: Plan, v: Value, index: Places | None, writes: bool) -> Access:
    """Follow views to the value that has memory."""
    while plan.is_view(v):
        i = plan.made_by[v]
        index = source_index(i, index) if index is not None else None
        v = i.inputs[0]
    return Access(plan.in_place.get(v, v), index, writes)


def _same_share(plan: Plan, a: tuple[Access, Step], b: tuple[Access, Step]) -> bool:
    """Whether each part meets only its own places: no other part's, whenever that one runs."""
    (one, step_a), (other, step_b) = a, b
    if plan.axes[step_a] is None or plan.axes[step_b] is None:
        return plan.axes[step_a] is plan.axes[step_b]  # both run in the first part, in order
    mine = [a for a, k in enumerate(one.at or ()) if k == MINE]
    mine_too = [a for a, k in enumerate(other.at or ()) if k == MINE]
    return bool(mine) and mine == mine_too and length(plan, step_a) == length(plan, step_b)
