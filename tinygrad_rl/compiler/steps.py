"""How the ops that are no loops over equal places are written: products, gathers, joins."""

import inspect
import math
from collections.abc import Callable

from tinygrad_rl.compiler.source import AXES, Source, shifted
from tinygrad_rl.program import Instruction, Value


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
    (a, flip_a), (b, flip_b) = (_operand(source, v) for v in i.inputs)
    function = source.call(
        "matmul" + {"00": "", "01": "_nt", "10": "_tn", "11": "_tt"}[f"{flip_a:d}{flip_b:d}"]
    )
    out = source.array(i.out)
    batch = i.out.shape[:-2]
    if not i.inputs[0].shape[-1]:
        source.nest(i.out.shape, lambda at: [f"{out}[{', '.join(at)}] = 0"])
        return

    def body(index: tuple[str, ...]) -> list[str]:
        def part(name: str, v: Value) -> str:
            lead = v.shape[:-2]
            at = index[len(index) - len(lead) :] if lead else ()
            places = ["0" if n == 1 else k for n, k in zip(lead, at, strict=True)]
            return f"{name}[{', '.join(places)}]" if places else name

        target = f"{out}[{', '.join(index)}]" if index else out
        return [f"{function}({target}, {part(a, i.inputs[0])}, {part(b, i.inputs[1])})"]

    source.nest(batch, body)


def _operand(source: Source, v: Value) -> tuple[str, bool]:
    """The array and whether BLAS shall read it transposed."""
    i = source.plan.made_by.get(v)
    if i is not None and i.op.name == "permute":
        return source.expression(i.inputs[0]), True
    return source.expression(v), False


def _write_kernel(source: Source, i: Instruction) -> None:
    assert i.op.kernel is not None
    name = f"kernel_{i.op.name}"
    source.kernels[name] = i.op.kernel
    operands = [source.expression(v) for v in i.inputs]
    params = [repr(i.params[p]) for p in i.op.params]
    source.write(f"{name}({', '.join([source.array(i.out), *operands, *params])})")


def _row(source: Source, rows: Value, index: tuple[str, ...], size: int) -> list[str]:
    """Lines that read one row number, count a negative one from the end, and refuse one out of range."""
    return [
        f"row = int64({source.element(rows, index)})",
        f"row = row + {size} if row < 0 else row",
        f"if row < 0 or row >= {size}:",
        f'    raise IndexError("an index is out of range for an axis of size {size}")',
    ]


def _write_take(source: Source, i: Instruction) -> None:
    x, rows = i.inputs
    out = source.array(i.out)
    heads, index = source.loops(rows.shape)
    inner, rest = source.loops(x.shape[1:], len(heads))
    lines = [*heads]
    deep = "    " * len(heads)
    source.write(*("    " * k + h for k, h in enumerate(lines)))
    source.write(*(deep + line for line in _row(source, rows, index, x.shape[0])))
    source.write(*(deep + "    " * k + h for k, h in enumerate(inner)))
    place = ", ".join((*index, *rest)) or "0"
    source.write(
        deep + "    " * len(inner) + f"{out}[{place}] = {source.element(x, ('row', *rest))}"
    )


def _write_put_add(source: Source, i: Instruction) -> None:
    x, rows = i.inputs
    out = source.array(i.out)
    source.nest(i.out.shape, lambda at: [f"{out}[{', '.join(at)}] = 0"])
    heads, index = source.loops(rows.shape)
    inner, rest = source.loops(i.out.shape[1:], len(heads))
    deep = "    " * len(heads)
    source.write(*("    " * k + h for k, h in enumerate(heads)))
    source.write(*(deep + line for line in _row(source, rows, index, i.out.shape[0])))
    source.write(*(deep + "    " * k + h for k, h in enumerate(inner)))
    target = f"{out}[{', '.join(('row', *rest))}]"
    source.write(
        deep + "    " * len(inner) + f"{target} = {target} + {source.element(x, (*index, *rest))}"
    )


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
            return [f"{out}[{', '.join(place)}] = {source.element(part, at)}"]

        source.nest(part.shape, body)
        start += part.shape[axis]


def _write_setitem(source: Source, i: Instruction) -> None:
    x, value, where = i.inputs
    out = source.array(i.out)
    source.nest(x.shape, lambda at: [f"{out}[{', '.join(at)}] = {source.element(x, at)}"])
    flat = source.unique(f"{i.out.name}_flat")
    source.write(f"{flat} = {source.call('reshaped')}({out}, ({math.prod(x.shape)},))")

    def body(at: tuple[str, ...]) -> list[str]:
        from_value = tuple(
            "0" if n == 1 else k for n, k in zip(value.shape, at[len(at) - len(value.shape) :])
        )
        return [f"{flat}[{source.element(where, at)}] = {source.element(value, from_value)}"]

    source.nest(where.shape, body)


def _write_extreme_index(source: Source, i: Instruction) -> None:
    """argmax and argmin over one axis: the first of equals, and a NaN beats all, as in NumPy."""
    x, axis, out = i.inputs[0], i.params["axis"], source.array(i.out)
    sign = ">" if i.op.name == "argmax" else "<"
    rest = tuple(n for a, n in enumerate(x.shape) if a != axis)
    keeps = len(i.out.shape) == len(x.shape)

    def body(at: tuple[str, ...]) -> list[str]:
        def element(k: str) -> str:
            return source.element(x, (*at[:axis], k, *at[axis:]))

        var = AXES[len(at)]
        place = ", ".join((*at[:axis], "0", *at[axis:]) if keeps else at)
        return [
            "row = 0",
            f"for {var} in range(1, {x.shape[axis]}):",
            f"    if {element('row')} == {element('row')} and not (",
            f"        {element(var)} == {element(var)} and not {element(var)} {sign} {element('row')}",
            "    ):",
            f"        row = {var}",
            f"{out}[{place}] = row" if i.out.shape else f"{source.name(i.out)} = row",
        ]

    source.nest(rest, body)


def _write_cumsum(source: Source, i: Instruction) -> None:
    x, axis, out = i.inputs[0], i.params["axis"], source.array(i.out)
    rest = tuple(n for a, n in enumerate(x.shape) if a != axis)
    zero = "0.0" if i.out.dtype.kind == "f" else "0"

    def body(at: tuple[str, ...]) -> list[str]:
        var = AXES[len(at)]
        place = (*at[:axis], var, *at[axis:])
        kind = i.out.dtype.name
        return [
            f"total = {kind}({zero})",
            f"for {var} in range({x.shape[axis]}):",
            f"    total = {kind}(total + {source.element(x, place)})",
            f"    {out}[{', '.join(place)}] = total",
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


def kernel_text(kernel: Callable[..., None]) -> str:
    """What identifies a user's kernel in the cache: its source, or its code where there is none."""
    try:
        return inspect.getsource(kernel)
    except (OSError, TypeError):
        code = kernel.__code__
        return f"{code.co_code!r} {code.co_consts!r} {code.co_names!r}"
