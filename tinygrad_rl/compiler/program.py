"""A straight line of op calls: what a traced function did.

    program = trace(step, (x, y)).program
    print(program.listing())              # one line an op: result, op, operands, line of user code
    program.flops(), program.bytes()

Values are in single assignment form: a tensor that is overwritten in place gets a new value, and
the program ends with the list of the values to be written back.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_rl.core import DTYPES, Line, Op, Tensor, Where, place
from tinygrad_rl.core.display import monospaced
from tinygrad_rl.spelling import counted


@dataclass(eq=False)
class Value:
    """One array of the program.

    `kind` is `input` (an argument), `state` (a tensor from outside, used by reference), `literal`
    (the same number everywhere) or `result` (made by an instruction).
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str = ""
    tensor: Tensor | None = None
    number: float | None = None

    @property
    def spec(self) -> str:
        """`f32[256,17]`."""
        return f"{DTYPES[self.dtype].short}[{','.join(map(str, self.shape))}]"

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The memory of a tensor from outside."""
        assert self.tensor is not None
        return self.tensor._array

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        if self.kind == "literal":
            return repr(self.number) if not self.shape else f"full({self.shape}, {self.number!r})"
        return self.name


@dataclass(eq=False)
class Instruction:
    """One op call: `out = op(*inputs, **params)`, made at `where`."""

    op: Op
    inputs: tuple[Value, ...]
    params: dict[str, Any]
    out: Value
    where: Where | None = None
    flops: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes read and written when nothing is fused."""
        return self.out.nbytes + sum(v.nbytes for v in self.inputs if v.kind != "literal")

    @property
    def line(self) -> str:
        """`agent.py:71`, the line of user code."""
        return Line(*place(self.where)).short

    def __str__(self) -> str:
        params = [f"{k}={v}" for k, v in self.params.items()]
        return f"{self.out} = {self.op.name}({', '.join([*map(str, self.inputs), *params])})"


@dataclass(eq=False)
class Program:
    """A straight line of instructions: what goes in, what comes out, what is written back."""

    name: str
    inputs: list[Value]
    states: list[Value]
    instructions: list[Instruction]
    outputs: list[Value]
    writes: list[tuple[Value, Value]] = field(default_factory=list)  # (state, its new value)

    def __repr__(self) -> str:
        return f"Program({self.name}, {counted(len(self.instructions), 'instruction')})"

    def __str__(self) -> str:
        return self.listing()

    def _repr_html_(self) -> str:
        """For notebooks."""
        steps = counted(len(self.instructions), "instruction")
        size = f"{steps}, {self.flops():,} FLOPs in matrix products"
        return f"<div><strong>Program</strong> {size}</div>{monospaced(self.listing())}"

    def flops(self) -> int:
        """Floating-point operations in matrix products, 2 m n k each."""
        return sum(i.flops for i in self.instructions)

    def bytes(self) -> int:
        """Bytes that the ops would read and write one by one; fusion saves most of it."""
        return sum(i.nbytes for i in self.instructions)

    def but(self, instructions: Sequence[Instruction], **changes: Any) -> "Program":
        """The same program with other instructions."""
        return replace(self, instructions=list(instructions), **changes)

    def made_by(self) -> dict[Value, Instruction]:
        """Which instruction makes a value."""
        return {i.out: i for i in self.instructions}

    def uses(self) -> dict[Value, int]:
        """How often each value is read, outputs and writes included."""
        return Counter([*self.roots(), *(v for i in self.instructions for v in i.inputs)])

    def roots(self) -> list[Value]:
        """The values that the program is run for."""
        return [*self.outputs, *(value for _, value in self.writes)]

    def listing(self) -> str:
        """The program as text, a line an instruction."""
        head = ", ".join(f"{v}: {v.spec}" for v in self.inputs)
        lines = [f"def {self.name}({head}):"]
        rows = [(f"    {i}", f"# {i.out.spec}  {i.line}") for i in self.instructions]
        width = min(max((len(code) for code, _ in rows), default=0), 76)
        lines += [f"{code:<{width}}  {note}" for code, note in rows]
        lines += [f"    {state}[...] = {value}" for state, value in self.writes]
        lines.append(f"    return {', '.join(map(str, self.outputs)) or 'None'}")
        return "\n".join(lines)


def unique(stem: str, taken: set[str]) -> str:
    """A name that is not taken yet, and then is: the stem, or with a number behind it."""
    name, k = stem, 2
    while name in taken:
        name, k = f"{stem}_{k}", k + 1
    taken.add(name)
    return name
