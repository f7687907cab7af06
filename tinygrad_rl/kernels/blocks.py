"""The innermost loops of a matrix product, in vector registers: what `gemm.py` is made of.

A *sweep* is a block of `out` after the other, down the rows: the block's sums stay in registers
while a loop runs over the terms. `sweep` has vectors of columns, and adds the terms one after the
other; `inner_sweep` has vectors of terms, whose lanes it adds at the end. Either way a sum's order
is the same in a block of any size.

Addresses are integers, strides count numbers, `more` says that the sums are added to `out`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import Flags
from numba.extending import intrinsic

from tinygrad_rl.kernels.straight import Straight
from tinygrad_rl.kernels.vector import BYTES, Vectors, size


def sweep(vectors: int, counts: Sequence[int], bytes: int = BYTES, masked: bool = False) -> Any:
    """`out[:rows, :columns] (+)= a @ b`, where rows of b are contiguous.

    Parameters
    ----------
    vectors : in a row of a block.
    counts : rows of the blocks, the largest first, the last of them 1.
    bytes : of a vector; those of half a register leave less of it empty.
    masked : whether there may be fewer columns than a block has.
    """

    def body(code, out, a, b, left, terms, out_row, a_row, a_term, b_row, columns, more):
        builder = code.builder
        out, a, b = (code.pointer(address) for address in (out, a, b))
        mask, width = code.first(columns) if masked else None, size(vectors * code.width)
        panels = size(1) if masked else builder.sdiv(columns, width)
        with cgutils.for_range(builder, panels) as loop:
            j = builder.mul(loop.index, width)
            y, matrices = code.at(b, j), ((code.at(out, j), out_row), (a, a_row))
            for rows, (to, x) in _blocks(code, counts, left, *matrices):
                targets = [
                    code.at(code.row(to, out_row, i), j * code.width)
                    for i in range(rows)
                    for j in range(vectors)
                ]
                if not masked:
                    with builder.if_then(builder.icmp_signed(">", terms, size(32))):
                        for target in targets:
                            code.prefetch(target)
                sums = _sums(code, vectors, rows, (x, y, terms, a_row, a_term, b_row), mask)
                _store(code, sums, targets, more, mask)

    def typing(tc, kind, out, a, b, rows, terms, out_row, a_row, a_term, b_row, columns, more):
        name = f"{'masked_' * masked}sweep_{vectors}_of_{bytes}"
        return types.void(kind, *[types.int64] * 11), _apart(name, body, bytes)

    return intrinsic(typing)


def _apart(name: str, body: Callable[..., None], bytes: int = BYTES) -> Callable[..., ir.Value]:
    """The code of a call of `body` as a function of its own.

    Inside the one that calls it, LLVM would compute the steps of all sweeps ahead, whichever runs,
    and keep them on the stack.
    """

    def codegen(context, builder, signature, arguments):
        numbers = arguments[1:]
        function = builder.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(ir.VoidType(), [number.type for number in numbers])
            function = ir.Function(builder.module, kind, name)
            function.linkage = "internal"
            function.attributes.add("noinline")
            inside = ir.IRBuilder(function.append_basic_block())
            body(Vectors(inside, signature.args[0].dtype, bytes), *function.args)
            inside.ret_void()
        builder.call(function, numbers)
        return context.get_dummy_value()

    return codegen


def _blocks(
    code: Vectors, counts: Sequence[int], left: ir.Value, *matrices: tuple[ir.Value, ir.Value]
) -> Iterator[tuple[int, list[ir.Value]]]:
    """What is yielded is in a loop: the rows of a block, and where they start in each matrix.

    A matrix is where its first row starts, and how far apart rows are.
    """
    builder = code.builder
    starts = [start for start, _ in matrices]
    steps = [step for _, step in matrices]
    for rows in counts:
        count = builder.sdiv(left, size(rows))
        with cgutils.for_range(builder, count) as loop:
            yield rows, _places(code, starts, steps, builder.mul(loop.index, size(rows)))
        done = builder.mul(count, size(rows))
        starts, left = _places(code, starts, steps, done), builder.sub(left, done)


def _places(code: Vectors, starts: list, steps: list, i: ir.Value) -> list[ir.Value]:
    """Where row i of each matrix starts."""
    pairs = zip(starts, steps, strict=True)
    return [code.at(start, code.builder.mul(i, step)) for start, step in pairs]


def _store(code: Vectors, values: list, targets: list, more: ir.Value, mask: Any = None) -> None:
    """Write vectors or numbers to their places, or add them to what is there."""
    builder, pairs = code.builder, list(zip(values, targets, strict=True))
    vectors = values[0].type == code.type
    with builder.if_else(builder.icmp_signed("!=", more, size(0))) as (added, plain):
        with added:
            for value, target in pairs:
                old = code.load(target, mask) if vectors else builder.load(target)
                total = builder.fadd(value, old)
                code.store(total, target, mask) if vectors else builder.store(total, target)
        with plain:
            for value, target in pairs:
                code.store(value, target, mask) if vectors else builder.store(value, target)


def _sums(code: Vectors, vectors: int, rows: int, operands: tuple, mask: Any) -> list[ir.Value]:
    """A block of the product: a vector of terms' products for each row and each of `vectors`."""
    builder = code.builder
    a, b, terms, a_row, a_term, b_row = operands
    starts = [code.row(a, a_row, i) for i in range(rows)]

    def add(k, sums):
        at = code.at(b, builder.mul(k, b_row))
        ys = [code.load(code.at(at, j * code.width), mask) for j in range(vectors)]
        at = builder.mul(k, a_term)
        xs = [code.splat(builder.load(code.at(start, at))) for start in starts]
        pairs = [(x, y) for x in xs for y in ys]
        return [code.fma(x, y, total) for (x, y), total in zip(pairs, sums, strict=True)]

    return code.loop(terms, [code.zero] * (rows * vectors), add)


def inner_sweep(columns: int, counts: Sequence[int]) -> Any:
    """`out[:rows, :columns] (+)= a @ b`, where rows of a and columns of b are contiguous."""

    def body(code, out, a, b, left, terms, out_row, out_column, a_row, b_column, more):
        out, a, b = (code.pointer(address) for address in (out, a, b))
        ys = [code.row(b, b_column, j) for j in range(columns)]
        for rows, (to, start) in _blocks(code, counts, left, (out, out_row), (a, a_row)):
            xs = [code.row(start, a_row, i) for i in range(rows)]
            totals = code.totals(_inner_sums(code, xs, ys, terms))
            targets = [
                code.row(code.row(to, out_row, i), out_column, j)
                for i in range(rows)
                for j in range(columns)
            ]
            _store(code, totals, targets, more)

    def typing(tc, kind, out, a, b, rows, terms, out_row, out_column, a_row, b_column, more):
        name = f"inner_sweep_of_{columns}"
        return types.void(kind, *[types.int64] * 10), _apart(name, body)

    return intrinsic(typing)


def _inner_sums(code: Vectors, xs: list, ys: list, terms: ir.Value) -> list[ir.Value]:
    """A vector of partial sums for each x with each y; the last of their vectors may be a part."""
    builder = code.builder

    def add(at, sums, mask=None):
        y = [code.load(code.at(start, at), mask) for start in ys]
        x = [code.load(code.at(start, at), mask) for start in xs]
        pairs = [(one, other) for one in x for other in y]
        return [code.fma(*pair, total) for pair, total in zip(pairs, sums, strict=True)]

    width = size(code.width)
    whole = builder.sdiv(builder.sub(terms, size(1)), width)
    start = [code.zero] * (len(xs) * len(ys))
    before = builder.basic_block
    with builder.if_then(builder.icmp_signed(">", whole, size(0))):
        inside = code.loop(whole, start, lambda k, s: add(builder.mul(k, width), s))
        after = builder.basic_block
    sums = []
    for zero, total in zip(start, inside, strict=True):
        phi = builder.phi(code.type)
        phi.add_incoming(zero, before)
        phi.add_incoming(total, after)
        sums.append(phi)
    at = builder.mul(whole, width)
    return add(at, sums, code.first(builder.sub(terms, at)))


@intrinsic
def copy_rows(typing_context, kind, target, source, target_row, source_row, rows, columns):
    """`target[:rows, :columns] = source[:rows, :columns]`, up to a vector's width of columns."""

    def codegen(context, builder, signature, arguments):
        _, target, source, target_row, source_row, rows, columns = arguments
        code = Vectors(builder, signature.args[0].dtype)
        target, source, mask = code.pointer(target), code.pointer(source), code.first(columns)
        with cgutils.for_range(builder, rows) as loop:
            value = code.load(code.at(source, builder.mul(loop.index, source_row)), mask)
            code.store(value, code.at(target, builder.mul(loop.index, target_row)), mask)
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 6), codegen


@intrinsic
def transpose(typing_context, kind, target, source, target_row, source_row, rows, columns, width):
    """`target[k, j] = source[j, k]` for a vector's width of both.

    Of the target, `rows` (at most as many) are written, each with `width` numbers, zeros behind the
    first `columns`.
    """

    def codegen(context, builder, signature, arguments):
        _, target, source, target_row, source_row, rows_, columns, width = arguments
        code = Vectors(builder, signature.args[0].dtype)
        target, source = code.pointer(target), code.pointer(source)
        mask, rows = code.first(rows_), []
        for j in range(code.width):
            there = builder.icmp_signed("<", size(j), columns)
            step = builder.select(there, source_row, size(0))
            rows.append(code.load(code.row(source, step, j), code.masked_if(there, mask)))
        written, turned = code.first(width), code.transposed(rows)
        targets = [code.row(target, target_row, k) for k in range(code.width)]
        full = builder.icmp_signed(">=", rows_, size(code.width))
        with builder.if_else(full) as (all_of_them, some_of_them):
            with all_of_them:
                for value, to in zip(turned, targets, strict=True):
                    code.store(value, to, written)
            with some_of_them:
                for k, (value, to) in enumerate(zip(turned, targets, strict=True)):
                    with builder.if_then(builder.icmp_signed("<", size(k), rows_)):
                        code.store(value, to, written)
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 7), codegen


def on_stack(bytes: int) -> Any:
    """The address of so much memory on the stack."""

    @intrinsic
    def allocate(typing_context):
        def codegen(context, builder, signature, arguments):
            with builder.goto_entry_block():
                memory = builder.alloca(ir.ArrayType(ir.IntType(8), bytes))
                memory.align = BYTES
            return builder.ptrtoint(memory, size(0).type)

        return types.int64(), codegen

    return allocate


@intrinsic
def allocate(typing_context, bytes):
    """The address of so much memory, 0 where there is none."""

    def codegen(context, builder, signature, arguments):
        return builder.ptrtoint(context.nrt.allocate(builder, arguments[0]), size(0).type)

    return types.int64(types.int64), codegen


@intrinsic
def free(typing_context, address):
    """Give memory back."""

    def codegen(context, builder, signature, arguments):
        context.nrt.free(builder, builder.inttoptr(arguments[0], cgutils.voidptr_t))
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def itemsize(typing_context, kind):
    """The bytes of a number."""
    return types.int64(kind), lambda context, builder, s, a: size(s.args[0].dtype.bitwidth // 8)


@intrinsic
def lanes(typing_context, kind):
    """The numbers in a vector."""
    return types.int64(kind), lambda context, builder, s, a: size(
        8 * BYTES // s.args[0].dtype.bitwidth
    )


@intrinsic
def get(typing_context, kind, address):
    """The number at an address."""

    def codegen(context, builder, signature, arguments):
        code = Vectors(builder, signature.args[0].dtype)
        return builder.load(code.pointer(arguments[1]))

    return kind.dtype(kind, types.int64), codegen


@intrinsic
def put(typing_context, kind, address, value):
    """Write a number to an address."""

    def codegen(context, builder, signature, arguments):
        code = Vectors(builder, signature.args[0].dtype)
        builder.store(arguments[2], code.pointer(arguments[1]))
        return context.get_dummy_value()

    return types.void(kind, types.int64, kind.dtype), codegen


def part(function: Callable[..., None]) -> Any:
    """A function of a type and numbers, compiled as a part of those that call it.

    `njit` would compile it to machine code twice: alone, where nobody calls it, and inside them.
    """
    known: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

    @intrinsic
    def call(typing_context, kind, *numbers):
        def codegen(context, builder, signature, arguments):
            inner, library = types.void(kind, *numbers), context.active_code_library
            if library not in known:
                flags = Flags()
                flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
                flags.error_model = "numpy"
                compiler = Straight(
                    typing_context, context, library, inner.args, types.void, flags, {}
                )
                known[library] = compiler.compile_extra(function).fndesc
            values = cgutils.unpack_tuple(builder, arguments[1], len(numbers))
            context.call_internal(builder, known[library], inner, [arguments[0], *values])
            return context.get_dummy_value()

        return types.void(kind, types.Tuple(numbers)), codegen

    return call
