"""Scalar mathematics that every elementwise kernel inlines and LLVM turns into vector code.

>>> from numba import njit
>>> from tinygrad_rl.kernels.scalar import exp
>>> @njit(error_model="numpy")
... def exp_all(a, out):
...     for i in range(a.size):
...         out[i] = exp(a[i])          # float32 in, float32 out; float64 in, float64 out

``math.exp`` in such a loop is a call per element, and a call cannot be vectorised. The functions
here are straight-line arithmetic instead: no branch, no call, no table; where two formulas are
needed, both are computed and one is selected. Plain calls work too: ``exp(1.0)``.

How it works: a definition below runs once, while Numba compiles the caller, on `Number` objects.
Each operator on them appends one LLVM instruction, and a Python float takes the type of the number
it meets, so one text serves float32 and float64 and no constant can promote. The result is compiled
on its own, without fast-math, whatever flags the caller has: reassociation would undo the range
reductions, and NaN must stay visible.

Largest error found, in units in the last place (tests/test_scalar.py recomputes this table).
float64 functions marked "libm" call the C library, one element at a time.

    function     float32  float64
    TABLE
"""
from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing import signature
from numba.extending import intrinsic, overload
from numpy.lib.mixins import NDArrayOperatorsMixin

# Explicit, because Numba hands the caller's own settings down to options left out.
_OPTIONS = {"fastmath": False, "error_model": "numpy", "forceinline": True}
_SINGLE, _DOUBLE, _INT32, _INT64 = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(64)
_BITS = {_SINGLE: _INT32, _DOUBLE: _INT64}
_ARITHMETIC = {np.add: "add", np.subtract: "sub", np.multiply: "mul", np.true_divide: "div",
               np.left_shift: "shl", np.right_shift: "ashr",
               np.bitwise_and: "and_", np.bitwise_or: "or_", np.bitwise_xor: "xor"}  # fmt: skip
_COMPARISONS = {np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
                np.equal: "==", np.not_equal: "!="}  # fmt: skip


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


def libm(function: Callable[[float], float], *args: Number) -> Number:
    """Emit a call of the C library's function that Numba uses for ``math.<function>``."""
    x = args[0]
    compute = x.context.get_function(function, signature(*[types.float64] * (len(args) + 1)))
    return x.new(compute(x.builder, [arg.value for arg in args]))


def horner(x: Number, coefficients: Sequence[float]) -> Number:
    """Evaluate a polynomial, highest power first."""
    total = fma(x, *coefficients[:2])
    for coefficient in coefficients[2:]:
        total = fma(total, x, coefficient)
    return total


def select(condition: Number, yes: Any, no: Any) -> Number:
    """`yes` where the condition holds, else `no`; at most one of them may be a constant."""
    x = yes if isinstance(yes, Number) else no
    return x.new(x.builder.select(condition.value, x.like(yes), x.like(no)))


def _common_type(*args: types.Type) -> types.Type | None:
    """The widest float among the arguments; float64 if all are integers; None if not real."""
    if not all(isinstance(arg, types.Float | types.Integer | types.Boolean) for arg in args):
        return None
    floats = [arg for arg in args if isinstance(arg, types.Float)]
    return max(floats, key=lambda arg: arg.bitwidth, default=types.float64)


def scalar(define: Callable[..., Number]) -> Callable[..., Any]:
    """Turn a definition on Numbers into a function for Python, for njit code and for Numbers."""

    @functools.wraps(define)
    def function(*args: Any) -> Any:
        if isinstance(args[0], Number):  # inside another definition: its instructions go there
            return define(*args)
        return compiled(*args)

    def codegen(context: Any, builder: ir.IRBuilder, sig: Any, args: Sequence[ir.Value]) -> ir.Value:
        return define(*(Number(context, builder, arg) for arg in args)).value

    # An overload rather than the bare intrinsic: Numba compiles it apart from the caller's flags.
    if len(inspect.signature(define).parameters) == 1:
        @intrinsic
        def emit(_, x):  # type: ignore[no-untyped-def]
            t = _common_type(x)
            return t and (signature(t, t), codegen)

        overload(function, jit_options=_OPTIONS)(lambda x: lambda x: emit(x))
        compiled = njit(lambda x: function(x))
    else:
        @intrinsic
        def emit(_, x, y):  # type: ignore[no-untyped-def]
            t = _common_type(x, y)
            return t and (signature(t, t, t), codegen)

        overload(function, jit_options=_OPTIONS)(lambda x, y: lambda x, y: emit(x, y))
        compiled = njit(lambda x, y: function(x, y))
    return function


# ---- exact functions: each is one instruction, or a comparison and a select -------------------


@scalar
def sqrt(x: Number) -> Number:
    return call("sqrt", x)


@scalar
def abs(x: Number) -> Number:
    return call("fabs", x)


@scalar
def floor(x: Number) -> Number:
    return call("floor", x)


@scalar
def ceil(x: Number) -> Number:
    return call("ceil", x)


@scalar
def trunc(x: Number) -> Number:
    return call("trunc", x)


# Halves go to the even neighbour, as in NumPy.
@scalar
def round(x: Number) -> Number:
    return call("roundeven", x)


# At 0 and NaN, x + 0.0 is the answer: it turns -0.0 into 0.0 and keeps NaN.
@scalar
def sign(x: Number) -> Number:
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x + 0.0))


# The comparison is false when either is NaN and y is taken; the second select restores x's NaN.
@scalar
def minimum(x: Number, y: Number) -> Number:
    return select(x != x, x, select(x < y, x, y))


@scalar
def maximum(x: Number, y: Number) -> Number:
    return select(x != x, x, select(x > y, x, y))


# ---- exponentials -----------------------------------------------------------------------------

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
# ln 2 in two parts; the first has trailing zero bits, so that its product with k is exact.
LN_2_SINGLE = (0.693359375, -2.12194440e-4)
LN_2_DOUBLE = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
EXP_SINGLE = (0.0013946786, 0.0083667776, 0.041666277, 0.16666542, 0.5)
TANH_SINGLE = (-0.005905869, 0.020805385, -0.053786684, 0.13331959, -0.333333)
# FreeBSD msun e_exp.c (Sun Microsystems): P5 ... P1.
EXP_DOUBLE = (4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05,
              -2.77777777770155933842e-03, 1.66666666666666019037e-01)  # fmt: skip


def _nearest(x: Number, factor: float) -> tuple[Number, Number]:
    """The integer k nearest to x*factor, as a float and as an integer."""
    # Adding 1.5 * 2^(mantissa bits) leaves no bits for a fraction: the sum's low bits are k.
    shifter = x.of(1.5 * 2.0**23, 1.5 * 2.0**52)
    shifted = fma(x, factor, shifter)
    return shifted - shifter, shifted.bits() - x.constant(shifter).bits()


def _two_to(k: Number) -> Number:
    """2^k for an integer k in the range of normal exponents, written into the exponent field."""
    return ((k + k.of(127, 1023)) << k.of(23, 52)).as_float()


def _reduce(x: Number) -> tuple[Number, Number]:
    """k and e^r - 1, where x = k ln 2 + r and |r| <= ln(2)/2: then e^x = 2^k (1 + (e^r - 1))."""
    n, k = _nearest(x, LOG2_E)
    high, low = x.of(LN_2_SINGLE, LN_2_DOUBLE)
    return k, _expm1_small(fma(n, -low, fma(n, -high, x)))


def _expm1_small(r: Number) -> Number:
    """e^r - 1 for |r| <= ln(2)/2, with a small relative error."""
    square = r * r
    if r.of(True, False):
        return fma(square, horner(r, EXP_SINGLE), r)
    # With c = r - r^2 P(r^2), e^r = 1 + 2r / (2 - c); here r stands apart from the rounded rest.
    c = r - square * horner(square, EXP_DOUBLE)
    return r + r * c / (2.0 - c)


def _clamp(x: Number, low: float, high: float) -> Number:
    """Limit x to [low, high]; NaN fails both comparisons and stays."""
    x = select(x > high, high, x)
    return select(x < low, low, x)


def _scale(y: Number, k: Number) -> Number:
    """y 2^k in two steps, since 2^k itself may be subnormal or too large when y 2^k is not."""
    half = k >> 1
    return y * _two_to(half) * _two_to(k - half)


# Beyond the clamp the result is 0 or infinity anyway, and the exponent arithmetic stays in range.
@scalar
def exp(x: Number) -> Number:
    k, e = _reduce(_clamp(x, x.of(-104.0, -746.0), x.of(89.0, 710.0)))
    return _scale(1.0 + e, k)


@scalar
def exp2(x: Number) -> Number:
    x = _clamp(x, x.of(-151.0, -1076.0), x.of(129.0, 1025.0))
    n, k = _nearest(x, 1.0)
    return _scale(1.0 + _expm1_small((x - n) * LN_2), k)


def _half_expm1(x: Number) -> Number:
    """(e^x - 1) / 2, finite wherever sinh is: twice 2^(k-2) (e^r - 1) + (2^(k-2) - 1/4)."""
    k, e = _reduce(x)
    quarter = _two_to(k - 2)
    return 2.0 * fma(quarter, e, quarter - 0.25)


# Below the clamp the result is -1. The sum turns -0.0 into 0.0, which the select undoes.
@scalar
def expm1(x: Number) -> Number:
    y = 2.0 * _half_expm1(_clamp(x, -50.0, x.of(89.0, 710.0)))
    return select(x == 0.0, x, y)


# sinh = h + h / (2h + 1) with h = (e^|x| - 1) / 2: no cancellation at 0, no early overflow.
@scalar
def sinh(x: Number) -> Number:
    if x.of(True, False):
        return sinh(x.widen()).narrow()
    h = _half_expm1(_clamp(abs(x), 0.0, 710.5))
    return call("copysign", select(h < math.inf, h + h / (2.0 * h + 1.0), h), x)


# With h = e^|x| / 2 the sum h + 1/(4h) overflows only where cosh does.
@scalar
def cosh(x: Number) -> Number:
    k, e = _reduce(_clamp(abs(x), 0.0, x.of(89.5, 710.5)))
    quarter = _two_to(k - 2)
    h = 2.0 * fma(quarter, e, quarter)
    return h + 0.25 / h


# tanh = h / (h + 1) with h = (e^2|x| - 1) / 2; from the clamp on, it rounds to 1. In float32 the
# quotient's roundings are too many where tanh is small, and a polynomial takes over.
@scalar
def tanh(x: Number) -> Number:
    h = _half_expm1(_clamp(2.0 * abs(x), 0.0, x.of(20.0, 40.0)))
    y = h / (h + 1.0)
    if x.of(True, False):
        size, square = abs(x), x * x
        y = select(size < 0.6, fma(size * square, horner(square, TANH_SINGLE), size), y)
    return call("copysign", y, x)


# With q = e / (1 + e) and e = e^-|x|, which cannot overflow, sigmoid is e (1 - q) for x < 0, else
# 1 - q; both keep their digits when e is small.
@scalar
def sigmoid(x: Number) -> Number:
    e = exp(-abs(x))
    scale = select(x < 0.0, e, e.constant(1.0))
    return fma(-scale, e / (1.0 + e), scale)


# ---- logarithms -------------------------------------------------------------------------------

LOG_SINGLE = (-0.13311744, 0.14006227, -0.1207815, 0.14000826, -0.16689503,
              0.20010771, -0.24999507, 0.3333321, -0.5)  # fmt: skip
LOG10_E = 0.4342944819032518
LOG10_E_SINGLE = (0.4342945, -1.010305e-08)
LOG10_E_DOUBLE = (0.4342944819032518, 1.098319650216765e-17)
LOG2_E_SINGLE = (1.442695, 1.925963e-08)
LOG2_E_DOUBLE = (1.4426950408889634, 2.0355273740931033e-17)
# log10(2) in two parts, as ln 2 above.
LOG10_2_SINGLE = (0.30102539, 4.6050390e-06)
LOG10_2_DOUBLE = (3.01029995663611771306e-01, 3.69423907715893078616e-13)
# FreeBSD msun e_log.c (Sun Microsystems): Lg7 ... Lg1.
LOG_DOUBLE = (1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
              2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
              6.666666666666735130e-01)  # fmt: skip


def _log_parts(x: Number) -> tuple[Number, Number, Number]:
    """k, f and log(1+f) - f, where x = 2^k (1+f) and 1+f is around 1; x positive and finite."""
    # A subnormal has no exponent to read: scale it up first.
    is_small = x < x.of(2.0**-126, 2.0**-1022)
    bits = select(is_small, x * 2.0**54, x).bits()
    # Subtracting the bits of the least 1+f leaves k in the exponent field, whatever the mantissas.
    least = x.constant(x.of(2 / 3, math.sqrt(0.5))).bits()
    k = (bits - least) >> x.of(23, 52)
    f = (bits - (k << x.of(23, 52))).as_float() - 1.0
    return k.to_float() + select(is_small, x.constant(-54.0), 0.0), f, _log1p_rest(f)


def _log1p_rest(f: Number) -> Number:
    """log(1+f) - f for 1+f as `_log_parts` makes it."""
    if f.of(True, False):
        return f * f * horner(f, LOG_SINGLE)
    # With s = f/(2+f), log(1+f) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + s^2 R(s^2)).
    s = f / (f + 2.0)
    square, half_square = s * s, 0.5 * f * f
    return s * fma(square, horner(square, LOG_DOUBLE), half_square) - half_square


def _log_limits(x: Number, y: Number) -> Number:
    """y where x is positive and finite; else what a logarithm is: -inf at 0, inf, NaN."""
    y = select(x < math.inf, y, x)
    return select(x > 0.0, y, select(x == 0.0, x.constant(-math.inf), math.nan))


# Small terms are added first, so that each rounding but the last is of something small.
@scalar
def log(x: Number) -> Number:
    k, f, rest = _log_parts(x)
    high, low = x.of(LN_2_SINGLE, LN_2_DOUBLE)
    return _log_limits(x, fma(k, high, f + fma(k, low, rest)))


@scalar
def log2(x: Number) -> Number:
    k, f, rest = _log_parts(x)
    high, low = x.of(LOG2_E_SINGLE, LOG2_E_DOUBLE)
    return _log_limits(x, k + fma(f, high, fma(f, low, rest * LOG2_E)))


@scalar
def log10(x: Number) -> Number:
    k, f, rest = _log_parts(x)
    high, low = x.of(LOG10_E_SINGLE, LOG10_E_DOUBLE)
    k_high, k_low = x.of(LOG10_2_SINGLE, LOG10_2_DOUBLE)
    y = fma(f, high, fma(f, low, fma(k, k_low, rest * LOG10_E)))
    return _log_limits(x, fma(k, k_high, y))


# Rounding u = 1 + x loses x - (u - 1), whose effect on the logarithm is that over u.
@scalar
def log1p(x: Number) -> Number:
    u = 1.0 + x
    y, lost = log(u), (x - (u - 1.0)) / u
    y = select((x > -1.0) & (x < math.inf), y + lost, y)
    return select(x == 0.0, x, y)


# The exponential cannot overflow, and for large x nothing of it is left: softplus(x) = x.
@scalar
def softplus(x: Number) -> Number:
    return maximum(x, x.constant(0.0)) + log1p(exp(-abs(x)))


@scalar
def logsigmoid(x: Number) -> Number:
    return -softplus(-x)


# ---- power: x^y = 2^(y log2 |x|), with float64 inside so that the product keeps its digits -----


# The sign is negative for an odd y if x is (-0.0 counts); other y give NaN for finite x < 0.
@scalar
def pow(x: Number, y: Number) -> Number:
    if x.of(False, True):
        return libm(math.pow, x, y)
    magnitude = exp2(y.widen() * log2(abs(x).widen())).narrow()
    magnitude = select((y == 0.0) | (abs(x) == 1.0), 1.0, magnitude)
    is_odd = trunc(0.5 * y) != 0.5 * y
    is_integer = trunc(y) == y
    signed = select(is_odd & is_integer, call("copysign", magnitude, x), magnitude)
    signed = select((x < 0.0) & (x > -math.inf) & (y != trunc(y)), math.nan, signed)
    return signed


# ---- trigonometry: float32 computes in float64, whose digits pay for the range reduction --------

TWO_OVER_PI = 0.6366197723675814
# FreeBSD msun e_rem_pio2f.c: pi/2 in two parts, the first of 25 bits: its product with k is exact.
PI_2_PARTS = (1.57079631090164184570e+00, 1.58932547735281966916e-08)
# FreeBSD msun k_sinf.c and k_cosf.c: sin r = r + r^3 S(r^2), cos r = 1 + r^2 C(r^2), |r| < pi/4.
SIN = (2.7183114939898219064e-06, -1.98393348360966317347e-04, 8.3333293858894631756e-03,
       -1.66666666416265235595e-01)  # fmt: skip
COS = (2.43904487962774090654e-05, -1.38867637746099294692e-03, 4.16666233237390631894e-02,
       -4.99999997251031003120e-01)  # fmt: skip


def _sin_cos(x: Number) -> tuple[Number, Number, Number]:
    """sin r, cos r and the integer k, where x = k pi/2 + r and |r| <= pi/4."""
    n, k = _nearest(x, TWO_OVER_PI)
    high, low = PI_2_PARTS
    r = fma(n, -low, fma(n, -high, x))
    square = r * r
    return r * fma(square, horner(square, SIN), 1.0), fma(square, horner(square, COS), 1.0), k


def _quadrant(sine: Number, cosine: Number, k: Number) -> Number:
    """sin(k pi/2 + r): odd k take the cosine, and the bit above it turns the sign."""
    y = select((k & 1) == 1, cosine, sine)
    return (y.bits() ^ ((k & 2) << 62)).as_float()


@scalar
def sin(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.sin, x)
    return _quadrant(*_sin_cos(x.widen())).narrow()


@scalar
def cos(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.cos, x)
    sine, cosine, k = _sin_cos(x.widen())
    return _quadrant(sine, cosine, k + 1).narrow()


@scalar
def tan(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.tan, x)
    sine, cosine, k = _sin_cos(x.widen())
    is_odd = (k & 1) == 1
    return (select(is_odd, -cosine, sine) / select(is_odd, sine, cosine)).narrow()


# ---- inverse trigonometry and erf ---------------------------------------------------------------

PI_2_HIGH, PI_2_LOW = 1.57079637, -4.37113883e-08  # pi/2 in float32 and what that leaves out
# Minimax fits: (atan z - z) / z^3 on [0, 1] and (asin z - z) / z^3 on [0, 1/2], in z^2.
ARCTAN = (-0.0018272146, 0.011064448, -0.031455718, 0.05823457, -0.0841946,
          0.109575771, -0.14265245, 0.19998638, -0.333333)  # fmt: skip
ARCSIN = (0.0422305427, 0.0241409913, 0.045478344, 0.074952327, 0.166667536)


# The polynomial serves |x| <= 1; beyond, atan x = pi/2 - atan(1/x).
@scalar
def arctan(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.atan, x)
    size = abs(x)
    is_large = size > 1.0
    z = select(is_large, 1.0 / size, size)
    square = z * z
    y = fma(z * square, horner(square, ARCTAN), z)
    return call("copysign", select(is_large, PI_2_HIGH - (y - PI_2_LOW), y), x)


def _arcsin_parts(x: Number) -> tuple[Number, Number]:
    """Whether |x| > 1/2, and asin |x| if not, else asin sqrt((1 - |x|) / 2), half of acos |x|."""
    size = abs(x)
    is_large = size > 0.5
    square = select(is_large, 0.5 - 0.5 * size, x * x)
    z = select(is_large, sqrt(square), size)
    return is_large, fma(z * square, horner(square, ARCSIN), z)


@scalar
def arcsin(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.asin, x)
    is_large, y = _arcsin_parts(x)
    return call("copysign", select(is_large, PI_2_HIGH - 2.0 * y + PI_2_LOW, y), x)


@scalar
def arccos(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.acos, x)
    is_large, y = _arcsin_parts(x)
    small = PI_2_HIGH - (call("copysign", y, x) - PI_2_LOW)
    large = select(x < 0.0, 2.0 * PI_2_HIGH - (2.0 * y - 2.0 * PI_2_LOW), 2.0 * y)
    return select(is_large, large, small)


# N. Juffa's erff: a polynomial in x near 0; elsewhere 1 - e^-t P(t), whose error 1 swallows.
ERF_NEAR = (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1,
            1.28379166e-1)  # fmt: skip
ERF_FAR = (-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1,
           -6.34846687e-1, -1.28717512e-1)  # fmt: skip


@scalar
def erf(x: Number) -> Number:
    if x.of(False, True):
        return libm(math.erf, x)
    near = fma(horner(x * x, ERF_NEAR), x, x)
    t = _clamp(abs(x), 0.0, 4.0)
    far = 1.0 - exp(fma(horner(t, ERF_FAR), t, -t))
    return select(abs(x) > 0.927734375, call("copysign", far, x), near)
