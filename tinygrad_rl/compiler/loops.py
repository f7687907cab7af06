"""Write a fused loop: elementwise instructions of one shape and the sums over them."""

import numpy as np

from tinygrad_rl.compiler.plan import Loop
from tinygrad_rl.compiler.program import Instruction, Value
from tinygrad_rl.compiler.source import TYPES, Source
from tinygrad_rl.compiler.views import REDUCTIONS, broadcast_index, reduced_index
from tinygrad_rl.ops.define import Elementwise


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
        if i.op.name in REDUCTIONS:
            _write_reduction(source, i, index, before, body, after)
            continue
        stored = i.out in source.plan.stored
        name = source.unique(_temporary(source, i)) if stored else source.name(i.out)
        body.append(f"{name} = {computation(source, i, index)}")
        if stored:
            stores.append(f"{source.target(i.out, index)} = {name}")
        source.temporaries[i.out] = (name, index)
    body += stores
    for level in range(depth):
        source.write(
            *("    " * level + line for line in before[level]), "    " * level + heads[level]
        )
    source.write(*("    " * depth + line for line in [*before[depth], *body, *after[depth]]))
    for level in reversed(range(depth)):
        source.write(*("    " * level + line for line in after[level]))
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


def _temporary(source: Source, i: Instruction) -> str:
    """The variable of one element on its way to memory."""
    home = source.plan.homes.get(i.out)
    return f"{i.out.name}_" if home is None else f"new_{home.name}"


def computation(source: Source, i: Instruction, index: tuple[str, ...]) -> str:
    """One element of an elementwise instruction as an expression."""
    elements = [source.element(v, broadcast_index(v.shape, index)) for v in i.inputs]
    if i.op.name == "copy":
        return elements[0]
    if not isinstance(i.op, Elementwise):
        return converted(elements[0], i.inputs[0].dtype, i.out.dtype)
    wanted = _compute_dtypes(i, i.op)
    cast = [converted(e, v.dtype, d) for e, v, d in zip(elements, i.inputs, wanted, strict=True)]
    numeric = next((d for d in wanted if d.kind != "b"), wanted[0])
    text = i.op.scalar.render(TYPES[numeric.name], dict(zip(i.op.args, cast, strict=True)))
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
    return f"({text} != 0)" if want.kind == "b" else f"{TYPES[want.name]}({text})"


_START = {"sum": "0", "prod": "1"}


def _write_reduction(
    source: Source,
    i: Instruction,
    index: tuple[str, ...],
    before: list[list[str]],
    body: list[str],
    after: list[list[str]],
) -> None:
    """Accumulate in a variable where the inner axes are reduced, else in the output's memory."""
    shape, axes = i.inputs[0].shape, i.params["axis"]
    kind = TYPES[i.out.dtype.name]
    value = converted(source.element(i.inputs[0], index), i.inputs[0].dtype, i.out.dtype)
    loops = [a for a, n in enumerate(shape) if n != 1]
    kept = [a for a in loops if a not in axes]
    place = reduced_index(i, index)
    stored = i.out in source.plan.stored
    if kept == loops[: len(kept)]:
        level = len(kept)
        total = source.unique(f"{i.out.name}_total") if stored else source.name(i.out)
        before[level].append(f"{total} = {_start(i, kind)}")
        body.append(f"{total} = {_combine(source, i, total, value)}")
        if stored:
            after[level].append(f"{source.target(i.out, place)} = {total}")
    else:
        target = source.target(i.out, place)
        shared = None if source.axis is None else place.index(index[source.axis])
        source.nest(
            i.out.shape, lambda at: [f"{source.target(i.out, at)} = {_start(i, kind)}"], shared
        )
        body.append(f"{target} = {_combine(source, i, target, value)}")


def _start(i: Instruction, kind: str) -> str:
    if i.op.name in _START:
        return f"{kind}({_START[i.op.name]})"
    if i.out.dtype.kind == "f":
        return f"{kind}({'-inf' if i.op.name == 'max' else 'inf'})"
    if i.out.dtype.kind == "b":
        return str(i.op.name == "min")
    info = np.iinfo(i.out.dtype)
    return f"{kind}({info.min if i.op.name == 'max' else info.max})"


def _combine(source: Source, i: Instruction, total: str, value: str) -> str:
    if i.op.name == "sum":
        if i.out.dtype.kind == "f":
            return f"{source.call('plus')}({total}, {value})"
        return f"{TYPES[i.out.dtype.name]}({total} + {value})"
    if i.op.name == "prod":
        return f"{TYPES[i.out.dtype.name]}({total} * {value})"
    if i.out.dtype.kind == "b":
        return f"({total} {'or' if i.op.name == 'max' else 'and'} {value})"
    return f"{'maximum' if i.op.name == 'max' else 'minimum'}({total}, {value})"
