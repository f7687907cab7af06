"""Scalar functions written as formulas on `Number` and compiled straight to LLVM instructions.

A function decorated with `scalar` runs once per argument type, while Numba compiles its caller. Its
arguments are then Numbers: each operator on them appends one LLVM instruction, and a Python float
takes the type of the Number it meets. So one text serves float32 and float64, no constant can
promote, nothing branches, and Numba has no Python to analyse, which makes compiling quick:

>>> from tinygrad_rl.kernels.number import Number, scalar
>>> from tinygrad_rl.kernels.scalar import exp
>>> @scalar
... def logistic(x: Number) -> Number:
...     return 1.0 / (1.0 + exp(-x))
>>> logistic(0.0)
0.5

Python callers, njit callers and other definitions all call it by that name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing import signature
from numba.extending import intrinsic, overload
from numpy.lib.mixins import NDArrayOperatorsMixin

# Explicit, because Numba hands the caller's own settings down to options left out. Fast-math would
# let LLVM reassociate the range reductions away and assume that no NaN occurs.
_OPTIONS: Any = {"fastmath": False, "error_model": "numpy", "forceinline": True}
_SINGLE, _DOUBLE, _INT32, _INT64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
_BITS = {_SINGLE: _INT32, _DOUBLE: _INT64}
_ARITHMETIC: dict[Any, str] = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.true_divide: "div",
    np.left_shift: "shl", np.right_shift: "ashr",
    np.bitwise_and: "and_", np.bitwise_or: "or_", np.bitwise_xor: "xor",
}  # fmt: skip
_COMPARISONS: dict[Any, str] = {
    np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
    np.equal: "==", np.not_equal: "!=",
}  # fmt: skip


class Number(NDArrayOperatorsMixin):
    """An LLVM value under construction: an operator applied to it emits an instruction.

    Floats, integers (here always the bits of a float) and truth values are all Numbers. The mixin
    sends every Python operator to `__array_ufunc__` as the NumPy function of that meaning.
    """

    def __init__(self, context: Any, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.context, self.builder, self.value = context, builder, value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any) -> Number:
        values = [self.like(operand) for operand in operands]
        is_float = self.value.type in _BITS
        if ufunc is np.negative:
            return self.new(self.builder.fneg(*values))
        if ufunc in _COMPARISONS:
            if not is_float:
                compare = self.builder.icmp_signed
            elif ufunc is np.not_equal:  # the only one that holds for NaN: x != x asks for it
                compare = self.builder.fcmp_unordered
            else:
                compare = self.builder.fcmp_ordered
            return self.new(compare(_COMPARISONS[ufunc], *values))
        return self.new(getattr(self.builder, "f" * is_float + _ARITHMETIC[ufunc])(*values))

    def new(self, value: ir.Value) -> Number:
        """Return another value in the same function under construction."""
        return Number(self.context, self.builder, value)

    def like(self, operand: Any) -> ir.Value:
        """Return the value of a Number, or a constant of this number's type."""
        if isinstance(operand, Number):
            return operand.value
        return ir.Constant(self.value.type, operand)

    def constant(self, value: float) -> Number:
        """Return a constant of this number's type."""
        return self.new(ir.Constant(self.value.type, value))

    def of(self, single: Any, double: Any) -> Any:
        """Return the first argument for 32 bits, the second for 64."""
        return single if self.value.type in (_SINGLE, _INT32) else double

    def bits(self) -> Number:
        """Return the bit pattern of a float, as an integer of the same width."""
        return self.new(self.builder.bitcast(self.value, _BITS[self.value.type]))

    def as_float(self) -> Number:
        """Return the float whose bit pattern this integer is."""
        return self.new(self.builder.bitcast(self.value, self.of(_SINGLE, _DOUBLE)))

    def to_float(self) -> Number:
        """Return a small integer's value as a float of the same width."""
        # By way of 32 bits: a vector of those is converted in one instruction everywhere.
        small = self.builder.trunc(self.value, _INT32) if self.value.type == _INT64 else self.value
        return self.new(self.builder.sitofp(small, self.of(_SINGLE, _DOUBLE)))

    def widen(self) -> Number:
        """Return a float32 number as float64."""
        return self.new(self.builder.fpext(self.value, _DOUBLE))

    def narrow(self) -> Number:
        """Return a float64 number rounded to float32."""
        return self.new(self.builder.fptrunc(self.value, _SINGLE))


def call(name: str, x: Number, *others: Any) -> Number:
    """Emit ``llvm.<name>``: only for names that become an instruction, not a library call."""
    t, values = x.value.type, [x.value, *map(x.like, others)]
    function_type = ir.FunctionType(t, [t] * len(values))
    function = x.builder.module.declare_intrinsic(f"llvm.{name}", [t], function_type)
    return x.new(x.builder.call(function, values))


def fma(x: Number, y: Any, z: Any) -> Number:
    """Return x*y + z, rounded once where the processor has the instruction (else twice)."""
    return call("fmuladd", x, y, z)


def horner(x: Number, coefficients: Sequence[float]) -> Number:
    """Evaluate a polynomial of degree 1 or more, highest power first."""
    total = fma(x, *coefficients[:2])
    for coefficient in coefficients[2:]:
        total = fma(total, x, coefficient)
    return total


def select(condition: Number, yes: Any, no: Any) -> Number:
    """Return `yes` where the condition holds, else `no`; one of them may be a Python float."""
    x = yes if isinstance(yes, Number) else no
    return x.new(x.builder.select(condition.value, x.like(yes), x.like(no)))


def _common_type(*args: types.Type) -> types.Type | None:
    """Return the widest float type among the arguments (float64 if none); None if not real."""
    floats = [arg for arg in args if arg in (types.float32, types.float64)]
    others = [arg for arg in args if arg not in floats]
    if not all(isinstance(arg, types.Integer | types.Boolean) for arg in others):
        return None
    return max(floats, key=lambda arg: arg.bitwidth, default=types.float64)


def scalar(define: Callable[..., Number]) -> Callable[..., Any]:
    """Turn a formula in one or two Numbers into a function for njit code, Python and formulas."""

    @functools.wraps(define)
    def function(*args: Any) -> Any:
        if isinstance(args[0], Number):  # used in another formula: the instructions go there
            return define(*args)
        return compiled(*args)

    def codegen(context: Any, builder: ir.IRBuilder, _: Any, args: Sequence[ir.Value]) -> ir.Value:
        return define(*(Number(context, builder, arg) for arg in args)).value

    def unary(_: Any, x: types.Type) -> Any:
        t = _common_type(x)
        return t and (signature(t, t), codegen)

    def binary(_: Any, x: types.Type, y: types.Type) -> Any:
        t = _common_type(x, y)
        return t and (signature(t, t, t), codegen)

    # An overload rather than the bare intrinsic: Numba compiles it apart from the caller's flags.
    # The lambdas give Numba the argument names, and so the number of arguments.
    compiled: Any
    if len(inspect.signature(define).parameters) == 1:
        emit: Any = intrinsic(unary)
        overload(function, jit_options=_OPTIONS)(lambda x: lambda x: emit(x))
        compiled = njit(lambda x: function(x))
    else:
        emit = intrinsic(binary)
        overload(function, jit_options=_OPTIONS)(lambda x, y: lambda x, y: emit(x, y))
        compiled = njit(lambda x, y: function(x, y))
    return function


def single(
    libm: Callable[..., float],
) -> Callable[[Callable[..., Number]], Callable[..., Any]]:
    """Decorate a formula that is for float32: float64 calls the C library's function instead.

    Parameters
    ----------
    libm
        The function of Python's `math` that Numba knows how to call.
    """

    def decorate(define: Callable[..., Number]) -> Callable[..., Any]:
        @functools.wraps(define)
        def either(*args: Number) -> Number:
            x = args[0]
            if x.of(True, False):
                return define(*args)
            sig = signature(types.float64, *[types.float64] * len(args))
            return x.new(x.context.get_function(libm, sig)(x.builder, [a.value for a in args]))

        return scalar(either)

    return decorate
