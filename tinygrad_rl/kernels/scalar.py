"""Scalar mathematics that every elementwise kernel inlines and LLVM turns into vector code.

>>> from numba import njit
>>> from tinygrad_rl.kernels.scalar import exp
>>> @njit(error_model="numpy")
... def exp_all(a, out):
...     for i in range(a.size):
...         out[i] = exp(a[i])  # float32 gives float32, float64 gives float64

``math.exp`` in such a loop is a call per element, and a call cannot be vectorised. The functions
here are straight-line arithmetic instead: no branch, no call, no table; where two formulas are
needed, both are computed and one is selected. Plain calls work too: ``exp(1.0)``. How a formula
becomes code is told in `number`.

Infinities, NaN, both zeros and subnormals give what NumPy gives, with one exception: float32 sin,
cos and tan are NaN for abs(x) > 2^28, where neighbouring numbers are five turns apart.

The largest error found, in units in the last place, with fused multiply-add; without it, up to
one unit more. A test (tests/tinygrad_rl/kernels/test_scalar.py) recomputes the table and fails
when it understates. "libm" is the C library's own function, one call per element.

========== ======= =======
function   float32 float64
========== ======= =======
exp        1.1     1.0
exp2       1.1     1.0
expm1      1.6     2.1
log        0.9     0.9
log2       1.6     1.0
log10      1.4     1.0
log1p      1.5     1.5
sigmoid    1.7     1.7
softplus   1.9     1.9
logsigmoid 1.9     2.0
tanh       1.5     2.5
sinh       0.6     2.4
cosh       1.6     1.5
sin        0.6     libm
cos        0.6     libm
tan        0.6     libm
arcsin     1.9     libm
arccos     1.2     libm
arctan     1.4     libm
erf        1.1     libm
pow        0.6     libm
others     0.5     0.5
========== ======= =======
"""

import math
from collections.abc import Callable
from typing import Any

from tinygrad_rl.kernels.number import Number, call, fma, horner, scalar, select, single

# ---- one instruction, or a comparison and a select ------------------------------------------


def _instruction(name: str, instruction: str) -> Callable[..., Any]:
    def define(x: Number) -> Number:
        return call(instruction, x)

    define.__name__ = name
    return scalar(define)


sqrt = _instruction("sqrt", "sqrt")
abs = _instruction("abs", "fabs")
floor = _instruction("floor", "floor")
ceil = _instruction("ceil", "ceil")
trunc = _instruction("trunc", "trunc")
round = _instruction("round", "roundeven")  # halves go to the even neighbour, as in NumPy


# At zero and NaN the answer is x + 0.0, which turns -0.0 into 0.0 and keeps NaN.
@scalar
def sign(x: Number) -> Number:
    return select(x > 0.0, 1.0, select(x < 0.0, -1.0, x + 0.0))


# The comparison fails when either is NaN, and y is taken; the outer select brings x's NaN back.
@scalar
def minimum(x: Number, y: Number) -> Number:
    return select(x != x, x, select(x < y, x, y))


@scalar
def maximum(x: Number, y: Number) -> Number:
    return select(x != x, x, select(x > y, x, y))


# ---- exponentials ---------------------------------------------------------------------------

# Here and below, *_SINGLE without a source are minimax fits in float32 arithmetic, made for this
# file; all coefficients stand highest power first.
LN_2, LOG2_E = 0.6931471805599453, 1.4426950408889634
# ln 2 in two parts. The first ends in zero bits, so that its product with the exponent is exact.
LN_2_SINGLE = (0.693359375, -2.12194440e-4)
LN_2_DOUBLE = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
# (e^r - 1 - r) / r^2 on |r| <= ln(2)/2; (tanh x - x) / x^3 in x^2 on |x| <= 0.6.
EXP_SINGLE = (0.0013940685, 0.008366596, 0.041666403, 0.16666543, 0.5)
TANH_SINGLE = (-0.005897016, 0.020798044, -0.053784635, 0.13331936, -0.333333)
# FreeBSD msun e_exp.c (Sun Microsystems), P5 to P1.
EXP_DOUBLE = (4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05,
              -2.77777777770155933842e-03, 1.66666666666666019037e-01)  # fmt: skip


def _nearest(x: Number, factor: float) -> tuple[Number, Number]:
    """Return the integer k nearest to x*factor, as a float and as an integer."""
    # After adding 1.5 * 2^(mantissa bits) no bits are left for a fraction: the low bits are k.
    shifter = x.of(1.5 * 2.0**23, 1.5 * 2.0**52)
    shifted = fma(x, factor, shifter)
    return shifted - shifter, shifted.bits() - x.constant(shifter).bits()


def _two_to(k: Number) -> Number:
    """Return 2^k for an integer k within the normal exponents, by writing the exponent field."""
    return ((k + k.of(127, 1023)) << k.of(23, 52)).as_float()


def _scale(y: Number, k: Number) -> Number:
    """Return y 2^k, in two steps since 2^k may overflow or be subnormal where y 2^k is not."""
    half = k >> 1
    return y * _two_to(half) * _two_to(k - half)


def _clamp(x: Number, low: float, high: float) -> Number:
    """Limit x to [low, high]; NaN fails both comparisons and stays."""
    x = select(x > high, high, x)
    return select(x < low, low, x)


def _reduce(x: Number) -> tuple[Number, Number]:
    """Return k and e^r - 1, where x = k ln 2 + r and |r| <= ln(2)/2; then e^x = 2^k e^r."""
    n, k = _nearest(x, LOG2_E)
    high, low = x.of(LN_2_SINGLE, LN_2_DOUBLE)
    return k, _expm1_small(fma(n, -low, fma(n, -high, x)))


def _expm1_small(r: Number) -> Number:
    """Return e^r - 1 for |r| <= ln(2)/2, with a small relative error."""
    square = r * r
    if r.of(True, False):
        return fma(square, horner(r, EXP_SINGLE), r)
    # With c = r - r^2 P(r^2), e^r = 1 + 2r / (2 - c); here r stands apart from the rounded rest.
    c = r - square * horner(square, EXP_DOUBLE)
    return r + r * c / (2.0 - c)


# Beyond the clamp the result is 0 or infinity, and inside it the exponent arithmetic holds.
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
    """Return (e^x - 1)/2, finite wherever sinh is: twice 2^(k-2) (e^r - 1) + (2^(k-2) - 1/4)."""
    k, e = _reduce(x)
    quarter = _two_to(k - 2)
    return 2.0 * fma(quarter, e, quarter - 0.25)


# Below the clamp the result is -1; for tiny x it is x, of which quartering would lose digits.
@scalar
def expm1(x: Number) -> Number:
    y = 2.0 * _half_expm1(_clamp(x, -50.0, x.of(89.0, 710.0)))
    return select(abs(x) < x.of(2.0**-25, 2.0**-54), x, y)


# With h = (e^|x| - 1)/2, sinh = h + h/(2h + 1): no cancellation at 0, no overflow before its own.
# In float32 the roundings would be too many; float64 absorbs them.
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


# With h = (e^2|x| - 1)/2, tanh = h/(h + 1), which rounds to 1 from the clamp on. In float32 that
# has too many roundings for small x, and a polynomial takes over.
@scalar
def tanh(x: Number) -> Number:
    size = abs(x)
    h = _half_expm1(_clamp(2.0 * size, 0.0, x.of(20.0, 40.0)))
    y = h / (h + 1.0)
    if x.of(True, False):
        square = x * x
        y = select(size < 0.6, fma(size * square, horner(square, TANH_SINGLE), size), y)
    return call("copysign", y, x)


# With e = e^-|x|, which cannot overflow, and q = e/(1 + e), sigmoid is e - e q for x < 0, else
# 1 - q: either way the roundings of q count little.
@scalar
def sigmoid(x: Number) -> Number:
    e = exp(-abs(x))
    leading = select(x < 0.0, e, e.constant(1.0))
    return fma(-leading, e / (1.0 + e), leading)


# ---- logarithms -----------------------------------------------------------------------------

LOG10_E = 0.4342944819032518
# Constants in two parts: log2(e) and log10(e), exact in sum; log10(2), whose first part ends in
# zero bits as that of ln 2 does.
LOG2_E_SINGLE, LOG2_E_DOUBLE = (1.442695, 1.925963e-08), (LOG2_E, 2.0355273740931033e-17)
LOG10_E_SINGLE, LOG10_E_DOUBLE = (0.4342945, -1.010305e-08), (LOG10_E, 1.098319650216765e-17)
LOG10_2_SINGLE = (0.30102539, 4.6050390e-06)
LOG10_2_DOUBLE = (3.01029995663611771306e-01, 3.69423907715893078616e-13)
# (log(1+f) - f) / f^2 on [-1/3, 1/3], and on [0, 1].
LOG_SINGLE = (-0.13191941, 0.13961747, -0.1211505, 0.14011076, -0.16685472, 0.20010033,
              -0.24999689, 0.33333224, -0.5)  # fmt: skip
LOG1P_SINGLE = (0.0022749666, -0.014676157, 0.044287737, -0.08590874, 0.12679096, -0.16228265,
                0.19926326, -0.24993312, 0.33333093, -0.5)  # fmt: skip
# FreeBSD msun e_log.c (Sun Microsystems), Lg7 to Lg1.
LOG_DOUBLE = (1.479819860510658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
              2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
              6.666666666666735130e-01)  # fmt: skip


def _log_parts(x: Number) -> tuple[Number, Number, Number]:
    """Return k, f and log(1+f) - f, where x = 2^k (1+f), 1+f near 1; x positive and finite."""
    # A subnormal has no exponent to read: scale it up first.
    is_small = x < x.of(2.0**-126, 2.0**-1022)
    bits = select(is_small, x * 2.0**54, x).bits()
    # Subtracting the bits of the least 1+f leaves k in the exponent field, whatever the mantissas.
    least = x.constant(x.of(2 / 3, math.sqrt(0.5))).bits()
    k = (bits - least) >> x.of(23, 52)
    f = (bits - (k << x.of(23, 52))).as_float() - 1.0
    return k.to_float() + select(is_small, x.constant(-54.0), 0.0), f, _log1p_rest(f)


def _log1p_rest(f: Number) -> Number:
    """Return log(1+f) - f for the f of `_log_parts`."""
    if f.of(True, False):
        return f * f * horner(f, LOG_SINGLE)
    # With s = f/(2+f), log(1+f) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + s^2 R(s^2)).
    s = f / (f + 2.0)
    square, half_square = s * s, 0.5 * f * f
    return s * fma(square, horner(square, LOG_DOUBLE), half_square) - half_square


def _log_limits(x: Number, y: Number) -> Number:
    """Return y where x is positive and finite; else the limits -inf at 0, inf at inf, or NaN."""
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


# Rounding u = 1 + x loses x - (u - 1); its effect on the logarithm is that over u.
@scalar
def log1p(x: Number) -> Number:
    u = 1.0 + x
    y, lost = log(u), (x - (u - 1.0)) / u
    y = select((x > -1.0) & (x < math.inf), y + lost, y)
    return select(x == 0.0, x, y)  # the sum would turn -0.0 into 0.0


# log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): nothing overflows, and for large x only x is left. On
# [0, 1], where e^-|x| lies, one polynomial is log1p in float32.
@scalar
def softplus(x: Number) -> Number:
    e = exp(-abs(x))
    y = fma(e * e, horner(e, LOG1P_SINGLE), e) if e.of(True, False) else log1p(e)
    return maximum(x, x.constant(0.0)) + y


@scalar
def logsigmoid(x: Number) -> Number:
    return -softplus(-x)


# ---- power and trigonometry: float32 computes in float64, and rounds once --------------------

TWO_OVER_PI = 0.6366197723675814
# FreeBSD msun: s_sinf.c, pi/2 in two parts, the first of 25 bits; k_sinf.c and k_cosf.c, the
# polynomials in r^2 of (sin r - r) / r^3 and (cos r - 1) / r^2 on |r| <= pi/4.
PI_2_PARTS = (1.57079631090164184570e00, 1.58932547735281966916e-08)
SIN = (2.7183114939898219064e-06, -1.98393348360966317347e-04, 8.3333293858894631756e-03,
       -1.66666666416265235595e-01)  # fmt: skip
COS = (2.43904487962774090654e-05, -1.38867637746099294692e-03, 4.16666233237390631894e-02,
       -4.99999997251031003120e-01)  # fmt: skip
LARGEST_ANGLE = 2.0**28


# |x|^y = 2^(y log2 |x|). The result takes the sign of x (-0.0 counts) when y is odd, and is NaN
# for finite x < 0 when y is no integer.
@single(math.pow)
def pow(x: Number, y: Number) -> Number:
    size = exp2(y.widen() * log2(abs(x).widen())).narrow()
    size = select((y == 0.0) | (abs(x) == 1.0), 1.0, size)
    is_integer = trunc(y) == y
    is_odd = is_integer & (trunc(0.5 * y) != 0.5 * y)
    size = select((x < 0.0) & (x > -math.inf) & (y != trunc(y)), math.nan, size)
    return select(is_odd, call("copysign", size, x), size)


def _sin_cos(x: Number) -> tuple[Number, Number, Number]:
    """Return sin r, cos r and the integer k, where x = k pi/2 + r and |r| <= pi/4."""
    # The first part's product with k is exact, so that r keeps its digits even near 0.
    x = select(abs(x) > LARGEST_ANGLE, math.nan, x)
    n, k = _nearest(x, TWO_OVER_PI)
    high, low = PI_2_PARTS
    r = fma(n, -low, fma(n, -high, x))
    square = r * r
    return r * fma(square, horner(square, SIN), 1.0), fma(square, horner(square, COS), 1.0), k


def _turn(sine: Number, cosine: Number, k: Number) -> Number:
    """Return sin(k pi/2 + r): odd k take the cosine, and the next bit of k flips the sign."""
    y = select((k & 1) == 1, cosine, sine)
    return (y.bits() ^ ((k & 2) << 62)).as_float()


@single(math.sin)
def sin(x: Number) -> Number:
    return _turn(*_sin_cos(x.widen())).narrow()


@single(math.cos)
def cos(x: Number) -> Number:
    sine, cosine, k = _sin_cos(x.widen())
    return _turn(sine, cosine, k + 1).narrow()


@single(math.tan)
def tan(x: Number) -> Number:
    sine, cosine, k = _sin_cos(x.widen())
    is_odd = (k & 1) == 1
    return (select(is_odd, -cosine, sine) / select(is_odd, sine, cosine)).narrow()


# ---- inverse trigonometry and erf: float32 ----------------------------------------------------

# pi/2 in float32, and what that leaves out.
PI_2_HIGH, PI_2_LOW = 1.57079637, -4.37113883e-08
# (arctan z - z) / z^3 on [0, 1] and (arcsin z - z) / z^3 on [0, 1/2], in z^2.
ARCTAN = (-0.0018186589, 0.011028764, -0.031394172, 0.058177873, -0.084164545,
          0.10956657, -0.14265092, 0.19998626, -0.33333302)  # fmt: skip
ARCSIN = (0.04221982, 0.024148123, 0.04547666, 0.07495249, 0.16666754)
# N. Juffa's erff: (erf x - x) / x in x^2 near 0, and P below.
ERF_NEAR = (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1,
            1.28379166e-1)  # fmt: skip
ERF_FAR = (-1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2, -1.06777877e-1,
           -6.34846687e-1, -1.28717512e-1)  # fmt: skip


# The polynomial serves |x| <= 1; beyond, arctan x = pi/2 - arctan(1/x).
@single(math.atan)
def arctan(x: Number) -> Number:
    size = abs(x)
    is_large = size > 1.0
    z = select(is_large, 1.0 / size, size)
    square = z * z
    y = fma(z * square, horner(square, ARCTAN), z)
    return call("copysign", select(is_large, PI_2_HIGH - (y - PI_2_LOW), y), x)


def _arcsin_parts(x: Number) -> tuple[Number, Number]:
    """Return whether |x| > 1/2, and then half of arccos |x|, else arcsin |x|."""
    # Half of arccos |x| is arcsin sqrt((1 - |x|)/2), whose argument is at most 1/2 again.
    size = abs(x)
    is_large = size > 0.5
    square = select(is_large, 0.5 - 0.5 * size, x * x)
    z = select(is_large, sqrt(square), size)
    return is_large, fma(z * square, horner(square, ARCSIN), z)


@single(math.asin)
def arcsin(x: Number) -> Number:
    is_large, y = _arcsin_parts(x)
    return call("copysign", select(is_large, PI_2_HIGH - 2.0 * y + PI_2_LOW, y), x)


@single(math.acos)
def arccos(x: Number) -> Number:
    is_large, y = _arcsin_parts(x)
    small = PI_2_HIGH - (call("copysign", y, x) - PI_2_LOW)
    negative = 2.0 * PI_2_HIGH - (2.0 * y - 2.0 * PI_2_LOW)
    return select(is_large, select(x < 0.0, negative, 2.0 * y), small)


# Near 0 a polynomial; elsewhere 1 - e^(t P(t) - t), where the 1 swallows the error of e^...
@single(math.erf)
def erf(x: Number) -> Number:
    near = fma(horner(x * x, ERF_NEAR), x, x)
    t = _clamp(abs(x), 0.0, 4.0)
    far = 1.0 - exp(fma(horner(t, ERF_FAR), t, -t))
    return select(abs(x) > 0.927734375, call("copysign", far, x), near)
