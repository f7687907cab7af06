"""How the ops that are no loops over equal places are written: products, gathers, joins."""

import hashlib
import inspect
import math
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_rl.compiler.loops import converted
from tinygrad_rl.compiler.program import Instruction, Value
from tinygrad_rl.compiler.source import AXES, TYPES, Source
from tinygrad_rl.compiler.views import broadcast_index, shifted


def write_step(source: Source, i: Instruction) -> None:
    """Write one instruction that is a step of its own."""
    writer = WRITERS.get(i.op.name)
    if writer is not None:
        writer(source, i)
    elif i.op.kernel is not None:
        _write_kernel(source, i)
    else:
        raise NotImplementedError(
            f"op {i.op.name!r} has no compiled form; give it a kernel= that Numba compiles"
        )


def _write_matmul(source: Source, i: Instruction) -> None:
    if i.out.dtype.kind != "f" or not i.inputs[0].shape[-1]:
        _write_plain_matmul(source, i)
        return
    (a, flip_a), (b, flip_b) = (_operand(source, v) for v in i.inputs)
    flips = {"00": "", "01": "_nt", "10": "_tn", "11": "_tt"}[f"{flip_a:d}{flip_b:d}"]
    rows = () if source.axis is None else source.share(i.out.shape[0])
    function = source.call(f"matmul{flips}{'_rows' if rows else ''}")
    source.products.add(i.out.dtype)
    out = source.array(i.out)

    def body(index: tuple[str, ...]) -> list[str]:
        def part(name: str, v: Value) -> str:
            places = broadcast_index(v.shape[:-2], index)
            return f"{name}[{', '.join(places)}]" if places else name

        target = f"{out}[{', '.join(index)}]" if index else out
        operands = [target, part(a, i.inputs[0]), part(b, i.inputs[1]), *rows]
        return [f"{function}({', '.join(operands)})"]

    source.nest(i.out.shape[:-2], body)


def _write_plain_matmul(source: Source, i: Instruction) -> None:
    """Products of integers and booleans, and sums of nothing."""
    a, b = i.inputs
    kind = TYPES[i.out.dtype.name]
    logical = i.out.dtype.kind == "b"

    def body(at: tuple[str, ...]) -> list[str]:
        target, var = source.target(i.out, at), AXES[len(at)]
        left = source.element(a, (*broadcast_index(a.shape[:-2], at[:-2]), at[-2], var))
        right = source.element(b, (*broadcast_index(b.shape[:-2], at[:-2]), var, at[-1]))
        more = f"{target} or ({left} and {right})" if logical else f"{target} + {left} * {right}"
        return [
            f"{target} = {'False' if logical else f'{kind}(0)'}",
            f"for {var} in range({a.shape[-1]}):",
            f"    {target} = {more}",
        ]

    source.nest(i.out.shape, body)


def _operand(source: Source, v: Value) -> tuple[str, bool]:
    """The array and whether it shall be read transposed."""
    i = source.plan.made_by.get(v)
    if i is not None and i.op.name == "permute":
        return source.expression(i.inputs[0]), True
    return source.expression(v), False


def _write_kernel(source: Source, i: Instruction) -> None:
    """Call a user's kernel, with 0-d arrays where its operands are 0-d."""
    assert i.op.kernel is not None
    name = source.kernel(i.op)
    operands = []
    for v in (i.out, *i.inputs):
        if v.shape:
            operands.append(source.expression(v))
            continue
        cell = source.unique(f"{v.name or 'number'}_cell")
        value = "0" if v is i.out else source.element(v, ())
        source.write(f"{cell} = {source.call('cell')}({value}, {TYPES[v.dtype.name]})")
        operands.append(cell)
    params = [_param_text(i.params[p]) for p in i.op.params]
    source.write(f"{name}({', '.join([*operands, *params])})")
    if not i.out.shape:
        source.write(f"{source.target(i.out, ())} = {operands[0]}[()]")


def _param_text(param: Any) -> str:
    if isinstance(param, np.generic):
        param = param.item()
    if isinstance(param, tuple):
        return f"({''.join(f'{_param_text(p)}, ' for p in param)})"
    if isinstance(param, np.dtype):
        return TYPES[param.name]
    if not isinstance(param, (bool, int, float, str, type(None))):
        raise TypeError(f"a kernel's parameter is a number, string or tuple, not {param!r}")
    return repr(param)


def _row(source: Source, rows: Value, index: tuple[str, ...], size: int) -> list[str]:
    """Lines that read a row number, count from the end if negative, refuse one out of range."""
    return [
        f"row = int64({source.element(rows, index)})",
        f"row = row + {size} if row < 0 else row",
        f"if row < 0 or row >= {size}:",
        f'    raise IndexError("an index is out of range for an axis of size {size}")',
    ]


def _write_take(source: Source, i: Instruction) -> None:
    x, rows = i.inputs
    heads, index = source.loops(rows.shape, axis=source.axis)
    inner, rest = source.loops(x.shape[1:], len(heads))
    body = [f"{source.target(i.out, (*index, *rest))} = {source.element(x, ('row', *rest))}"]
    _write_rows(source, heads, _row(source, rows, index, x.shape[0]), inner, body)


def _write_put_add(source: Source, i: Instruction) -> None:
    x, rows = i.inputs
    source.nest(i.out.shape, lambda at: [f"{source.target(i.out, at)} = 0"])
    heads, index = source.loops(rows.shape)
    inner, rest = source.loops(i.out.shape[1:], len(heads))
    target = source.target(i.out, ("row", *rest))
    body = [f"{target} = {target} + {source.element(x, (*index, *rest))}"]
    _write_rows(source, heads, _row(source, rows, index, i.out.shape[0]), inner, body)


def _write_rows(
    source: Source, heads: list[str], row: list[str], inner: list[str], body: list[str]
) -> None:
    """Loops over the row numbers, and in each row over what it holds."""
    deep = "    " * len(heads)
    source.write(*("    " * k + h for k, h in enumerate(heads)))
    source.write(*(deep + line for line in row))
    source.write(*(deep + "    " * k + h for k, h in enumerate(inner)))
    source.write(*(deep + "    " * len(inner) + line for line in body))


def _write_slice(source: Source, i: Instruction) -> None:
    out, bounds = source.array(i.out), i.params["bounds"]

    def body(at: tuple[str, ...]) -> list[str]:
        place = tuple(
            _strided(k, first, step) for k, (first, _, step) in zip(at, bounds, strict=True)
        )
        return [f"{out}[{', '.join(at)}] = {source.element(i.inputs[0], place)}"]

    source.nest(i.out.shape, body)


def _write_unslice(source: Source, i: Instruction) -> None:
    out, bounds = source.array(i.out), i.params["bounds"]
    source.nest(i.out.shape, lambda at: [f"{out}[{', '.join(at)}] = 0"])

    def body(at: tuple[str, ...]) -> list[str]:
        place = (_strided(k, first, step) for k, (first, _, step) in zip(at, bounds, strict=True))
        return [f"{out}[{', '.join(place)}] = {source.element(i.inputs[0], at)}"]

    source.nest(i.inputs[0].shape, body)


def _strided(index: str, first: int, step: int) -> str:
    if index.isdigit():
        return str(first + int(index) * step)
    if step == 1:
        return shifted(index, first)
    return f"{first} + {index} * {step}" if step > 0 else f"{first} - {index} * {-step}"


def _write_concatenate(source: Source, i: Instruction) -> None:
    out, axis = source.array(i.out), i.params["axis"]
    start = 0
    for part in i.inputs:

        def body(at: tuple[str, ...], part: Value = part, start: int = start) -> list[str]:
            place = [shifted(k, start) if a == axis else k for a, k in enumerate(at)]
            value = converted(source.element(part, at), part.dtype, i.out.dtype)
            return [f"{out}[{', '.join(place)}] = {value}"]

        source.nest(part.shape, body, source.axis)
        start += part.shape[axis]


def _write_setitem(source: Source, i: Instruction) -> None:
    x, value, where = i.inputs
    source.nest(x.shape, lambda at: [f"{source.target(i.out, at)} = {source.element(x, at)}"])
    flat = source.unique(f"{i.out.name}_flat")
    if x.shape:
        size = math.prod(x.shape)
        source.write(f"{flat} = {source.call('reshaped')}({source.array(i.out)}, ({size},))")

    def body(at: tuple[str, ...]) -> list[str]:
        new = source.element(value, broadcast_index(value.shape, at))
        target = f"{flat}[{source.element(where, at)}]" if x.shape else source.target(i.out, ())
        return [f"{target} = {new}"]

    source.nest(where.shape, body)


def _write_extreme_index(source: Source, i: Instruction) -> None:
    """argmax and argmin over one axis: the first of equals, and a NaN beats all, as in NumPy."""
    x, axis = i.inputs[0], i.params["axis"]
    sign = ">" if i.op.name == "argmax" else "<"
    rest = tuple(n for a, n in enumerate(x.shape) if a != axis)
    keeps = len(i.out.shape) == len(x.shape)

    def body(at: tuple[str, ...]) -> list[str]:
        def element(k: str) -> str:
            return source.element(x, (*at[:axis], k, *at[axis:]))

        var = AXES[len(at)]
        place = (*at[:axis], "0", *at[axis:]) if keeps else at
        return [
            "row = 0",
            f"for {var} in range(1, {x.shape[axis]}):",
            f"    if {element('row')} == {element('row')} and not (",
            f"        {element(var)} == {element(var)}",
            f"        and not {element(var)} {sign} {element('row')}",
            "    ):",
            f"        row = {var}",
            f"{source.target(i.out, place)} = row",
        ]

    source.nest(rest, body)


def _write_cumsum(source: Source, i: Instruction) -> None:
    x, axis, out = i.inputs[0], i.params["axis"], source.array(i.out)
    rest = tuple(n for a, n in enumerate(x.shape) if a != axis)
    total = source.unique(f"{i.out.name}_total")

    def body(at: tuple[str, ...]) -> list[str]:
        var = AXES[len(at)]
        place = (*at[:axis], var, *at[axis:])
        kind = i.out.dtype.name
        return [
            f"{total} = {kind}(0)",
            f"for {var} in range({x.shape[axis]}):",
            f"    {total} = {kind}({total} + {source.element(x, place)})",
            f"    {out}[{', '.join(place)}] = {total}",
        ]

    source.nest(rest, body)


WRITERS: dict[str, Callable[[Source, Instruction], None]] = {
    "matmul": _write_matmul,
    "take": _write_take,
    "put_add": _write_put_add,
    "slice": _write_slice,
    "unslice": _write_unslice,
    "concatenate": _write_concatenate,
    "setitem": _write_setitem,
    "argmax": _write_extreme_index,
    "argmin": _write_extreme_index,
    "cumsum": _write_cumsum,
}


def kernel_digest(kernel: Callable[..., Any]) -> str:
    """What identifies a user's kernel in the cache: its code and all that the code refers to."""
    digest = hashlib.sha256()
    pending: list[tuple[str, Any]] = [("", kernel)]
    seen: set[int] = set()
    while pending:
        name, thing = pending.pop()
        thing = getattr(thing, "py_func", thing)  # a function that is compiled by Numba already
        digest.update(f"{name}:{type(thing).__name__}:".encode())
        if inspect.isfunction(thing):
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            code = thing.__code__
            digest.update(f"{code.co_code!r}{code.co_consts!r}{code.co_names!r}".encode())
            scope = inspect.getclosurevars(thing)
            pending += sorted({**scope.globals, **scope.nonlocals}.items(), key=lambda kv: kv[0])
        elif isinstance(thing, np.ndarray):
            digest.update(f"{thing.dtype}{thing.shape}".encode() + thing.tobytes())
        elif isinstance(thing, (int, float, str, tuple, np.generic, type(None))):
            digest.update(repr(thing).encode())
        elif inspect.ismodule(thing) or inspect.isbuiltin(thing) or isinstance(thing, type):
            digest.update(getattr(thing, "__name__", "?").encode())
        elif isinstance(thing, np.ufunc):
            digest.update(thing.__name__.encode())
        else:  # nothing is known of it: never found again
            digest.update(uuid.uuid4().bytes)
    return digest.hexdigest()[:16]
