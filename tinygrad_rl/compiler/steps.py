"""How ops are written that are no loops over equal places: products, gathers, scatters, kernels."""

import hashlib
import inspect
import math
import uuid
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from tinygrad_rl.compiler.loops import converted
from tinygrad_rl.compiler.program import Instruction, Value
from tinygrad_rl.compiler.source import AXES, Source, indented
from tinygrad_rl.compiler.views import Places, broadcast_index, subscript
from tinygrad_rl.core import NUMBA, Gather, Index, Kernel, Product, Scatter
from tinygrad_rl.naming import variables_of

_ROW = Index.of("row")
"""The number that a gather or a scatter has read from memory."""


def write_step(source: Source, i: Instruction) -> None:
    """Write one instruction that is a step of its own.

    Raises
    ------
    NotImplementedError : for an op that has no compiled form.
    """
    match i.op:
        case Product():
            _write_product(source, i)
        case Gather():
            _write_gather(source, i, i.op)
        case Scatter():
            _write_scatter(source, i, i.op)
        case Kernel(kernel=kernel) if kernel is not None:
            _write_kernel(source, i, i.op)
        case _:
            raise NotImplementedError(
                f"op {i.op.name!r} has no compiled form; give it a kernel= that Numba compiles"
            )


def _write_product(source: Source, i: Instruction) -> None:
    if i.out.dtype.kind != "f" or not i.inputs[0].shape[-1]:
        _write_plain_product(source, i)
        return
    (a, flip_a), (b, flip_b) = (source.matrix(v) for v in i.inputs)
    flips = {"00": "", "01": "_nt", "10": "_tn", "11": "_tt"}[f"{flip_a:d}{flip_b:d}"]
    rows = () if source.axis is None else source.share(i.out.shape[0])
    function = source.call(f"matmul{flips}{'_rows' if rows else ''}")
    source.products.add(i.out.dtype)
    out = source.array(i.out)

    def body(at: Places) -> list[str]:
        def part(name: str, v: Value) -> str:
            places = broadcast_index(v.shape[:-2], at)
            return subscript(name, places) if places else name

        operands = [part(out, i.out), part(a, i.inputs[0]), part(b, i.inputs[1]), *rows]
        return [f"{function}({', '.join(operands)})"]

    source.write(*source.nest(i.out.shape[:-2], body))


def _write_plain_product(source: Source, i: Instruction) -> None:
    """Products of integers and booleans, and sums of nothing."""
    a, b = i.inputs
    kind = NUMBA[i.out.dtype]
    logical = i.out.dtype.kind == "b"

    def body(at: Places) -> list[str]:
        target, var = source.target(i.out, at), AXES[len(at)]
        summed = Index.of(var)
        left = source.element(a, (*broadcast_index(a.shape[:-2], at[:-2]), at[-2], summed))
        right = source.element(b, (*broadcast_index(b.shape[:-2], at[:-2]), summed, at[-1]))
        more = f"{target} or ({left} and {right})" if logical else f"{target} + {left} * {right}"
        return [
            f"{target} = {'False' if logical else f'{kind}(0)'}",
            f"for {var} in range({a.shape[-1]}):",
            f"    {target} = {more}",
        ]

    source.write(*source.nest(i.out.shape, body))


def _write_kernel(source: Source, i: Instruction, op: Kernel) -> None:
    """Call a user's kernel, with 0-d arrays where its operands are 0-d."""
    name = source.kernel(op)
    operands = []
    for v in (i.out, *i.inputs):
        if v.shape:
            operands.append(source.expression(v))
            continue
        cell = source.unique(f"{v.name or 'number'}_cell")
        value = "0" if v is i.out else source.element(v, ())
        source.write(f"{cell} = {source.call('cell')}({value}, {NUMBA[v.dtype]})")
        operands.append(cell)
    params = [_param_text(i.params[p]) for p in op.params]
    source.write(f"{name}({', '.join([*operands, *params])})")
    if not i.out.shape:
        source.write(f"{source.target(i.out, ())} = {operands[0]}[()]")


def _param_text(param: Any) -> str:
    if isinstance(param, np.generic):
        param = param.item()
    if isinstance(param, tuple):
        return f"({''.join(f'{_param_text(p)}, ' for p in param)})"
    if isinstance(param, np.dtype):
        return NUMBA[param]
    if not isinstance(param, (bool, int, float, str, type(None))):
        raise TypeError(f"a kernel's parameter is a number, string or tuple, not {param!r}")
    return repr(param)


def _row_lines(source: Source, rows: Value, at: Places, size: int) -> list[str]:
    """Lines that read a row number, count from the end if negative, refuse one out of range."""
    return [
        f"row = int64({source.element(rows, at)})",
        f"row = row + {size} if row < 0 else row",
        f"if row < 0 or row >= {size}:",
        f'    raise IndexError("an index is out of range for an axis of size {size}")',
    ]


def _row_axis(i: Instruction, places: Places) -> int:
    """The axis on which the row number stands."""
    if _ROW not in places:
        raise TypeError(f"op {i.op.name!r}: `row` has to stand alone on one axis of its places")
    return places.index(_ROW)


def _write_gather(source: Source, i: Instruction, op: Gather) -> None:
    x, rows = i.inputs
    heads, at = source.loops(i.out.shape, axis=source.axis)
    places = tuple(map(Index.of, op.places(at, _ROW, i.inputs, i.params)))
    size = x.shape[_row_axis(i, places)]
    lines = _row_lines(source, rows, at[: len(rows.shape)], size)
    body = f"{source.target(i.out, at)} = {source.element(x, places)}"
    outer = sum(n != 1 for n in rows.shape)
    source.write(*indented(heads[:outer], [*lines, *indented(heads[outer:], [body])]))


def _write_scatter(source: Source, i: Instruction, op: Scatter) -> None:
    base, values, rows = op.parts(i.inputs)
    covered = not op.add and rows is None and sum(math.prod(v.shape) for v in values)
    if base is not None or covered != math.prod(i.out.shape):

        def fill(at: Places) -> list[str]:
            value = "0" if base is None else source.element(base, at)
            return [f"{source.target(i.out, at)} = {value}"]

        source.write(*source.nest(i.out.shape, fill, source.axis))
    for k in range(len(values)):
        _write_scattered(source, i, op, k)


def _write_scattered(source: Source, i: Instruction, op: Scatter, k: int) -> None:
    """Put one of the inputs where it belongs."""
    _, values, rows = op.parts(i.inputs)
    value = values[k]
    heads, at = source.loops(value.shape, axis=source.axis)
    places = tuple(map(Index.of, op.places(at, _ROW, k, i.inputs, i.out, i.params)))
    count = math.prod(i.out.shape)
    if len(places) == 1 and len(i.out.shape) > 1:
        name = source.unique(f"{i.out.name}_flat")
        source.write(f"{name} = {source.call('reshaped')}({source.array(i.out)}, ({count},))")
        target = subscript(name, places)
    else:
        target = source.target(i.out, places if i.out.shape else ())
    element = converted(source.element(value, at), value.dtype, i.out.dtype)
    body = f"{target} = {f'{target} + ' if op.add else ''}{element}"
    outer, lines = 0, []
    if rows is not None:
        sizes = (count,) if len(places) == 1 else i.out.shape
        lines = _row_lines(source, rows, at[: len(rows.shape)], sizes[_row_axis(i, places)])
        outer = sum(n != 1 for n in rows.shape)
    source.write(*indented(heads[:outer], [*lines, *indented(heads[outer:], [body])]))


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
            digest.update(_code_text(thing.__code__).encode())
            pending += sorted(variables_of(thing), key=lambda kv: kv[0])
        elif isinstance(thing, np.ndarray):
            digest.update(f"{thing.dtype}{thing.shape}".encode() + thing.tobytes())
        elif isinstance(thing, (int, float, str, tuple, np.generic, type(None))):
            digest.update(repr(thing).encode())
        elif inspect.isbuiltin(thing) or isinstance(thing, (ModuleType, type, np.ufunc)):
            digest.update(getattr(thing, "__name__", "?").encode())
        else:  # nothing is known of it: never found again
            digest.update(uuid.uuid4().bytes)
    return digest.hexdigest()[:16]


def _code_text(code: CodeType) -> str:
    """A function's code without the addresses of the functions inside it."""
    constants = [_code_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code!r}{constants}{code.co_names!r}"
