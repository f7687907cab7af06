"""What the generated functions of the compiler call: arrays on given memory, products, sums.

Memory comes as addresses, because unpacking sixty arrays at each call would take longer than a
small network's whole update. All of it is written as intrinsics, which leave a few instructions in
the function that calls them: as ordinary Numba functions they would be compiled a hundred times
over.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

from tinygrad_rl.kernels.gemm import ARGUMENTS, symbol
from tinygrad_rl.kernels.straight import Straight as Straight

_SIZE = ir.IntType(64)
_BYTES = cgutils.voidptr_t


def _fill(context: Any, builder: Any, kind: Any, data: Any, shape: Any, strides: Any = None) -> Any:
    """A Numba array of type `kind` on memory that somebody else owns."""
    array = make_array(kind)(context, builder)
    itemsize = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    sizes = cgutils.unpack_tuple(builder, shape, kind.ndim)
    if strides is None:
        steps = [ir.Constant(_SIZE, itemsize)]
        for n in reversed(sizes[1:]):
            steps.insert(0, builder.mul(steps[0], n))
    else:
        steps = cgutils.unpack_tuple(builder, strides, kind.ndim)
    populate_array(
        array,
        data=builder.bitcast(data, array.data.type),
        shape=cgutils.pack_array(builder, sizes),
        strides=cgutils.pack_array(builder, steps),
        itemsize=ir.Constant(_SIZE, itemsize),
        meminfo=None,
    )
    return array._getvalue()


def _start(builder: Any, memory: Any, block: Any, offset: Any) -> Any:
    """A place in a block, whose address is in the table at `memory`."""
    table = builder.inttoptr(memory, _SIZE.as_pointer())
    address = builder.load(builder.gep(table, [block]))
    return builder.inttoptr(builder.add(address, offset), _BYTES)


@intrinsic
def array(typing_context, memory, block, offset, shape, dtype):
    """The contiguous array that starts `offset` bytes into a block of memory."""
    kind = types.Array(dtype.dtype, len(shape), "C")

    def codegen(context, builder, signature, arguments):
        memory_, block_, offset_, shape_, _ = arguments
        start = _start(builder, memory_, block_, offset_)
        return _fill(context, builder, kind, start, shape_)

    return kind(memory, types.int64, types.int64, shape, dtype), codegen


@intrinsic
def strided(typing_context, memory, block, shape, strides, dtype):
    """As `array`, for memory that is not contiguous; strides in bytes."""
    kind = types.Array(dtype.dtype, len(shape), "A")

    def codegen(context, builder, signature, arguments):
        memory_, block_, shape_, strides_, _ = arguments
        start = _start(builder, memory_, block_, ir.Constant(_SIZE, 0))
        return _fill(context, builder, kind, start, shape_, strides_)

    return kind(memory, types.int64, shape, strides, dtype), codegen


@intrinsic
def reshaped(typing_context, source, shape):
    """The same contiguous memory with another shape."""
    kind = types.Array(source.dtype, len(shape), "C")

    def codegen(context, builder, signature, arguments):
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return _fill(context, builder, kind, builder.bitcast(data, _BYTES), arguments[1])

    return kind(source, shape), codegen


@njit(error_model="numpy", nogil=True)
def cell(value, dtype):
    """A 0-d array that holds a number."""
    out = np.empty((), dtype)
    out[()] = value
    return out


@intrinsic
def plus(typing_context, total, value):
    """`total + value` in any order: what lets a sum be vectorised, and makes it more exact."""

    def codegen(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=("reassoc",))

    return total(total, total), codegen


def _extreme(name: str) -> Any:
    """The larger or the smaller one, NaN if one is: an instruction of LLVM that vectorises."""

    def typing(typing_context, total, value):
        def codegen(context, builder, signature, arguments):
            kind = arguments[0].type
            function = ir.FunctionType(kind, [kind, kind])
            return builder.call(builder.module.declare_intrinsic(name, [kind], function), arguments)

        return total(total, total), codegen

    return intrinsic(typing)


larger, smaller = _extreme("llvm.maximum"), _extreme("llvm.minimum")


def _matmul(flip_a: bool, flip_b: bool) -> Any:
    """`out = a @ b`, an operand read transposed where its flag says so; two forms of it.

    The second takes two more arguments and computes these rows only, from first to before last.
    """

    def codegen(context, builder, signature, arguments):
        out, a, b = (
            make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        )
        itemsize = signature.args[0].dtype.bitwidth // 8

        def pair(numbers, flip=False):
            first, second = cgutils.unpack_tuple(builder, numbers, 2)
            return (second, first) if flip else (first, second)

        def steps(x, flip=False):
            return [builder.sdiv(n, ir.Constant(_SIZE, itemsize)) for n in pair(x.strides, flip)]

        all_rows, columns = pair(out.shape)
        _, terms = pair(a.shape, flip_a)
        first, last = arguments[3:] or (ir.Constant(_SIZE, 0), all_rows)
        rows = builder.sub(last, first)
        name = symbol(np.dtype(signature.args[0].dtype.name))
        kind = ir.FunctionType(ir.VoidType(), [_SIZE] * ARGUMENTS)
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        addresses = [
            builder.add(builder.ptrtoint(x.data, _SIZE), builder.mul(first, step))
            for x, step in ((out, pair(out.strides)[0]), (a, pair(a.strides, flip_a)[0]))
        ]
        addresses.append(builder.ptrtoint(b.data, _SIZE))
        sizes = [rows, columns, terms, steps(out)[0], *steps(a, flip_a), *steps(b, flip_b)]
        builder.call(function, [*addresses, *sizes, all_rows])
        return context.get_dummy_value()

    @intrinsic
    def whole(typing_context, out, a, b):
        return types.void(out, a, b), codegen

    @intrinsic
    def rows(typing_context, out, a, b, first, last):
        return types.void(out, a, b, types.int64, types.int64), codegen

    return whole, rows


matmul, matmul_rows = _matmul(False, False)
matmul_nt, matmul_nt_rows = _matmul(False, True)
matmul_tn, matmul_tn_rows = _matmul(True, False)
matmul_tt, matmul_tt_rows = _matmul(True, True)
