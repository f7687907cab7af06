"""Elementwise ops: a scalar function each, and a gradient rule only where a better one is known.

Where nothing is said, the derivative is taken from the function itself (`derive/`). A rule that is
given reads as the calculus does: `g` is the gradient that comes in, `y` the op's own output.
"""

import math
from typing import Any

import numpy as np

from tinygrad_rl.core import REFLECTED, Tensor, as_tensor, method
from tinygrad_rl.ops.define import builtin

# -- arithmetic ----------------------------------------------------------------------------------

add = builtin("add(a, b)", "a + b")
sub = builtin("sub(a, b)", "a - b")
mul = builtin("mul(a, b)", "a * b")
div = builtin("div(a, b)", "a / b", b="-g * y / b")
floor_divide = builtin("floor_divide(a, b)", "a // b")
remainder = builtin("remainder(a, b)", "a % b", b="-g * floor(a / b)")
neg = builtin("neg(x)", "-x")
pow_ = builtin("pow(a, b)")
square = builtin("square(x)", "x * x")
reciprocal = builtin("reciprocal(x)", "1 / x", x="-g * y * y")
sqrt = builtin("sqrt(x)", x="0.5 * g / y")
# For lengths and spreads: at 0 they have no slope to any side, and 0 is what serves.
root = builtin("root(x)", "sqrt(x)", x="0.5 * g / y if y != 0 else 0")
rsqrt = builtin("rsqrt(x)", "1 / sqrt(x)", x="-0.5 * g * y / x")
lerp = builtin("lerp(a, b, weight)", "a + weight * (b - a)")
positive = builtin("positive(x)", "x")

# -- powers, logarithms, trigonometry --------------------------------------------------------------

exp = builtin("exp(x)", x="g * y")
exp2 = builtin("exp2(x)", x="g * y * 0.6931471805599453")
expm1 = builtin("expm1(x)", x="g * (y + 1)")
log = builtin("log(x)")
log2 = builtin("log2(x)")
log10 = builtin("log10(x)")
log1p = builtin("log1p(x)")
sin = builtin("sin(x)")
cos = builtin("cos(x)")
tan = builtin("tan(x)", x="g * (1 + y * y)")
arcsin = builtin("arcsin(x)")
arccos = builtin("arccos(x)")
arctan = builtin("arctan(x)")
sinh = builtin("sinh(x)")
cosh = builtin("cosh(x)")
tanh = builtin("tanh(x)", x="g * (1 - y * y)")
erf = builtin("erf(x)")

# -- pieces ----------------------------------------------------------------------------------------

abs_ = builtin("abs(x)")
sign = builtin("sign(x)")
floor = builtin("floor(x)")
ceil = builtin("ceil(x)")
trunc = builtin("trunc(x)")
round_ = builtin("round(x)")
maximum = builtin("maximum(a, b)")
minimum = builtin("minimum(a, b)")
# At a bound the gradient passes: the derivative of minimum(maximum(...)) would pass half of it.
clip_ = builtin(
    "clip(x, low, high)",
    "minimum(maximum(x, low), high)",
    x="g if x >= low and x <= high else 0",
    low="g if x < low and low <= high else 0",
    high="g if x > high or low > high else 0",
)
where_ = builtin("where(condition, a, b)", "a if condition else b")

# -- comparisons: booleans out, no gradient --------------------------------------------------------

equal = builtin("equal(a, b)", "a == b")
not_equal = builtin("not_equal(a, b)", "a != b")
less = builtin("less(a, b)", "a < b")
less_equal = builtin("less_equal(a, b)", "a <= b")
greater = builtin("greater(a, b)", "a > b")
greater_equal = builtin("greater_equal(a, b)", "a >= b")
logical_and = builtin("logical_and(a, b)", "a != 0 and b != 0")
logical_or = builtin("logical_or(a, b)", "a != 0 or b != 0")
logical_not = builtin("logical_not(x)", "x == 0")

# What reports say where the derivative is zero, and what stands between two operands.
tanh.flat, mul.flat, clip_.flat = "saturated tanh", "multiplied by zero", "outside clip's bounds"
for _op in (maximum, minimum, where_):
    _op.flat = f"not selected by {_op.name}"
for _op in (floor, ceil, round_, trunc, sign, floor_divide):
    _op.flat = "flat everywhere"
tanh.activation = True


# -- operators and methods -------------------------------------------------------------------------

for _name, _op, _ufunc in (
    *(("add", add, np.add), ("sub", sub, np.subtract), ("mul", mul, np.multiply)),
    *(("truediv", div, np.divide), ("floordiv", floor_divide, np.floor_divide)),
    ("mod", remainder, np.remainder),
):
    method(f"__{_name}__")(lambda self, other, op=_op: op(self, other))
    method(f"__r{_name}__")(lambda self, other, op=_op: op(other, self))
    REFLECTED[_ufunc] = _op
for _name, _op, _compare in (
    *(("lt", less, np.less), ("le", less_equal, np.less_equal)),
    *(("gt", greater, np.greater), ("ge", greater_equal, np.greater_equal)),
):
    method(f"__{_name}__")(lambda self, other, op=_op: op(self, other))
    REFLECTED[_compare] = _op
for _name, _op in (("neg", neg), ("pos", positive), ("abs", abs_)):
    method(f"__{_name}__")(_op)
for _op in (
    *(square, reciprocal, sqrt, rsqrt, exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan),
    *(arcsin, arccos, arctan, sinh, cosh, tanh, erf, sign, floor, ceil, trunc),
    *(maximum, minimum, lerp, logical_and, logical_or, logical_not),
):
    method(_op.name)(_op)
method("abs")(abs_)
method("round")(round_)


def _equality(op: Any, symbol: str, words: str) -> Any:
    def compare(self: Tensor, other: Any) -> Tensor:
        if other is None:
            raise TypeError(f"`{symbol} None` compares values, which None has not: write {words}")
        return op(self, other)

    return compare


method("__eq__")(_equality(equal, "==", "`x is None`"))
method("__ne__")(_equality(not_equal, "!=", "`x is not None`"))
REFLECTED |= {np.equal: equal, np.not_equal: not_equal}


@method("__pow__", "pow")
def power(a: Any, b: Any) -> Tensor:
    """`a ** b` elementwise; 1 where b is 0, whatever a is.

    Raises
    ------
    ValueError : for an integer to a negative integer power.
    """
    special = {2: square, 1: positive, -1: reciprocal, 0.5: sqrt, -0.5: rsqrt}
    if type(b) in (int, float) and b in special and not _is_integer(a):
        return special[b](a)
    if _is_integer(a) and _holds_negative_integer(b):
        raise ValueError("integers to negative integer powers are not allowed; use floats")
    return pow_(a, b)


method("__rpow__")(lambda self, other: power(other, self))
REFLECTED[np.power] = power


def _logic(op: Any, symbol: str) -> Any:
    def call(*masks: Any) -> Tensor:
        if any(as_tensor(m).dtype.kind != "b" for m in masks):
            raise TypeError(f"{symbol} is for booleans; for numbers use {op.name}")
        return op(*masks)

    return call


method("__and__", "__rand__")(_logic(logical_and, "&"))
method("__or__", "__ror__")(_logic(logical_or, "|"))
REFLECTED |= {np.bitwise_and: _logic(logical_and, "&"), np.bitwise_or: _logic(logical_or, "|")}
method("__invert__")(_logic(logical_not, "~"))


@method("clip")
def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """`x` limited to [low, high]; None is no limit. At a bound the gradient passes."""
    x = as_tensor(x)
    least, most = -math.inf, math.inf
    if x.dtype.kind == "b":
        least, most = 0, 1
    elif x.dtype.kind != "f":
        least, most = np.iinfo(x.dtype).min, np.iinfo(x.dtype).max
    return clip_(x, least if low is None else low, most if high is None else high)


@method("where")
def _where_method(x: Tensor, condition: Any, other: Any) -> Tensor:
    """PyTorch's method: `x` where the condition holds, else `other`."""
    return where_(condition, x, other)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """`a` where the condition holds, else `b`; only the chosen one gets a gradient."""
    return where_(condition, a, b)


def _is_integer(x: Any) -> bool:
    return type(x) is not float and as_tensor(x).dtype.kind in "iub"


def _holds_negative_integer(x: Any) -> bool:
    return _is_integer(x) and bool((as_tensor(x)._array < 0).any())
