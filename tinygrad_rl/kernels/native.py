"""What the generated functions of the compiler call: arrays on given memory, matrix products, sums.

Everything here is inlined into one Numba function. Memory comes as addresses, because unpacking sixty
arrays at each call would take longer than a small network's whole update.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import float32, float64, njit, types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def _pointer(typing_context, address, dtype):
    """An address as a typed pointer."""
    pointer = types.CPointer(dtype.dtype)

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(pointer))

    return pointer(address, dtype), codegen


@njit(error_model="numpy", nogil=True)
def array(memory, block, offset, shape, dtype):
    """The array of a constant shape that starts `offset` bytes into a block of memory."""
    return numba.carray(_pointer(memory[block] + offset, dtype), shape)


@njit(error_model="numpy", nogil=True)
def strided(memory, block, shape, strides, dtype):
    """As `array`, for memory that is not contiguous; strides in bytes."""
    return np.lib.stride_tricks.as_strided(array(memory, block, 0, (1,), dtype), shape, strides)


@intrinsic
def _call_gemm(typing_context, dtype, flip_a, flip_b, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """BLAS gemm on addresses, in its own column-major words, as Numba's np.dot calls it."""
    number = dtype.dtype
    signature = types.void(dtype, flip_a, flip_b, m, n, k, a, lda, b, ldb, beta, c, ldc)

    def codegen(context, builder, signature, arguments):
        _, flip_a, flip_b, m, n, k, a, lda, b, ldb, beta, c, ldc = arguments
        char, size, pointer = ir.IntType(8), ir.IntType(64), cgutils.voidptr_t
        real = context.get_value_type(number)
        kind = ir.Constant(char, ord("s" if number == float32 else "d"))
        letters = [
            builder.select(flip, ir.Constant(char, ord("t")), ir.Constant(char, ord("n")))
            for flip in (flip_a, flip_b)
        ]
        one = cgutils.alloca_once_value(builder, ir.Constant(real, 1.0))
        rest = cgutils.alloca_once(builder, real)
        builder.store(builder.sitofp(beta, real), rest)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(
                ir.IntType(32),
                [
                    char,
                    char,
                    char,
                    size,
                    size,
                    size,
                    pointer,
                    pointer,
                    size,
                    pointer,
                    size,
                    pointer,
                    pointer,
                    size,
                ],
            ),
            "numba_xxgemm",
        )

        def void(value):
            if isinstance(value.type, ir.PointerType):
                return builder.bitcast(value, pointer)
            return builder.inttoptr(value, pointer)

        builder.call(
            function,
            [
                kind,
                *letters,
                m,
                n,
                k,
                void(one),
                void(a),
                lda,
                void(b),
                ldb,
                void(rest),
                void(c),
                ldc,
            ],
        )
        return context.get_dummy_value()

    return signature, codegen


def _make_gemm(number):
    @njit(error_model="numpy", nogil=True)
    def gemm(out, a, b, flip_a, flip_b, beta):
        # BLAS counts columns first: to it our row-major out = a @ b is out.T = b.T @ a.T.
        item = out.itemsize
        inner = a.shape[0] if flip_a else a.shape[1]
        _call_gemm(
            number,
            flip_b,
            flip_a,
            out.shape[1],
            out.shape[0],
            inner,
            b.ctypes.data,
            max(b.strides[0] // item, 1),
            a.ctypes.data,
            max(a.strides[0] // item, 1),
            beta,
            out.ctypes.data,
            max(out.strides[0] // item, 1),
        )

    return gemm


_gemm32, _gemm64 = _make_gemm(float32), _make_gemm(float64)


def _matmul_into(out, a, b, flip_a, flip_b, beta):
    raise NotImplementedError


@numba.extending.overload(_matmul_into, jit_options={"error_model": "numpy", "nogil": True})
def _matmul_overload(out, a, b, flip_a, flip_b, beta):
    gemm = _gemm32 if out.dtype == float32 else _gemm64

    def run(out, a, b, flip_a, flip_b, beta):
        gemm(out, a, b, flip_a, flip_b, beta)

    return run


@njit(error_model="numpy", nogil=True)
def matmul(out, a, b):
    """`out = a @ b` for matrices whose rows are contiguous."""
    _matmul_into(out, a, b, False, False, 0)


@njit(error_model="numpy", nogil=True)
def matmul_nt(out, a, b):
    """`out = a @ b.T`."""
    _matmul_into(out, a, b, False, True, 0)


@njit(error_model="numpy", nogil=True)
def matmul_tn(out, a, b):
    """`out = a.T @ b`."""
    _matmul_into(out, a, b, True, False, 0)


@njit(error_model="numpy", nogil=True)
def matmul_tt(out, a, b):
    """`out = a.T @ b.T`."""
    _matmul_into(out, a, b, True, True, 0)


@njit(error_model="numpy", nogil=True, fastmath={"reassoc"})
def plus(total, value):
    """`total + value` in any order: what lets a sum be vectorised, and makes it more exact."""
    return total + value
