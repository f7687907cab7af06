"""Write a plan as the source of one Numba function.

    source = generate(plan)
    text = render(source)

The text is meant to be read: variables carry the user's names, a comment before each step says
which op it is and which line of user code it came from, and the loops are what one would write by
hand.
"""

from contextlib import nullcontext
from itertools import groupby

import numpy as np

from tinygrad_rl.compiler.loops import write_loop
from tinygrad_rl.compiler.plan import Loop, Plan, Step, instructions
from tinygrad_rl.compiler.program import Value
from tinygrad_rl.compiler.source import SCALAR_FUNCTIONS, Source
from tinygrad_rl.compiler.steps import kernel_digest, write_step
from tinygrad_rl.compiler.views import subscript

_OPTIONS = 'cache=True, error_model="numpy", nogil=True'


def generate(plan: Plan) -> Source:
    """The whole function; its text is `render(source)`."""
    source = Source(plan)
    for number, steps in enumerate(plan.phases):
        _write_phase(source, number, steps)
    if not plan.phases:
        for step in plan.steps:
            _write_one(source, step)
    end = f"if phase == {len(plan.phases)} and part == 0:"
    with source.block_of(end) if plan.phases else nullcontext():
        _write_ends(source)
    return source


def _write_phase(source: Source, number: int, steps: list[Step]) -> None:
    """Steps whose parts may run at the same time; what is not divided is the first part's."""
    axes = source.plan.axes
    with source.block_of(f"if phase == {number}:"):
        for whole, group in groupby(steps, key=lambda step: axes[step] is None):
            with source.block_of("if part == 0:") if whole else nullcontext():
                for step in group:
                    source.axis = axes[step]
                    _write_one(source, step)
    source.axis = None


def _write_one(source: Source, step: Step) -> None:
    source.write("", *_comment(step))
    if isinstance(step, Loop):
        write_loop(source, step)
    else:
        write_step(source, step)


def render(source: Source) -> str:
    """The module's text."""
    plan = source.plan
    body = [*(f"{name} = {code}" for name, code in source.declared.items()), *source.lines]
    text = "\n".join(f"    {line}" if line else "" for line in body)
    words = {word for word in SCALAR_FUNCTIONS if f"{word}(" in text}
    head = [
        f'"""{plan.program.name}: generated from a trace, see tinygrad_rl.jit."""',
        "",
        "from numba import boolean, float32, float64, int32, int64, njit, uint8, void",
        "from numpy import inf, nan",
    ]
    for kernel, name in source.kernels.items():
        where = f"{kernel.__module__}.{kernel.__qualname__}"
        head.append(f"# {name}: {where}, {kernel_digest(kernel)}")
    native = ", ".join(sorted({"Straight", *source.used}))
    head.append(f"from tinygrad_rl.kernels.native import {native}")
    if words:
        head.append(f"from tinygrad_rl.kernels.scalar import {', '.join(sorted(words))}")
    arguments = ["memory", "phase", "part"] if plan.phases else ["memory"]
    numbers = ", ".join(["int64"] * len(arguments))
    head += ["", "", f"@njit(void({numbers}), pipeline_class=Straight, {_OPTIONS})"]
    head.append(f"def {source.function}({', '.join(arguments)}):")
    return "\n".join([*head, text or "    pass", ""])


def _comment(step: Step) -> list[str]:
    return [f"{f'# {i}: {i.out.spec}':.110}  ({i.line})" for i in instructions(step)]


def _write_ends(source: Source) -> None:
    """Outputs to where the caller finds them, then new values into the states that lack them."""
    plan = source.plan
    scalars: dict[np.dtype, int] = {}
    lines = []
    for v in plan.program.outputs:
        if not v.shape:
            n = scalars[v.dtype] = scalars.get(v.dtype, -1) + 1
            lines.append(f"{_scalar_array(source, v.dtype)}[{n}] = {source.element(v, ())}")
    if lines:
        source.write("", "# results", *lines)
    for v in dict.fromkeys(plan.program.outputs):
        if v.shape and v not in plan.direct:
            name = source.unique(f"{v.name}_out")
            source.declared[name] = source.placed(source.block("output", v), 0, v.shape, v.dtype)
            _write_copy(source, name, v)
    for state, v in plan.program.writes:
        if plan.in_place.get(v) is not state:
            _write_copy(source, source.array(state), v)


def _write_copy(source: Source, name: str, v: Value) -> None:
    """A loop that puts `v` into an array; one that stands for a 0-d value has one element."""
    lines = source.nest(v.shape, lambda at: [f"{subscript(name, at)} = {source.element(v, at)}"])
    source.write(*lines)


def _scalar_array(source: Source, dtype: np.dtype) -> str:
    count = sum(1 for v in source.plan.program.outputs if not v.shape and v.dtype == dtype)
    name = f"results_{dtype.name}"
    source.declared[name] = source.placed(source.block("scalars", dtype), 0, (count,), dtype)
    return name
