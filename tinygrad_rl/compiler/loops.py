"""Write a fused loop: elementwise instructions of one shape and the sums over them."""

import ast
import math

import numpy as np

from tinygrad_rl.compiler.plan import Loop
from tinygrad_rl.compiler.program import Instruction, Value
from tinygrad_rl.compiler.source import Source, indented
from tinygrad_rl.compiler.views import Places, broadcast_index, reduced_index
from tinygrad_rl.core import NUMBA, Elementwise, Reduction
from tinygrad_rl.derive import Scalar


def write_loop(source: Source, loop: Loop) -> None:
    """One loop nest: compute each member at one place, then store what is needed later."""
    heads, index = source.loops(loop.shape, axis=source.axis)
    depth = len(heads)
    before: list[list[str]] = [[] for _ in range(depth + 1)]
    after: list[list[str]] = [[] for _ in range(depth + 1)]
    body: list[str] = []
    stores: list[str] = []
    numbers = _hoist_numbers(source, loop, before)
    for i in loop.members:
        if isinstance(i.op, Reduction):
            _write_reduction(source, i, i.op, index, before, body, after)
            continue
        stored = i.out in source.plan.materialised
        state = source.plan.in_place.get(i.out)
        stem = f"{i.out.name}_" if state is None else f"new_{state.name}"
        name = source.unique(stem) if stored else source.name(i.out)
        body.append(f"{name} = {computation(source, i, index)}")
        if stored:
            stores.append(f"{source.target(i.out, index)} = {name}")
        source.temporaries[i.out] = (name, index)
    lines = [*before[depth], *body, *stores, *after[depth]]
    for level in reversed(range(depth)):
        lines = [*before[level], *indented([heads[level]], lines), *after[level]]
    source.write(*lines)
    for v in (*numbers, *(i.out for i in loop.members)):
        if loop.shape or v in source.plan.offsets:
            source.temporaries.pop(v, None)


def _hoist_numbers(source: Source, loop: Loop, before: list[list[str]]) -> list[Value]:
    """Single numbers that a loop needs are read from memory once, not for each element."""
    hoisted: list[Value] = []
    for v in dict.fromkeys(v for i in loop.members for v in i.inputs):
        if loop.shape and not v.shape and v.kind != "literal" and v not in loop.made:
            text = source.element(v, ())
            if text.endswith("]"):
                name = source.unique(f"{v.name or 'number'}_")
                before[0].append(f"{name} = {text}")
                source.temporaries[v] = (name, ())
                hoisted.append(v)
    return hoisted


def computation(source: Source, i: Instruction, index: Places) -> str:
    """One element of an elementwise instruction as an expression."""
    elements = [source.element(v, broadcast_index(v.shape, index)) for v in i.inputs]
    if not isinstance(i.op, Elementwise):
        return converted(elements[0], i.inputs[0].dtype, i.out.dtype)
    wanted = _compute_dtypes(i, i.op)
    cast = [converted(e, v.dtype, d) for e, v, d in zip(elements, i.inputs, wanted, strict=True)]
    numeric = next((d for d in wanted if d.kind != "b"), wanted[0])
    text = i.op.scalar.render(NUMBA[numeric], dict(zip(i.op.args, cast, strict=True)))
    # Numba computes these in 64 bits; in memory they would have wrapped around by now.
    narrow = i.out.dtype.kind in "biu" and i.out.dtype != np.int64 and not i.op.scalar.is_boolean
    return converted(f"({text})", np.dtype(np.int64), i.out.dtype) if narrow else text


def _compute_dtypes(i: Instruction, op: Elementwise) -> list[np.dtype]:
    """The dtype of each operand while computing: the result's, for a comparison the common one."""
    named = list(zip(op.args, i.inputs, strict=True))
    common = i.out.dtype
    if op.scalar.is_boolean:
        common = np.result_type(*(v.dtype for a, v in named if a not in op.scalar.conditions))
        if op.scalar.is_floating and common.kind != "f":
            common = np.dtype(np.float64)
    return [np.dtype(bool) if a in op.scalar.conditions else common for a, _ in named]


def converted(text: str, have: np.dtype, want: np.dtype) -> str:
    """An expression of one dtype in another."""
    if have == want:
        return text
    return f"({text} != 0)" if want.kind == "b" else f"{NUMBA[want]}({text})"


def _write_reduction(
    source: Source,
    i: Instruction,
    op: Reduction,
    index: Places,
    before: list[list[str]],
    body: list[str],
    after: list[list[str]],
) -> None:
    """Accumulate in a variable where the inner axes are reduced, else in the output's memory."""
    shape, axes = i.inputs[0].shape, i.params["axis"]
    start = op.start_text(i.out.dtype)
    value = converted(source.element(i.inputs[0], index), i.inputs[0].dtype, i.out.dtype)
    loops = [a for a, n in enumerate(shape) if n != 1]
    kept = [a for a in loops if a not in axes]
    place = reduced_index(i, index)
    stored = i.out in source.plan.materialised
    count = math.prod(shape[a] for a in axes)

    def finished(total: str) -> str:
        return total if op.finish is None else _typed(op.finish, i.out.dtype, total, count)

    if kept == loops[: len(kept)]:
        level = len(kept)
        total = source.unique(f"{i.out.name}_total") if stored else source.name(i.out)
        before[level].append(f"{total} = {start}")
        body.append(f"{total} = {_combine(source, op, i.out.dtype, total, value)}")
        if stored:
            after[level].append(f"{source.target(i.out, place)} = {finished(total)}")
        elif op.finish is not None:
            after[level].append(f"{total} = {finished(total)}")
    else:
        target = source.target(i.out, place)
        shared = None if source.axis is None else place.index(index[source.axis])
        write = source.target
        source.write(
            *source.nest(i.out.shape, lambda at: [f"{write(i.out, at)} = {start}"], shared)
        )
        body.append(f"{target} = {_combine(source, op, i.out.dtype, target, value)}")
        if op.finish is not None:
            after[0] += source.nest(
                i.out.shape,
                lambda at: [f"{write(i.out, at)} = {finished(write(i.out, at))}"],
                shared,
            )


def _typed(scalar: Scalar, dtype: np.dtype, total: str, other: str | int) -> str:
    """An expression of a total and a second argument in the dtype of the total."""
    kind = NUMBA[dtype]
    second = other if isinstance(other, str) else f"{kind}({other})"
    text = scalar.render(kind, dict(zip(scalar.args, (total, second), strict=True)))
    return text if dtype.kind == "f" else f"{kind}({text})"


def _combine(source: Source, op: Reduction, dtype: np.dtype, total: str, value: str) -> str:
    """The total with one element more; a sum of floats may be taken in any order."""
    match op.combine.body:
        case ast.BinOp(left=ast.Name(id="total"), op=ast.Add(), right=rest):
            more = Scalar(op.combine.args, rest)
            if dtype.kind == "f" and "total" not in more.names:
                return f"{source.call('plus')}({total}, {_typed(more, dtype, total, value)})"
    return _typed(op.combine, dtype, total, value)
