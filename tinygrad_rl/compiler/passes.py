"""Program to program: each pass is a small function that leaves the meaning as it was.

    program = simplify(program)

They run in the order of `PASSES`. A pass sees single assignments only, so it never has to ask
whether a value was overwritten in between.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_rl.compiler.program import Instruction, Program, Value, unique
from tinygrad_rl.compiler.tracing import record
from tinygrad_rl.compiler.views import (
    Made,
    is_identity,
    is_reordered,
    is_view,
    matrix,
    places,
    root,
    source_index,
)
from tinygrad_rl.core import (
    Composite,
    Copy,
    Elementwise,
    Kernel,
    Op,
    Product,
    Rowwise,
    View,
    Where,
    wrap,
)
from tinygrad_rl.ops.arithmetic import mul
from tinygrad_rl.ops.index import slice_
from tinygrad_rl.ops.products import matmul_
from tinygrad_rl.ops.reduce import sum_op
from tinygrad_rl.ops.shape import astype_, copy_op, permute_, reshape_

Pass = Callable[[Program], Program]


def simplify(program: Program) -> Program:
    """All passes, one after the other."""
    for step in PASSES:
        program = step(program)
    taken = {v.name for v in (*program.inputs, *program.states)}
    for i in program.instructions:  # two passes may have built parts of one instruction
        i.out.name = unique(i.out.name, taken)
    return program


# -- building instructions -------------------------------------------------------------------------


class _Builder:
    """Collects instructions that stand in the place of another one."""

    def __init__(self, model: Instruction) -> None:
        self.model = model
        self.out: list[Instruction] = []

    def add(
        self,
        op: Op,
        inputs: tuple[Value, ...],
        shape: tuple[int, ...],
        into: Value | None = None,
        params: dict[str, Any] | None = None,
    ) -> Value:
        """One call; its result is a new value of the inputs' dtype, or `into`."""
        dtype = np.result_type(*(v.dtype for v in inputs))
        result = into or Value("result", shape, dtype, self.name(len(self.out)))
        self.out.append(Instruction(op, inputs, params or {}, result, self.model.where))
        return result

    def transpose(self, v: Value, into: Value | None = None) -> Value:
        """A stack of matrices with their axes exchanged."""
        n = len(v.shape)
        axes = (*range(n - 2), n - 1, n - 2)
        return self.add(permute_, (v,), tuple(v.shape[a] for a in axes), into, {"axes": axes})

    def name(self, k: int) -> str:
        """What the result number `k` is called."""
        return f"{self.model.out.name}_{'abcdefgh'[k] if k < 8 else k}"


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
            replace(i, inputs=tuple(map(final, i.inputs))) if values.keys() & i.inputs else i
            for i in instructions
        ],
        outputs=list(map(final, program.outputs)),
        writes=[(state, final(v)) for state, v in program.writes],
    )


# -- the passes ------------------------------------------------------------------------------------


def lower(program: Program) -> Program:
    """Composites become what they are composed of; products of transposed matrices say so.

    As instructions of its own, the sum at the end of a `linear` fuses with what follows.
    """
    out: list[Instruction] = []
    for i in program.instructions:
        if isinstance(i.op, View):
            i.op.check_index(i.inputs[0].shape, i.params)
        if isinstance(i.op, Composite | Rowwise):
            out += lower(_composed(i, i.op)).instructions
        elif isinstance(i.op, Product) and any(i.op.flips):
            build = _Builder(i)
            sides = zip(i.inputs, i.op.flips, strict=True)
            a, b = [build.transpose(v) if flip else v for v, flip in sides]
            build.add(matmul_, (a, b), i.out.shape, i.out)
            build.out[-1].flops = i.flops
            out += build.out
        else:
            out.append(i)
    return program.but(out)


def _composed(i: Instruction, op: Composite | Rowwise) -> Program:
    """What a composite does with inputs like these, from its inputs to its output."""
    stand_ins = [wrap(np.broadcast_to(np.zeros((), v.dtype), v.shape)) for v in i.inputs]
    inner = record(partial(op.composition, **i.params), *stand_ins)
    build = _Builder(i)
    for k, made in enumerate(inner.instructions):
        made.where, made.out.name = i.where, build.name(k)
    values = dict(zip(inner.inputs, i.inputs, strict=True))
    if inner.outputs[0] in values:  # nothing was to be done
        build.add(copy_op, (values[inner.outputs[0]],), i.out.shape, i.out)
        return inner.but(build.out)
    values[inner.outputs[0]] = i.out
    replaced = _substitute(inner, values, inner.instructions)
    for made in replaced.instructions:
        made.out = values.get(made.out, made.out)
    return replaced


def copy_propagation(program: Program) -> Program:
    """Values never change: copies, stop_gradient, views of the same shape are the thing itself."""
    same: dict[Value, Value] = {}
    kept = []
    for i in program.instructions:
        if _is_copy(i):
            same[i.out] = i.inputs[0]
            _hand_on_name(i)
        else:
            kept.append(i)
    return _substitute(program, same, kept)


def _is_copy(i: Instruction) -> bool:
    if len(i.inputs) != 1 or i.inputs[0].dtype != i.out.dtype:
        return False
    if isinstance(i.op, Elementwise):
        return i.op.scalar.text == i.op.scalar.args[0]
    return isinstance(i.op, Copy) or is_identity(i)


def _hand_on_name(copy: Instruction) -> None:
    """A result that was only numbered takes the name that the user gave to its copy."""
    source = copy.inputs[0]
    if source.kind == "result" and _NUMBERED.fullmatch(source.name):
        source.name, copy.out.name = copy.out.name, source.name


_NUMBERED = re.compile(r"t\d+")


def constant_folding(program: Program) -> Program:
    """What is computed from the same number everywhere is the same number everywhere."""
    known: dict[Value, Value] = {}
    kept = []
    for i in program.instructions:
        inputs = [known.get(v, v) for v in i.inputs]
        foldable = isinstance(i.op, (Elementwise, View, Copy))
        if foldable and inputs and all(v.kind == "literal" for v in inputs):
            scalars = [np.array(v.number, v.dtype) for v in inputs]
            number = i.op.scalar.evaluate(scalars) if isinstance(i.op, Elementwise) else scalars[0]
            number = np.asarray(number).astype(i.out.dtype).item()
            known[i.out] = Value("literal", i.out.shape, i.out.dtype, number=number)
        else:
            kept.append(i)
    return _substitute(program, known, kept)


def eliminate_dead_code(program: Program) -> Program:
    """Drop what no output and no write depends on."""
    needed = set(program.roots())
    kept = []
    for i in reversed(program.instructions):
        if i.out in needed:
            kept.append(i)
            needed.update(i.inputs)
    return program.but(kept[::-1])


def common_subexpressions(program: Program) -> Program:
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
    made = program.made_by()
    narrow: dict[Value, tuple[Instruction, int]] = {}  # product -> its only use, and from where
    for i in program.instructions:
        product = made.get(i.inputs[0]) if i.inputs else None
        if product is None or not isinstance(product.op, Product) or uses[product.out] != 1:
            continue
        found = matrix(i.out, {i.out: i})
        if found is None or found[0] is not product.out or len(found[1]) != 2 or found[2]:
            continue
        if i.out.shape[0] == product.out.shape[0]:
            narrow[product.out] = i, found[1][1]
    cuts = {cut for cut, _ in narrow.values()}
    out: list[Instruction] = []
    for i in program.instructions:
        if i.out in narrow:
            cut, first = narrow[i.out]
            (a, b), count = i.inputs, cut.out.shape[1]
            build = _Builder(cut)
            bounds = ((0, b.shape[0], 1), (first, count, 1))
            columns = build.add(slice_, (b,), (b.shape[0], count), params={"bounds": bounds})
            build.add(matmul_, (a, columns), cut.out.shape, cut.out)
            build.out[-1].flops = i.flops * count // i.out.shape[1]
            out += build.out
        elif i not in cuts:
            out.append(i)
    return program.but(out)


def matmul_strength_reduction(program: Program) -> Program:
    """A product with a side of 1 is a sum of scaled rows: a loop that fuses with its neighbours."""
    out: list[Instruction] = []
    made = program.made_by()
    for i in program.instructions:
        build = _Builder(i)
        if isinstance(i.op, Product) and len(i.out.shape) == 2 and i.out.dtype.kind == "f":
            _reduce_strength(build, i, made)
        if build.out:
            build.out[-1].flops = i.flops
        out += build.out or [i]
    return program.but(out)


def _reduce_strength(build: _Builder, i: Instruction, made: Made) -> None:
    a, b = i.inputs
    (m, k), n = a.shape, b.shape[1]
    if k == 1:
        build.add(mul, (a, b), (m, n), i.out)
    elif n == 1:
        scaled = build.add(mul, (a, build.transpose(b)), (m, k))
        build.add(sum_op, (scaled,), (m, 1), i.out, {"axis": (1,), "keepdims": True})
    elif m == 1 and b in made and matrix(b, {b: made[b]}) == (made[b].inputs[0], (0, 0), True):
        # A row by a layer's weight: read the weight in its own order.
        scaled = build.add(mul, (a, made[b].inputs[0]), (n, k))
        row = build.add(sum_op, (scaled,), (n, 1), None, {"axis": (1,), "keepdims": True})
        build.add(reshape_, (row,), (1, n), i.out, {"shape": (1, n)})
    elif m == 1:
        scaled = build.add(mul, (build.transpose(a), b), (k, n))
        build.add(sum_op, (scaled,), (1, n), i.out, {"axis": (0,), "keepdims": True})


def cancel_views(program: Program) -> Program:
    """A view of a view that ends where it began is the thing itself: a transpose of a transpose."""
    made = program.made_by()
    same: dict[Value, Value] = {}
    for i in program.instructions:
        before = made.get(i.inputs[0]) if is_view(i) else None
        if before is None or not is_view(before) or before.inputs[0].shape != i.out.shape:
            continue
        at = places(i.out.shape)
        inner = source_index(i, at)
        if inner is not None and source_index(before, inner) == at:
            same[i.out] = before.inputs[0]
    return _substitute(program, same, program.instructions)


def unify_dtypes(program: Program) -> Program:
    """Cast what a product or a user's kernel combines, as their eager forms do."""
    out: list[Instruction] = []
    cast: dict[tuple[Value, Any], Value] = {}
    for i in program.instructions:
        inputs = list(i.inputs)
        if isinstance(i.op, (Product, Kernel)):
            common = np.result_type(*(v.dtype for v in inputs))
            for k, v in enumerate(inputs):
                if v.dtype == common or (isinstance(i.op, Kernel) and v.dtype.kind != "f"):
                    continue
                if (v, common) not in cast:
                    new = Value("result", v.shape, common, f"{v.name or 'number'}_cast")
                    cast[v, common] = new
                    out.append(Instruction(astype_, (v,), {"dtype": common}, new, i.where))
                inputs[k] = cast[v, common]
        out.append(replace(i, inputs=tuple(inputs)))
    return program.but(out)


def copy_operands(program: Program) -> Program:
    """Give an array of its own to what a step that is no loop can't read through a view."""
    made = program.made_by()
    out: list[Instruction] = []
    copies: dict[Value, Value] = {}

    def own(v: Value, where: Where | None) -> Value:
        if v not in copies:
            copies[v] = Value("result", v.shape, v.dtype, f"{v.name or 'filled'}_copy")
            out.append(Instruction(copy_op, (v,), {}, copies[v], where))
        return copies[v]

    for i in program.instructions:
        inputs = i.inputs
        if isinstance(i.op, Product):
            inputs = tuple(v if _is_matrix(v, made) else own(v, i.where) for v in inputs)
        elif isinstance(i.op, Kernel) or is_reordered(i):
            inputs = tuple(v if _is_array(v, made) else own(v, i.where) for v in inputs)
        out.append(replace(i, inputs=inputs))
    writes = []
    for state, v in program.writes:
        # A state that gets another state's old numbers: these may be overwritten before.
        moved = root(v, made).kind in ("state", "input") and v is not state
        writes.append((state, own(v, None) if moved else v))
    return program.but(out, writes=[(s, v) for s, v in writes if v is not s])


def _is_array(v: Value, made: Made) -> bool:
    """Backed by contiguous memory, of its own or (in another shape) of what it is made of."""
    if v.kind == "state" and not v.array.flags.c_contiguous:
        return False
    own = v not in made or not is_view(made[v]) or is_reordered(made[v])
    return own and v.kind != "literal" and bool(v.shape)


def _is_matrix(v: Value, made: Made) -> bool:
    """What a product can read: an array or a block of one, its last two axes perhaps exchanged."""
    found = matrix(v, made)
    return found is not None and _is_array(found[0], made)


PASSES: tuple[Pass, ...] = (
    lower,
    unify_dtypes,
    copy_propagation,
    constant_folding,
    eliminate_dead_code,
    common_subexpressions,
    prune_columns,
    cancel_views,
    matmul_strength_reduction,
    common_subexpressions,
    copy_operands,
    eliminate_dead_code,
)
