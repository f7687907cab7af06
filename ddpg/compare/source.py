"""What the compiled actor step does on its way back: frozen, unfrozen and blocked, line by line.

    steps = [compile_case(case, Size()) for case in COMPILED.values()]
    for line in merge([step.code for step in steps]): print(line.text, line.found_in)

The generated function is autograd's answer put down in writing: what freezing saves are lines that
are missing, what blocking destroys is a path that is missing. The compiler numbers what nobody gave
a name to, in each function anew; here such values are called by what they are, so that the same
line is the same text: `critic_h1` is what the critic's first layer hands on, `d_critic_h1` the
loss's derivative in it, `critic_z1` is the same layer before its activation.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from types import MethodType
from typing import Any

import tinygrad_rl as tg
from ddpg.compare.cases import Case, Lab
from ddpg.compare.measure import Size, make_lab, milliseconds
from tinygrad_rl import optim

PATH, CRITIC, ACTOR = "path", "critic", "actor"
GROUPS = {
    PATH: "through the critic, on the way to the action",
    CRITIC: "into the critic's own parameters",
    ACTOR: "from the action into the actor's parameters",
}
"""What an operation of the backward pass is for, in the order in which it is told."""


@dataclass(frozen=True)
class Operation:
    """One operation of the backward pass."""

    text: str  # in the names that all cases share
    group: str  # a key of GROUPS
    flops: int  # of its matrix product; 0 for everything else
    bytes: int  # read and written if it ran alone; the loops of the generated function save some


@dataclass(frozen=True)
class CompiledCase:
    """The compiled actor step of one case."""

    name: str  # what the case is called here
    recorded_flops: int  # of the backward pass as autograd ran it
    flops: int  # of the backward pass that is left after compilation
    operations: list[Operation]  # what it consists of
    code: list[str]  # the generated code that does them, in the shared names
    source: str  # the generated function, word for word
    milliseconds: float = math.nan  # forward and backward, the fastest; NaN if not timed

    def cost(self, group: str) -> tuple[int, int]:
        """FLOPs and bytes of a group's operations."""
        chosen = [operation for operation in self.operations if operation.group == group]
        return sum(o.flops for o in chosen), sum(o.bytes for o in chosen)


class _Still(optim.Optimizer):
    """Moves nothing and forgets nothing: the way back stands alone in the compiled function."""

    def step(self) -> None:
        pass

    def zero_grad(self) -> None:
        pass

    def _move(self, *args: object) -> None:
        pass


def compile_case(case: Case, size: Size, seed: int = 0, repetitions: int = 0) -> CompiledCase:
    """Compile a case's forward and backward pass, read what came out, and time `repetitions`."""
    lab = make_lab(size, seed)
    lab.actor_optimizer, lab.critic_optimizer = _Still(lab.actor, 1), _Still(lab.critic, 1)
    step = tg.jit(MethodType(case.update, lab))
    step()
    program, plan = step.program(), step.plan()
    here = program.instructions[-1].line  # the backward pass comes last
    names, operations = _Names(lab, program, here), []
    for i in plan.program.instructions:
        if plan.is_view(i.out):
            names.add_view(i)
        elif i.line == here:
            operations.append(names.operation(i))
    return CompiledCase(
        case.diff,
        sum(i.flops for i in program.instructions if i.line == here),
        sum(operation.flops for operation in operations),
        operations,
        [names.rename(line) for line in _backward_code(step.source(), here)],
        step.source(),
        min(milliseconds(step, repetitions)) if repetitions else math.nan,
    )


def _backward_code(source: str, here: str) -> Iterator[str]:
    """The blocks of the generated function in which a comment points to the line of `backward`."""
    for block in source.split("\n\n"):
        if f"({here})\n" in block:
            for line in textwrap.dedent(block).strip().splitlines():
                yield line.rpartition("  (")[0] if line.startswith("#") else line


class _Names:
    """What a program's values are called here, which is the same in every case.

    Parameters and their gradients are found by what the compiler calls them. For what it only
    numbers, the operands say what it is: a layer's result, or the derivative in something that the
    forward pass has made. `program` is the recorded one; `here` is the line of its backward pass.
    """

    def __init__(self, lab: Lab, program: Any, here: str) -> None:
        self._shown: dict[str, str] = {}  # by the compiler's name
        self._layer: dict[Any, str] = {}  # of parameters and of sums before their activation
        self._made_by: dict[Any, Any] = {}  # the call of the forward pass
        self._read_by: dict[Any, Any] = {}  # one that reads this value from outside
        self._constant: dict[Any, Any] = {}  # the number that a view shows everywhere
        self._derivative_in: dict[Any, Any] = {}  # what a value of the backward pass belongs to
        self._name_parameters(lab, program.states)
        for i in program.instructions:
            if i.line != here:
                self._name_result(i)
            elif i.out.name not in self._shown and (v := self._differentiated(i)) is not None:
                self._derivative_in[i.out] = v
                self._shown[i.out.name] = f"d_{self.of(v)}"

    def of(self, v: Any) -> str:
        """A value as it is shown."""
        v = self._constant.get(v, v)
        return f"{v.number:.4g}" if v.kind == "literal" else self._word(v.name)

    def add_view(self, i: Any) -> None:
        """Show the result of a view, which costs nothing, as its operand read in another way."""
        if i.inputs[0].kind == "literal":
            self._constant[i.out] = i.inputs[0]
            return
        operand = self.of(i.inputs[0])
        if "bounds" in i.params:
            start, count, _ = i.params["bounds"][-1]
            operand += f"[:, {start}:{start + count}]"
        elif "axes" in i.params:
            operand += ".T"
        self._shown[i.out.name] = operand

    def operation(self, i: Any) -> Operation:
        """An instruction in these names."""
        name, operands = self.of(i.out), [self.of(v) for v in i.inputs]
        if i.op.symbol:
            text = f" {i.op.symbol} ".join(operands)
        else:
            operands += [f"axis={axis}" for axis in i.params.get("axis", ())]
            text = f"{i.op.name}({', '.join(operands)})"
        return Operation(f"{name} = {text}", _group(name), i.flops, i.nbytes)

    def rename(self, line: str) -> str:
        """A line of the generated code in these names."""
        return re.sub(r"[A-Za-z_]\w*", lambda word: self._word(word[0]), line)

    def _word(self, name: str) -> str:
        """A name of the compiler's, or one that it made of it: `t3_` in a loop, `t3_total`."""
        stem, underscore, rest = name.rpartition("_")
        if name in self._shown or stem not in self._shown:
            return self._shown.get(name, name)
        return self._shown[stem] + underscore + rest

    def _name_parameters(self, lab: Lab, states: Sequence[Any]) -> None:
        known = {
            id(p): (f"{network}_{{}}{k // 2 + 1}", "Wb"[k % 2])  # weights and biases alternate
            for network, module in (("actor", lab.actor), ("critic", lab.critic))
            for k, p in enumerate(module.parameters())
        }
        for v in states:
            if id(v.tensor) in known:
                self._layer[v], letter = known[id(v.tensor)]
                self._shown[v.name] = self._layer[v].format(letter)
                self._shown[f"grad_{v.name}"] = f"d_{self._shown[v.name]}"

    def _name_result(self, i: Any) -> None:
        self._made_by[i.out] = i
        self._read_by |= {v: i for v in i.inputs if v.kind == "state"}
        layer = next((self._layer[v] for v in i.inputs if v in self._layer), None)
        if layer is None:
            return
        if i.inputs[0] in self._layer:  # a sum, so that this is its activation
            self._shown[i.out.name] = layer.format("h")
            return
        self._layer[i.out], self._shown[i.out.name] = layer, layer.format("z")
        if i.inputs[0].kind == "result":
            self._shown.setdefault(i.inputs[0].name, f"{layer.partition('_')[0]}_input")

    def _differentiated(self, i: Any) -> Any:
        """The value of the forward pass that an instruction computes the derivative in, or None."""
        first, last = i.inputs[0], i.inputs[-1]
        if last in self._made_by:  # an elementwise rule is handed the result of the call itself
            return self._made_by[last].inputs[0]
        if last in self._read_by:  # the rule for the other operand of what reads this
            return next((v for v in self._read_by[last].inputs if v.kind == "result"), None)
        if first in self._derivative_in and "bounds" in i.params:  # columns of something joined
            start = i.params["bounds"][-1][0]
            for v in self._made_by[self._derivative_in[first]].inputs:
                if start == 0:
                    return v
                start -= v.shape[-1]
        return None


def _group(name: str) -> str:
    if name.startswith(("d_critic_W", "d_critic_b")):
        return CRITIC
    return ACTOR if name.startswith("d_actor") else PATH


@dataclass(frozen=True)
class MergedLine:
    """A line of the merged text, and whether each of the cases has it."""

    text: str
    found_in: tuple[bool, ...]


def merge(texts: Sequence[Sequence[str]]) -> list[MergedLine]:
    """Merge texts into one in which every line of each stands once, in order.

    The first two are aligned (longest matching blocks, `difflib`), the result with the third, and
    so on.
    """
    merged = [MergedLine(line, (True,)) for line in texts[0]]
    for n, text in enumerate(texts[1:], 1):
        merged = list(_merge(merged, list(text), n))
    return merged


def merge_group(steps: Sequence[CompiledCase], group: str) -> list[MergedLine]:
    """A group's operations in all cases."""
    return merge([[o.text for o in step.operations if o.group == group] for step in steps])


def merge_code(steps: Sequence[CompiledCase]) -> Iterator[MergedLine | None]:
    """The generated code of all cases, with a None where the next step's comment begins."""
    inside_comment = True
    for line in merge([step.code for step in steps]):
        is_comment = line.text.startswith("#")
        if is_comment and not inside_comment:
            yield None
        inside_comment = is_comment
        yield line


def _merge(lines: list[MergedLine], text: list[str], n: int) -> Iterator[MergedLine]:
    matcher = SequenceMatcher(None, [line.text for line in lines], text, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for line in lines[a:b]:
            yield MergedLine(line.text, (*line.found_in, kind == "equal"))
        if kind != "equal":
            yield from (MergedLine(line, (False,) * n + (True,)) for line in text[c:d])
