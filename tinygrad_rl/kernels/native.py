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

_CHAR, _INT, _SIZE = ir.IntType(8), ir.IntType(32), ir.IntType(64)
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


def _address(context: Any, builder: Any, memory_type: Any, memory: Any, block: Any) -> Any:
    table = make_array(memory_type)(context, builder, memory)
    return builder.load(builder.gep(table.data, [block]))


@intrinsic
def array(typing_context, memory, block, offset, shape, dtype):
    """The contiguous array that starts `offset` bytes into a block of memory."""
    kind = types.Array(dtype.dtype, len(shape), "C")

    def codegen(context, builder, signature, arguments):
        memory_, block_, offset_, shape_, _ = arguments
        start = _address(context, builder, signature.args[0], memory_, block_)
        data = builder.inttoptr(builder.add(start, offset_), _BYTES)
        return _fill(context, builder, kind, data, shape_)

    return kind(memory, types.int64, types.int64, shape, dtype), codegen


@intrinsic
def strided(typing_context, memory, block, shape, strides, dtype):
    """As `array`, for memory that is not contiguous; strides in bytes."""
    kind = types.Array(dtype.dtype, len(shape), "A")

    def codegen(context, builder, signature, arguments):
        memory_, block_, shape_, strides_, _ = arguments
        start = _address(context, builder, signature.args[0], memory_, block_)
        return _fill(context, builder, kind, builder.inttoptr(start, _BYTES), shape_, strides_)

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


def _gemm(flip_a: bool, flip_b: bool) -> Any:
    """`out = a @ b` through BLAS, an operand read transposed where its flag says so."""

    def codegen(context, builder, signature, arguments):
        out, a, b = (
            make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        single = signature.args[0].dtype == types.float32
        itemsize = ir.Constant(_SIZE, 4 if single else 8)
        number = ir.FloatType() if single else ir.DoubleType()

        def sides(x):
            return cgutils.unpack_tuple(builder, x.shape, 2)

        def lead(x):  # elements from one row to the next
            step = builder.sdiv(cgutils.unpack_tuple(builder, x.strides, 2)[0], itemsize)
            return builder.select(
                builder.icmp_signed(">", step, ir.Constant(_SIZE, 0)), step, ir.Constant(_SIZE, 1)
            )

        def data(x):
            return builder.bitcast(x.data, _BYTES)

        def letter(flip):
            return ir.Constant(_CHAR, ord("t" if flip else "n"))

        def pointer_to(value):
            return builder.bitcast(
                cgutils.alloca_once_value(builder, ir.Constant(number, value)), _BYTES
            )

        rows, columns = sides(out)
        inner = sides(a)[0 if flip_a else 1]
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(
                _INT,
                [_CHAR] * 3
                + [_SIZE] * 3
                + [_BYTES, _BYTES, _SIZE, _BYTES, _SIZE]
                + [_BYTES] * 2
                + [_SIZE],
            ),
            "numba_xxgemm",  # what Numba's own np.dot calls: SciPy's BLAS
        )
        # BLAS counts columns first: to it our row-major out = a @ b is out.T = b.T @ a.T.
        builder.call(
            function,
            [
                ir.Constant(_CHAR, ord("s" if single else "d")),
                letter(flip_b),
                letter(flip_a),
                *(columns, rows, inner),
                pointer_to(1.0),
                *(data(b), lead(b), data(a), lead(a)),
                pointer_to(0.0),
                *(data(out), lead(out)),
            ],
        )
        return context.get_dummy_value()

    def typing(typing_context, out, a, b):
        return types.void(out, a, b), codegen

    return typing


matmul = intrinsic(_gemm(False, False))
matmul_nt = intrinsic(_gemm(False, True))
matmul_tn = intrinsic(_gemm(True, False))
matmul_tt = intrinsic(_gemm(True, True))
