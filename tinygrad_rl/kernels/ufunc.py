"""NumPy ufuncs made of compiled loops: broadcasting, strides and new arrays are NumPy's business.

    add = make(kernel, "add", (float32, float32, float32))
    add(x, row)                           # a quarter of a microsecond, and what NumPy takes for it

A kernel gets what NumPy gives to a loop: `ends`, the addresses of the operands, outputs last;
`counts`, the number of elements first; `steps`, the bytes from one element to the next. It reads
through the functions below, a block at a time, so that whatever the steps are, what it computes
with lies side by side and LLVM makes vector code of it.
"""

import ctypes
import platform
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

BLOCK = 256
"""Elements that are brought side by side at a time."""

_INT = ir.IntType(32)
_ALL_EXCEPTIONS = 0x3F if platform.machine() in ("x86_64", "AMD64") else 0x1F  # C's FE_ALL_EXCEPT


# -- in a kernel -----------------------------------------------------------------------------------


@intrinsic
def pointer(typing_context: Any, address: Any, kind: Any) -> Any:
    """An address as a pointer to numbers of this kind."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        return builder.inttoptr(arguments[0], kind)

    return types.CPointer(kind.dtype)(address, kind), codegen


@intrinsic
def buffer(typing_context: Any, kind: Any) -> Any:
    """Memory for a block of numbers of this kind, until the kernel returns."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.get_data_type(signature.return_type.dtype)
        return cgutils.alloca_once(builder, number, ir.Constant(ir.IntType(64), BLOCK))

    return types.CPointer(kind.dtype)(kind), codegen


@intrinsic
def forget(typing_context: Any) -> Any:
    """Clear the processor's record of overflows, divisions by zero and the like.

    NumPy would warn of them; tensors know infinities and NaN.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(_INT, [_INT])
        clear = cgutils.get_or_insert_function(builder.module, kind, "feclearexcept")
        builder.call(clear, [ir.Constant(_INT, _ALL_EXCEPTIONS)])
        return context.get_dummy_value()

    return types.void(), codegen


@register_jitable
def beside(address, step, count, size, kind, block, first):
    """`count` numbers side by side: where they are if they lie so, else copied into the block.

    One number for all is copied once, for the `first` block.
    """
    if step == size:
        return pointer(address, kind)
    if step or first:
        for i in range(count):
            block[i] = pointer(address + i * step, kind)[0]
    return block


@register_jitable
def spread(address, step, count, kind, block):
    """Write numbers that lie side by side to places that are `step` bytes apart."""
    for i in range(count):
        pointer(address + i * step, kind)[0] = block[i]


# -- of a kernel -----------------------------------------------------------------------------------

LOOP = "void(CPointer(intp), CPointer(intp), CPointer(intp), voidptr)"
"""Numba's signature of a kernel."""


def make(kernel: Any, name: str, dtypes: Sequence[np.dtype[Any]]) -> Callable[..., Any]:
    """The ufunc of a compiled kernel.

    Parameters
    ----------
    kernel : compiled for `LOOP`.
    name : what it is called.
    dtypes : of each input, and of the output. Of arrays of other dtypes it makes these, as NumPy's
        casting rules allow.
    """
    (compiled,) = kernel.overloads.values()
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)
    loops = (ctypes.c_void_p * 1)(address)
    data = (ctypes.c_void_p * 1)()
    kinds = ctypes.create_string_buffer(bytes(d.num for d in dtypes))
    label = ctypes.create_string_buffer(name.encode())
    empty = ctypes.create_string_buffer(b"")
    inputs = len(dtypes) - 1
    ufunc: Any = _from_loops(loops, data, kinds, 1, inputs, 1, _NO_IDENTITY, label, empty, 0)
    _KEPT.append((compiled, loops, data, kinds, label, empty))
    return ufunc


_KEPT: list[Any] = []
"""What a ufunc points to: it has no place to hold it, and an op has few of them."""
_NO_IDENTITY = -1  # PyUFunc_None


_C_API = vars(import_module("numpy._core._multiarray_umath"))["_UFUNC_API"]
"""NumPy's functions for ufuncs, a table whose places never change: there C extensions find them."""


def _c_function(index: int, *signature: Any) -> Callable[..., Any]:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    functions = ctypes.cast(get(_C_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(*signature)(functions[index])


_POINTERS = ctypes.POINTER(ctypes.c_void_p)
_from_loops = _c_function(
    1,  # PyUFunc_FromFuncAndData
    *(ctypes.py_object, _POINTERS, _POINTERS, ctypes.c_char_p, *[ctypes.c_int] * 4),
    *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int),
)
