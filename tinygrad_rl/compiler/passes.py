"""Program to program: each pass is a small function that leaves the meaning as it was.

    program = simplify(program)

They run in the order of `PASSES`. A pass sees single assignments only, so it never has to ask
whether a value was overwritten in between.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_rl.compiler.program import Instruction, Program, Value
from tinygrad_rl.compiler.views import is_view, keeps_axes
from tinygrad_rl.core import REGISTRY, Op, Tensor, Where
from tinygrad_rl.ops.define import Elementwise

Pass = Callable[[Program], Program]


def simplify(program: Program) -> Program:
    """All passes, one after the other."""
    for step in PASSES:
        program = step(program)
    return program


# -- building instructions -------------------------------------------------------------------------


class _Builder:
    """Collects instructions that stand in the place of another one."""

    def __init__(self, model: Instruction) -> None:
        self.model = model
        self.out: list[Instruction] = []

    def add(
        self,
        name: str,
        inputs: tuple[Value, ...],
        shape: tuple[int, ...],
        into: Value | None = None,
        params: dict[str, Any] | None = None,
    ) -> Value:
        """One call; its result is a new value of the inputs' dtype, or `into`."""
        dtype = np.result_type(*(v.dtype for v in inputs))
        k = len(self.out)
        result = into or Value("result", shape, dtype, f"{self.model.out.name}_{'abcdefgh'[k]}")
        op = REGISTRY[name]
        self.out.append(Instruction(op, inputs, params or {}, result, self.model.where))
        return result


def _substitute(
    program: Program, values: dict[Value, Value], instructions: list[Instruction]
) -> Program:
    """Put values in the place of others, everywhere."""

    def final(v: Value) -> Value:
        while v in values:
            v = values[v]
        return v

    return program.but(
        [
            Instruction(i.op, tuple(final(v) for v in i.inputs), i.params, i.out, i.where, i.flops)
            for i in instructions
        ],
        outputs=[final(v) for v in program.outputs],
        writes=[(state, final(v)) for state, v in program.writes],
    )


# -- the passes ------------------------------------------------------------------------------------


def lower_linear(program: Program) -> Program:
    """`linear` is a product and a sum: as two instructions the sum fuses with what follows."""
    out: list[Instruction] = []
    for i in program.instructions:
        if i.op.name != "linear":
            out.append(i)
            continue
        x, weight, bias = i.inputs
        build = _Builder(i)
        rows, (m, k) = math.prod(x.shape[:-1]), weight.shape
        flat = (
            x
            if len(x.shape) == 2
            else build.add("reshape", (x,), (rows, k), params={"shape": (rows, k)})
        )
        turned = build.add("permute", (weight,), (k, m), params={"axes": (1, 0)})
        product = build.add("matmul", (flat, turned), (rows, m))
        build.out[-1].flops = i.flops
        if len(x.shape) == 2:
            build.add("add", (product, bias), (rows, m), i.out)
        else:
            total = build.add("add", (product, bias), (rows, m))
            build.add("reshape", (total,), i.out.shape, i.out, {"shape": i.out.shape})
        out += build.out
    return program.but(out)


def forward_copies(program: Program) -> Program:
    """Values never change: copies, stop_gradient, views of the same shape are the thing itself."""
    same: dict[Value, Value] = {}
    kept = []
    for i in program.instructions:
        plain = i.op.name in ("copy", "stop_gradient", "positive") or (
            i.op.name in ("reshape", "broadcast_to") and i.inputs[0].shape == i.out.shape
        )
        if plain and i.inputs[0].dtype == i.out.dtype:
            same[i.out] = i.inputs[0]
            _hand_on_name(i)
        else:
            kept.append(i)
    return _substitute(program, same, kept)


def _hand_on_name(copy: Instruction) -> None:
    """A result that was only numbered takes the name that the user gave to its copy."""
    source = copy.inputs[0]
    if source.kind == "result" and _NUMBERED.fullmatch(source.name):
        source.name, copy.out.name = copy.out.name, source.name


_NUMBERED = re.compile(r"t\d+")


def fold_literals(program: Program) -> Program:
    """What is computed from the same number everywhere is the same number everywhere."""
    known: dict[Value, Value] = {}
    kept = []
    for i in program.instructions:
        inputs = [known.get(v, v) for v in i.inputs]
        if inputs and all(v.kind == "literal" for v in inputs) and _keeps_literals(i.op):
            scalars = [np.array(v.number, v.dtype) for v in inputs]
            number = i.op.scalar.evaluate(scalars) if isinstance(i.op, Elementwise) else scalars[0]
            number = np.asarray(number).astype(i.out.dtype).item()
            known[i.out] = Value("literal", i.out.shape, i.out.dtype, number=number)
        else:
            kept.append(i)
    return _substitute(program, known, kept)


def _keeps_literals(op: Op) -> bool:
    return isinstance(op, Elementwise) or op.name in (
        "reshape",
        "broadcast_to",
        "permute",
        "slice",
        "astype",
    )


def eliminate_dead_code(program: Program) -> Program:
    """Drop what no output and no write depends on."""
    needed = set(program.roots())
    kept = []
    for i in reversed(program.instructions):
        if i.out in needed:
            kept.append(i)
            needed.update(i.inputs)
    return program.but(kept[::-1])


def merge_equal(program: Program) -> Program:
    """Compute once what is computed twice: same op, same operands, same parameters."""
    seen: dict[Any, Value] = {}
    same: dict[Value, Value] = {}
    kept = []
    for i in program.instructions:
        key = (
            i.op,
            tuple(_identity(same.get(v, v)) for v in i.inputs),
            tuple(sorted((k, repr(v)) for k, v in i.params.items())),
        )
        if key in seen:
            same[i.out] = seen[key]
        else:
            seen[key] = i.out
            kept.append(i)
    return _substitute(program, same, kept)


def _identity(v: Value) -> Any:
    return (v.shape, v.dtype, repr(v.number)) if v.kind == "literal" else id(v)


def prune_columns(program: Program) -> Program:
    """Of a product of which only some columns are used, compute these columns.

    In the actor's step this drops dQ/dobs: only dQ/daction, the last columns of dQ/dinput, is used.
    """
    uses = program.uses()
    made = {i.out: i for i in program.instructions}
    narrow: dict[Value, Instruction] = {}  # product -> the slice that is its only use
    for i in program.instructions:
        if i.op.name != "slice" or uses[i.inputs[0]] != 1:
            continue
        product, bounds = made.get(i.inputs[0]), i.params["bounds"]
        if product is None or product.op.name != "matmul" or len(i.out.shape) != 2:
            continue
        if bounds[0] == (0, product.out.shape[0], 1) and bounds[1][2] == 1:
            narrow[product.out] = i
    out: list[Instruction] = []
    for i in program.instructions:
        if i.out in narrow:
            cut = narrow[i.out]
            a, b = i.inputs
            build = _Builder(cut)
            rows = (0, b.shape[0], 1)
            columns = build.add(
                "slice",
                (b,),
                (b.shape[0], cut.out.shape[1]),
                params={"bounds": (rows, cut.params["bounds"][1])},
            )
            build.add("matmul", (a, columns), cut.out.shape, cut.out)
            build.out[-1].flops = i.flops * cut.out.shape[1] // i.out.shape[1]
            out += build.out
        elif i.op.name != "slice" or i.inputs[0] not in narrow:
            out.append(i)
    return program.but(out)


def thin_products(program: Program) -> Program:
    """A product with a side of 1 is a sum of scaled rows: a loop that fuses with its neighbours."""
    out: list[Instruction] = []
    made = {i.out: i for i in program.instructions}
    for i in program.instructions:
        if i.op.name != "matmul" or len(i.out.shape) != 2 or i.out.dtype.kind != "f":
            out.append(i)
            continue
        a, b = i.inputs
        (m, k), n = a.shape, b.shape[1]
        turned_b = b in made and made[b].op.name == "permute"
        build = _Builder(i)
        if k == 1:
            build.add("mul", (a, b), (m, n), i.out)
        elif n == 1:
            turned = build.add("permute", (b,), (1, k), params={"axes": (1, 0)})
            scaled = build.add("mul", (a, turned), (m, k))
            build.add("sum", (scaled,), (m, 1), i.out, {"axis": (1,), "keepdims": True})
        elif m == 1 and turned_b:  # a row by a layer's weight: read the weight in its own order
            scaled = build.add("mul", (a, made[b].inputs[0]), (n, k))
            row = build.add("sum", (scaled,), (n, 1), None, {"axis": (1,), "keepdims": True})
            build.add("reshape", (row,), (1, n), i.out, {"shape": (1, n)})
        elif m == 1:
            turned = build.add("permute", (a,), (k, 1), params={"axes": (1, 0)})
            scaled = build.add("mul", (turned, b), (k, n))
            build.add("sum", (scaled,), (1, n), i.out, {"axis": (0,), "keepdims": True})
        else:
            out.append(i)
            continue
        build.out[-1].flops = i.flops
        out += build.out
    return program.but(out)


def skip_double_permutes(program: Program) -> Program:
    """A transpose of a transpose is the thing itself."""
    made = {i.out: i for i in program.instructions}
    same: dict[Value, Value] = {}
    for i in program.instructions:
        before = made.get(i.inputs[0]) if i.op.name == "permute" else None
        if before is not None and before.op.name == "permute":
            axes = [before.params["axes"][a] for a in i.params["axes"]]
            if axes == sorted(axes):
                same[i.out] = before.inputs[0]
    return _substitute(program, same, program.instructions)


def unify_dtypes(program: Program) -> Program:
    """Cast what a product or a user's kernel combines, as their eager forms do."""
    out: list[Instruction] = []
    cast: dict[tuple[Value, Any], Value] = {}
    for i in program.instructions:
        inputs = list(i.inputs)
        if i.op.name == "matmul" or i.op.kernel is not None:
            floats = i.op.kernel is not None
            common = np.result_type(*(v.dtype for v in inputs))
            for k, v in enumerate(inputs):
                if v.dtype == common or (floats and v.dtype.kind != "f"):
                    continue
                if (v, common) not in cast:
                    new = Value("result", v.shape, common, f"{v.name or 'number'}_cast")
                    cast[v, common] = new
                    params = {"dtype": common}
                    out.append(Instruction(REGISTRY["astype"], (v,), params, new, i.where))
                inputs[k] = cast[v, common]
        out.append(Instruction(i.op, tuple(inputs), i.params, i.out, i.where, i.flops))
    return program.but(out)


def copy_operands(program: Program) -> Program:
    """Give an array of its own to what a step that is no loop can't read through a view."""
    made = {i.out: i for i in program.instructions}
    out: list[Instruction] = []
    copies: dict[Value, Value] = {}

    def own(v: Value, where: Where | None) -> Value:
        if v not in copies:
            copies[v] = Value("result", v.shape, v.dtype, f"{v.name or 'filled'}_copy")
            out.append(Instruction(REGISTRY["copy"], (v,), {}, copies[v], where))
        return copies[v]

    for i in program.instructions:
        inputs = i.inputs
        if i.op.name == "matmul":
            inputs = tuple(v if _is_matrix(v, made) else own(v, i.where) for v in inputs)
        elif i.op.kernel is not None or (i.op.name == "reshape" and not keeps_axes(i)):
            inputs = tuple(v if _is_array(v, made) else own(v, i.where) for v in inputs)
        out.append(Instruction(i.op, inputs, i.params, i.out, i.where, i.flops))
    writes = []
    for state, v in program.writes:
        source = v
        while source in made and is_view(made[source]):
            source = made[source].inputs[0]
        # A state that gets another state's old numbers: these may be overwritten before.
        moved = source.kind in ("state", "input") and v is not state
        writes.append((state, own(v, None) if moved else v))
    return program.but(out, writes=[(s, v) for s, v in writes if v is not s])


def _is_array(v: Value, made: dict[Value, Instruction]) -> bool:
    """Backed by contiguous memory of its own."""
    if v.kind == "state" and not _tensor(v)._array.flags.c_contiguous:
        return False
    return v.kind != "literal" and bool(v.shape) and not (v in made and is_view(made[v]))


def _tensor(v: Value) -> Tensor:
    assert v.tensor is not None
    return v.tensor


def _is_matrix(v: Value, made: dict[Value, Instruction]) -> bool:
    """What a product can read: an array or a block of one, its last two axes perhaps exchanged."""
    if v in made and made[v].op.name == "permute":
        n = len(v.shape)
        if made[v].params["axes"] != (*range(n - 2), n - 1, n - 2):
            return False
        v = made[v].inputs[0]
    if v in made and made[v].op.name == "slice" and is_view(made[v]):
        v = made[v].inputs[0]
    return _is_array(v, made)


PASSES: tuple[Pass, ...] = (
    lower_linear,
    unify_dtypes,
    forward_copies,
    fold_literals,
    eliminate_dead_code,
    merge_equal,
    prune_columns,
    skip_double_permutes,
    thin_products,
    merge_equal,
    copy_operands,
    eliminate_dead_code,
)
