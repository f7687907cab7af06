"""Run a function once and keep what it did as a straight-line program.

    program = trace(step, (x, y))
    print(program.listing())              # one line an op: result, op, operands, line of user code
    program.flops(), program.bytes()

The forward pass, the backward sweep, the optimizer: all of them are op calls, so all of them stand in
the listing, in the order in which they ran. What a `frozen` block saves is seen here as lines that are
missing; what a stop_gradient cuts off, as a path that ends.

Values are in single assignment form: a tensor that is overwritten in place gets a new value, and the
program ends with the list of the values to be written back.
"""

import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_rl.core import Observer, Op, Tensor, Where, at, caller, mode, place
from tinygrad_rl.names import names_of, tensors_in

SHORT = {
    "float32": "f32",
    "float64": "f64",
    "int64": "i64",
    "int32": "i32",
    "uint8": "u8",
    "bool": "bool",
}


class TraceError(RuntimeError):
    """Something a straight-line program can't hold, such as a choice that depends on a number."""


@dataclass(eq=False)
class Value:
    """One array of the program.

    `kind` is `input` (an argument), `state` (a tensor from outside, used by reference), `literal` (the
    same number everywhere) or `result` (made by an instruction).
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
        return f"{SHORT[self.dtype.name]}[{','.join(map(str, self.shape))}]"

    @property
    def nbytes(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size * self.dtype.itemsize

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
        file, number = place(self.where)
        return f"{file.rpartition('/')[2]}:{number}"

    def __str__(self) -> str:
        params = [f"{k}={v}" for k, v in self.params.items()]
        return f"{self.out} = {self.op.name}({', '.join([*map(str, self.inputs), *params])})"


@dataclass(eq=False)
class Program:
    """A straight line of instructions, with what goes in, what comes out and what is written back."""

    name: str
    inputs: list[Value]
    states: list[Value]
    instructions: list[Instruction]
    outputs: list[Value]
    writes: list[tuple[Value, Value]] = field(default_factory=list)  # (state, its new value)

    def flops(self) -> int:
        """Floating-point operations in matrix products, 2 m n k each."""
        return sum(i.flops for i in self.instructions)

    def bytes(self) -> int:
        """Bytes that the ops would read and write one by one; the compiler's fusion saves most of it."""
        return sum(i.nbytes for i in self.instructions)

    def but(self, instructions: Sequence[Instruction], **changes: Any) -> "Program":
        """The same program with other instructions."""
        return replace(self, instructions=list(instructions), **changes)

    def uses(self) -> dict[Value, int]:
        """How often each value is read, outputs and writes included."""
        count: dict[Value, int] = {}
        for value in self.roots():
            count[value] = count.get(value, 0) + 1
        for i in self.instructions:
            for v in i.inputs:
                count[v] = count.get(v, 0) + 1
        return count

    def roots(self) -> Iterator[Value]:
        """The values that the program is run for."""
        yield from self.outputs
        for _, value in self.writes:
            yield value

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


# -- tracing -----------------------------------------------------------------------------------------


@dataclass
class Trace:
    """A program, and what the caller must know to run it again in the function's place."""

    program: Program
    result: Any  # what the function returned, with values in the place of tensors
    flags: list[tuple[Tensor, bool]]  # the flag of each tensor from outside, at the start
    grads: list[tuple[Tensor, Value | None]]  # leaves whose .grad was set, and to what
    grads_read: list[
        tuple[Tensor, Tensor | None]
    ]  # leaves whose .grad was read first, and what it was


def trace(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
) -> Trace:
    """Run `function` once, recording every op, and undo what the run did to tensors.

    Parameters
    ----------
    args, kwargs : its arguments; the tensors in them (also in lists, tuples and dicts) become inputs.

    Raises
    ------
    TraceError : when the function reads a number out of a tensor that depends on its inputs or on
        tensors from outside, since what it would do with it can't be recorded.
    """
    recorder = _Recorder()
    for i, tensor in enumerate(tensors_in((args, kwargs or {}))):
        recorder.add_input(tensor, i)
    before = mode.observers
    mode.observers, mode.interpret = (*before, recorder), True
    try:
        result = function(*args, **(kwargs or {}))
    finally:
        mode.observers, mode.interpret = before, False
        grads = recorder.undo()
    outer = names_of(function, args)
    return recorder.finish(getattr(function, "__name__", "step"), result, outer, grads)


class _Recorder(Observer):
    def __init__(self) -> None:
        # By the id of a tensor's array, which a node that saved its output holds without the tensor.
        self.values: dict[int, Value] = {}
        self.alive: list[Tensor] = []  # so that no id is used twice
        self.inputs: list[Value] = []
        self.states: dict[int, Value] = {}
        self.instructions: list[Instruction] = []
        self.writes: dict[int, tuple[Value, Value]] = {}
        self.flags: dict[int, tuple[Tensor, bool]] = {}
        self.backup: list[tuple[Tensor, np.ndarray[Any, Any], tuple[Any, ...]]] = []
        self.made: set[int] = set()
        self.stale: dict[int, str] = {}
        self.first_grads: dict[int, tuple[Tensor, Tensor | None, bool]] = {}

    def add_input(self, tensor: Tensor, i: int) -> None:
        value = Value("input", tensor.shape, tensor.dtype, f"arg{i}", tensor)
        self.inputs.append(value)
        self._bind(tensor, value)
        self.on_flag(tensor)

    def _bind(self, tensor: Tensor, value: Value) -> None:
        self.values[id(tensor._array)] = value
        self.alive.append(tensor)

    def value(self, tensor: Tensor) -> Value:
        """What a tensor holds; one that was not seen before comes from outside."""
        known = self.values.get(id(tensor._array))
        if known is not None:
            if id(tensor._array) in self.stale:
                raise TraceError(
                    "inside a jitted function a view is read after its memory was changed in place (at "
                    f"{self.stale[id(tensor._array)]}): make the view anew, or a copy() before the change"
                )
            return known
        if tensor._array.ndim == 0 and not tensor._array.flags.writeable:
            value = Value("literal", (), tensor.dtype, number=tensor._array.item())
        else:
            value = Value("state", tensor.shape, tensor.dtype, f"state{len(self.states)}", tensor)
            self.states[id(tensor._array)] = value
            self.on_flag(tensor)
        self._bind(tensor, value)
        return value

    # What the engine tells us.

    def on_call(
        self, op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: Tensor
    ) -> None:
        values = tuple(self.value(t) for t in inputs)
        flops = op.flops(out._array, [t._array for t in inputs], params)
        result = Value("result", out.shape, out.dtype, f"t{len(self.instructions)}")
        self.instructions.append(Instruction(op, values, params, result, caller(), flops))
        self._bind(out, result)
        self.made.add(id(out._array))

    def on_assign(self, target: Tensor, value: Tensor) -> None:
        new = self.value(value)
        old = self.value(target)
        key = id(target._array)
        if key not in self.made:
            if key not in self.writes:
                slots = (target._node, target._flag, target._op, target._cuts)
                self.backup.append((target, target._array.copy(), slots))
            self.writes[key] = (self.writes[key][0] if key in self.writes else old, new)
        if target._storage is not None and target._storage.shared:
            for t in self.alive:
                if t._array is not target._array and t._storage is target._storage:
                    self.stale[id(t._array)] = at(caller())
        self.values[key] = new

    def on_read(self, tensor: Tensor, how: str) -> None:
        if id(tensor._array) in self.values or tensor._op is not None or tensor._flag:
            raise TraceError(
                f"{how} on a traced tensor of shape {tensor.shape}: the compiled function would keep "
                "this one number forever. Choose with tg.where(condition, a, b) instead of `if`, return "
                "the tensor and read it outside, or pass a Python number as an argument"
            )

    def on_flag(self, tensor: Tensor) -> None:
        self.flags.setdefault(id(tensor), (tensor, tensor._flag))

    def on_grad(self, leaf: Tensor, writing: bool) -> None:
        self.first_grads.setdefault(id(leaf), (leaf, leaf._grad, writing))

    # The end.

    def undo(self) -> list[tuple[Tensor, Tensor | None]]:
        """Give every tensor from outside its numbers and gradient back; the gradients it had now."""
        for tensor, array, slots in reversed(self.backup):
            tensor._array[...] = array
            for name, slot in zip(("_node", "_flag", "_op", "_cuts"), slots, strict=True):
                object.__setattr__(tensor, name, slot)
        grads = []
        for leaf, before, _ in self.first_grads.values():
            grads.append((leaf, leaf._grad))
            object.__setattr__(leaf, "_grad", before)
        return grads

    def finish(
        self,
        name: str,
        result: Any,
        outer: dict[int, str],
        grads: list[tuple[Tensor, Tensor | None]],
    ) -> Trace:
        leaves = tensors_in(result)
        outputs = [self.value(t) for t in leaves]
        kept = []
        for leaf, g in grads:
            if id(leaf._array) in self.made:
                continue
            value = None if g is None else self.value(g)
            if value is not None and value.kind == "result" and id(leaf) in outer:
                outer[id(value)] = f"grad_{outer[id(leaf)]}"
            kept.append((leaf, value))
        outputs += [v for _, v in kept if v is not None]
        _name_values(self, outer)
        program = Program(
            re.sub(r"\W", "_", name),
            self.inputs,
            list(self.states.values()),
            self.instructions,
            outputs,
            list(self.writes.values()),
        )
        read = [(leaf, g) for leaf, g, writing in self.first_grads.values() if not writing]
        return Trace(program, result, list(self.flags.values()), kept, read)


# -- names -------------------------------------------------------------------------------------------

_ASSIGNMENT = re.compile(r"^\s*(\w+)\s*(?::[^=]+)?=[^=]")


def _name_values(recorder: _Recorder, outer: dict[int, str]) -> None:
    """Name values after the user's variables: tensors from outside by where they were found, results by
    the assignment on whose line they were made last.
    """
    taken: set[str] = set()

    def unique(name: str) -> str:
        name = re.sub(r"\W+", "_", name).strip("_") or "t"
        name = f"v{name}" if name[0].isdigit() else name
        stem, k = name, 2
        while name in taken:
            name, k = f"{stem}_{k}", k + 1
        taken.add(name)
        return name

    for value in [*recorder.inputs, *recorder.states.values()]:
        assert value.tensor is not None
        value.name = unique(outer.get(id(value.tensor), value.name))
    last: dict[str, int] = {}
    for k, i in enumerate(recorder.instructions):
        if (name := _variable(i.where)) is not None:
            following = recorder.instructions[k + 1 : k + 2]
            if not following or _variable(following[0].where) != name:
                last[f"{name}:{k}"] = k
    named = {k: key.rpartition(":")[0] for key, k in last.items()}
    for k, i in enumerate(recorder.instructions):
        i.out.name = unique(outer.get(id(i.out)) or named.get(k, f"t{k}"))


def _variable(where: Where | None) -> str | None:
    file, line = place(where)
    match = _ASSIGNMENT.match(linecache.getline(file, line))
    return match[1] if match else None
