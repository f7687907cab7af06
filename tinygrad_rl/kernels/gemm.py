"""Matrix products at the speed of the processor: `out = a @ b` for matrices with any strides.

BLAS libraries are made for large matrices: for a small network's they spend much of the time on
choosing a method, copying, and waking threads. Here a product is one loop nest around a block of
`out` that stays in registers while its sums run over all terms. Columns of `b` are first copied
into a panel, where what is read together lies together. (Goto and van de Geijn, "Anatomy of
high-performance matrix multiplication", 2008, without the outer loops that only matrices beyond
the caches need.)

Each element of `out` is summed in the order of its terms, a multiply-add each, wherever it lies
in a block; thin products go by inner products in vectors instead. Rows may be divided among
threads: which of the two it is depends on the shape of the whole product only, so that the result
is the same to the last bit.
"""

from functools import cache
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_rl.kernels.cache import load
from tinygrad_rl.kernels.vector import BYTES, Vectors, size

# Registers decide: AVX-512 has 32 of a vector each, AVX2 has 16 of half a vector.
_WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_PANEL = 2 if _WIDE else 1
"""Vectors in a row of a panel."""
_ROWS, _ROWS_LEFT = (8, 4) if _WIDE else (6, 3)
"""Rows of a block, and of the smaller one for what is left."""
_DEPTH = 256
"""Terms that are added in one go: with more, a panel would not fit into the caches."""
FEW = 8
"""Rows or columns up to which a product goes by inner products."""


# -- inside the innermost loops --------------------------------------------------------------------


def _block(rows: int) -> Any:
    """`out[:rows, :columns] (+)= a @ panel`, its sums in registers."""

    def typing(tc, kind, out, a, panel, terms, out_row, a_row, a_term, panel_row, columns, more):
        def codegen(context, builder, signature, arguments):
            _, out, a, panel, terms, out_row, a_row, a_term, panel_row, columns, more = arguments
            code = Vectors(builder, signature.args[0].dtype)
            out, panel = code.pointer(out), code.pointer(panel)
            starts = [code.row(code.pointer(a), a_row, i) for i in range(rows)]
            places = [(i, j * code.width) for i in range(rows) for j in range(_PANEL)]

            def add(k, sums):
                at = code.at(panel, builder.mul(k, panel_row))
                b = [code.load(code.at(at, j * code.width)) for j in range(_PANEL)]
                at = builder.mul(k, a_term)
                x = [code.splat(builder.load(code.at(start, at))) for start in starts]
                return [
                    code.fma(x[i], b[j], sums[i * _PANEL + j])
                    for i in range(rows)
                    for j in range(_PANEL)
                ]

            sums = code.loop(terms, [code.zero] * len(places), add)
            targets = [code.at(code.row(out, out_row, i), j) for i, j in places]
            full = builder.icmp_signed("==", columns, size(_PANEL * code.width))
            again = builder.icmp_signed("!=", more, size(0))
            with builder.if_else(builder.and_(full, builder.not_(again))) as (plainly, carefully):
                with plainly:
                    for value, target in zip(sums, targets, strict=True):
                        code.store(value, target)
                with carefully:
                    masks = [
                        code.first(builder.sub(columns, size(j * code.width)))
                        for j in range(_PANEL)
                    ] * rows
                    for value, target, mask in zip(sums, targets, masks, strict=True):
                        old = code.load(target, code.masked_if(again, mask))
                        code.store(builder.fadd(value, old), target, mask)
            return context.get_dummy_value()

        return types.void(kind, *[types.int64] * 10), codegen

    return intrinsic(typing)


_block_of_many, _block_of_few, _block_of_one = (_block(rows) for rows in (_ROWS, _ROWS_LEFT, 1))


def _inner(rows: int) -> Any:
    """`out[:rows] (+)= a @ b` for one vector b; rows of a and b are contiguous."""

    def typing(tc, kind, out, a, b, terms, out_row, a_row, more):
        def codegen(context, builder, signature, arguments):
            _, out, a, b, terms, out_row, a_row, more = arguments
            code = Vectors(builder, signature.args[0].dtype)
            out, a, b = code.pointer(out), code.pointer(a), code.pointer(b)
            starts = [code.row(a, a_row, i) for i in range(rows)]

            def add(at, sums, mask=None):
                y = code.load(code.at(b, at), mask)
                x = [code.load(code.at(start, at), mask) for start in starts]
                return [code.fma(x[i], y, sums[i]) for i in range(rows)]

            # The last vector may be a part of one only; the first ones are whole.
            width = size(code.width)
            whole = builder.sdiv(builder.sub(terms, size(1)), width)
            kept = [cgutils.alloca_once_value(builder, code.zero) for _ in range(rows)]
            for place in kept:
                builder.store(code.zero, place)
            with builder.if_then(builder.icmp_signed(">", whole, size(0))):
                start = [code.zero] * rows
                sums = code.loop(whole, start, lambda k, s: add(builder.mul(k, width), s))
                for value, place in zip(sums, kept, strict=True):
                    builder.store(value, place)
            at = builder.mul(whole, width)
            mask = code.first(builder.sub(terms, at))
            sums = add(at, [builder.load(place) for place in kept], mask)
            for i, value in enumerate(sums):
                target = code.row(out, out_row, i)
                again = builder.icmp_signed("!=", more, size(0))
                old = builder.select(again, builder.load(target), ir.Constant(code.number, 0.0))
                builder.store(builder.fadd(code.total(value), old), target)
            return context.get_dummy_value()

        return types.void(kind, *[types.int64] * 7), codegen

    return intrinsic(typing)


_inner_of_four, _inner_of_one = _inner(4), _inner(1)


@intrinsic
def _copy_row(typing_context, kind, target, source, columns):
    """One row of a panel, zeros behind its columns."""

    def codegen(context, builder, signature, arguments):
        code = Vectors(builder, signature.args[0].dtype)
        target, source = code.pointer(arguments[1]), code.pointer(arguments[2])
        for j in range(0, _PANEL * code.width, code.width):
            left = builder.sub(arguments[3], size(j))
            # With no lane set the address does not matter, but to look at a wrong one is slow.
            offset = builder.select(builder.icmp_signed(">", left, size(0)), size(j), size(0))
            value = code.load(code.at(source, offset), code.first(left))
            code.store(value, code.at(target, j))
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 3), codegen


@intrinsic
def _transpose(typing_context, kind, target, source, target_row, source_row, terms, columns):
    """`target[k, j] = source[j, k]` for a vector's width of both, zeros behind the columns."""

    def codegen(context, builder, signature, arguments):
        _, target, source, target_row, source_row, terms, columns = arguments
        code = Vectors(builder, signature.args[0].dtype)
        target, source = code.pointer(target), code.pointer(source)
        mask, rows = code.first(terms), []
        for j in range(code.width):
            there = builder.icmp_signed("<", size(j), columns)
            step = builder.select(there, source_row, size(0))
            rows.append(code.load(code.row(source, step, j), code.masked_if(there, mask)))
        for k, value in enumerate(code.transposed(rows)):
            with builder.if_then(builder.icmp_signed("<", size(k), terms)):
                code.store(value, code.row(target, target_row, k))
        return context.get_dummy_value()

    return types.void(kind, *[types.int64] * 6), codegen


def _memory(vectors: int) -> Any:
    @intrinsic
    def allocate(typing_context, kind):
        """The address of memory on the stack."""

        def codegen(context, builder, signature, arguments):
            code = Vectors(builder, signature.args[0].dtype)
            with builder.goto_entry_block():
                memory = builder.alloca(ir.ArrayType(code.type, vectors))
                memory.align = BYTES
            return builder.ptrtoint(memory, size(0).type)

        return types.int64(kind), codegen

    return allocate


_panel_memory = _memory(_DEPTH * _PANEL)
_tile_memory = _memory(BYTES // 4 * _PANEL**2)  # as many rows as a panel has columns


@intrinsic
def _get(typing_context, kind, address):
    def codegen(context, builder, signature, arguments):
        code = Vectors(builder, signature.args[0].dtype)
        return builder.load(code.pointer(arguments[1]))

    return kind.dtype(kind, types.int64), codegen


@intrinsic
def _put(typing_context, kind, address, value):
    def codegen(context, builder, signature, arguments):
        code = Vectors(builder, signature.args[0].dtype)
        builder.store(arguments[2], code.pointer(arguments[1]))
        return context.get_dummy_value()

    return types.void(kind, types.int64, kind.dtype), codegen


# -- around them: addresses in bytes, strides in numbers of `s` bytes ------------------------------

_part = njit(inline="always")  # compiled once, inside the function below that calls it


@_part
def _pack(kind, s, panel, b, terms, columns, b_term, b_column):
    """Copy columns of b so that a term's numbers lie beside each other."""
    vector = BYTES // s
    width = _PANEL * vector
    if b_column == 1:
        for k in range(terms):
            _copy_row(kind, panel + s * k * width, b + s * k * b_term, columns)
    elif b_term == 1:
        for j in range(0, width, vector):
            start = b + s * j * b_column if j < columns else b
            for k in range(0, terms, vector):
                target = panel + s * (k * width + j)
                _transpose(kind, target, start + s * k, width, b_column, terms - k, columns - j)
    else:
        for k in range(terms):
            for j in range(width):
                value = _get(kind, b + s * (k * b_term + j * b_column)) if j < columns else kind(0)
                _put(kind, panel + s * (k * width + j), value)


@_part
def _blocks(kind, s, out, a, panel, rows, terms, out_row, a_row, a_term, panel_row, columns, more):
    """All rows of out, for the columns of one panel."""
    i = 0
    while i < rows:
        to, x = out + s * i * out_row, a + s * i * a_row
        if rows - i >= _ROWS:
            _block_of_many(
                kind, to, x, panel, terms, out_row, a_row, a_term, panel_row, columns, more
            )
            i += _ROWS
        elif rows - i >= _ROWS_LEFT:
            _block_of_few(
                kind, to, x, panel, terms, out_row, a_row, a_term, panel_row, columns, more
            )
            i += _ROWS_LEFT
        else:
            _block_of_one(
                kind, to, x, panel, terms, out_row, a_row, a_term, panel_row, columns, more
            )
            i += 1


@_part
def _inners(kind, s, out, a, b, rows, columns, terms, out_row, out_column, a_row, b_column, more):
    """Every row of a with every column of b, both contiguous."""
    i = 0
    while i < rows:
        count = 4 if rows - i >= 4 else 1
        for j in range(columns):
            to = out + s * (i * out_row + j * out_column)
            x, y = a + s * i * a_row, b + s * j * b_column
            if count == 4:
                _inner_of_four(kind, to, x, y, terms, out_row, a_row, more)
            else:
                _inner_of_one(kind, to, x, y, terms, out_row, a_row, more)
        i += count


@_part
def _put_transposed(kind, s, out, tile, rows, columns, out_row, tile_row, more):
    """`out[i, j] (+)= tile[j, i]`."""
    for i in range(rows):
        for j in range(columns):
            value, to = _get(kind, tile + s * (j * tile_row + i)), out + s * (i * out_row + j)
            _put(kind, to, value + _get(kind, to) if more else value)


@njit(error_model="numpy")
def product(
    kind, s, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, all_rows
):
    """`out[rows, columns] = a[rows, terms] @ b[terms, columns]`; columns of out are contiguous.

    The rows may be some of those of a larger product, which has `all_rows`.
    """
    width = _PANEL * BYTES // s
    panel, tile = _panel_memory(kind), _tile_memory(kind)
    out_column = 1
    thin = a_term == 1 and (columns <= FEW or (all_rows <= FEW and b_term == 1))
    # A few columns leave a panel half empty: better compute out.T, whose panels are full.
    transposed = a_row == 1 and 4 * columns <= 3 * width and columns < rows and not thin
    if transposed or (thin and columns > FEW):
        a, b, rows, columns = b, a, columns, rows
        a_row, a_term, b_term, b_column = b_column, b_term, a_term, a_row
        out_row, out_column = out_column, out_row
    for done in range(0, terms, _DEPTH):
        depth = min(_DEPTH, terms - done)
        a_, b_ = a + s * done * a_term, b + s * done * b_term
        if thin:
            step = b_column
            if b_term != 1:
                for j in range(columns):
                    for k in range(depth):
                        value = _get(kind, b_ + s * (k * b_term + j * b_column))
                        _put(kind, panel + s * (j * _DEPTH + k), value)
                b_, step = panel, _DEPTH
            _inners(
                kind, s, out, a_, b_, rows, columns, depth, out_row, out_column, a_row, step, done
            )
            continue
        for j in range(0, columns, width):
            some = min(width, columns - j)
            source, step = b_ + s * j * b_column, b_term
            if rows > FEW or b_column != 1 or some != width:
                _pack(kind, s, panel, source, depth, some, b_term, b_column)
                source, step = panel, width
            to, to_row, more = out + s * j * out_column, out_row, done
            if transposed:
                to, to_row, more = tile, width, 0
            _blocks(kind, s, to, a_, source, rows, depth, to_row, a_row, a_term, step, some, more)
            if transposed:
                to = out + s * j * out_column
                _put_transposed(kind, s, to, tile, some, rows, out_column, width, done)


# -- what compiled functions call ------------------------------------------------------------------

_SOURCE = """\
\"\"\"out = a @ b for {kind}: see tinygrad_rl/kernels/gemm.py.\"\"\"

from numba import cfunc, {kind}, int64, void
from tinygrad_rl.kernels.gemm import product


@cfunc(void({arguments}), cache=True, nopython=True, error_model="numpy")
def gemm(out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, all_rows):
    product(
        {kind}, {itemsize}, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term,
        b_column, all_rows,
    )
"""
ARGUMENTS = 12


def symbol(dtype: np.dtype[Any]) -> str:
    """The name under which machine code finds the product of this dtype."""
    return f"tinygrad_rl_gemm_{dtype.name}"


@cache
def install(dtype: np.dtype[Any]) -> None:
    """Compile the product of float32 or float64 matrices, or load it; machine code may call it."""
    source = _SOURCE.format(
        kind=dtype.name, itemsize=dtype.itemsize, arguments=", ".join(["int64"] * ARGUMENTS)
    )
    address = load(source, f"gemm_{dtype.name}").gemm.address
    llvmlite.binding.add_symbol(symbol(dtype), address)
