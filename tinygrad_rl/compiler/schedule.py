"""Decide what runs together, when, and where numbers live.

plan = make_plan(program)             # steps in order, and a place for each value in memory
"""

from tinygrad_rl.compiler import memory, phases
from tinygrad_rl.compiler.fusion import fuse
from tinygrad_rl.compiler.plan import Plan
from tinygrad_rl.compiler.program import Program


def make_plan(program: Program, parts: int = 1) -> Plan:
    """Group, order and place the instructions of a simplified program.

    Parameters
    ----------
    program : what to compile.
    parts : threads among which a program is divided that is large enough.
    """
    made_by = {i.out: i for i in program.instructions}
    divided = phases.is_worth_dividing(program)
    plan = Plan(program, made_by, fuse(program, made_by, apart=divided))
    memory.choose_materialised(plan)
    if divided:
        phases.divide(plan, parts)
        memory.materialise_numbers(plan)
    memory.place(plan)
    return plan
