"""Elementwise ops: a scalar function each, and a gradient rule only where a better one is known.

Where nothing is said, the derivative is taken from the function itself (`derive.py`). A rule that
is given reads as the calculus does: `g` is the gradient that comes in, `y` the op's own output.
"""

import math
from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor, as_tensor, method
from tinygrad_rl.kernels import scalar as k
from tinygrad_rl.ops.define import builtin

# -- arithmetic ----------------------------------------------------------------------------------


@builtin()
def add(a, b):
    return a + b


@builtin()
def sub(a, b):
    return a - b


@builtin()
def mul(a, b):
    return a * b


@builtin(b="-g * y / b")
def div(a, b):
    return a / b


@builtin()
def floor_divide(a, b):
    return a // b


@builtin(b="-g * floor(a / b)")
def remainder(a, b):
    return a % b


@builtin()
def neg(x):
    return -x


@builtin()
def pow_(a, b):
    return k.pow(a, b)


@builtin()
def square(x):
    return x * x


@builtin(x="-g * y * y")
def reciprocal(x):
    return 1 / x


@builtin(x="0.5 * g / y")
def sqrt(x):
    return k.sqrt(x)


@builtin(x="-0.5 * g * y / x")
def rsqrt(x):
    return 1 / k.sqrt(x)


@builtin()
def lerp(a, b, weight):
    return a + weight * (b - a)


@builtin()
def positive(x):
    return x


# -- powers, logarithms, trigonometry --------------------------------------------------------------


@builtin(x="g * y")
def exp(x):
    return k.exp(x)


@builtin(x="g * y * 0.6931471805599453")
def exp2(x):
    return k.exp2(x)


@builtin(x="g * (y + 1)")
def expm1(x):
    return k.expm1(x)


@builtin()
def log(x):
    return k.log(x)


@builtin()
def log2(x):
    return k.log2(x)


@builtin()
def log10(x):
    return k.log10(x)


@builtin()
def log1p(x):
    return k.log1p(x)


@builtin()
def sin(x):
    return k.sin(x)


@builtin()
def cos(x):
    return k.cos(x)


@builtin(x="g * (1 + y * y)")
def tan(x):
    return k.tan(x)


@builtin()
def arcsin(x):
    return k.arcsin(x)


@builtin()
def arccos(x):
    return k.arccos(x)


@builtin()
def arctan(x):
    return k.arctan(x)


@builtin()
def sinh(x):
    return k.sinh(x)


@builtin()
def cosh(x):
    return k.cosh(x)


@builtin(x="g * (1 - y * y)")
def tanh(x):
    return k.tanh(x)


@builtin()
def erf(x):
    return k.erf(x)


# -- pieces ----------------------------------------------------------------------------------------


@builtin()
def abs_(x):
    return k.abs(x)


@builtin()
def sign(x):
    return k.sign(x)


@builtin()
def floor(x):
    return k.floor(x)


@builtin()
def ceil(x):
    return k.ceil(x)


@builtin()
def trunc(x):
    return k.trunc(x)


@builtin()
def round_(x):
    return k.round(x)


@builtin()
def maximum(a, b):
    return k.maximum(a, b)


@builtin()
def minimum(a, b):
    return k.minimum(a, b)


# At a bound the gradient passes: the derivative of minimum(maximum(...)) would pass half of it.
@builtin(
    x="g if x >= low and x <= high else 0",
    low="g if x < low and low <= high else 0",
    high="g if x > high or low > high else 0",
)
def clip_(x, low, high):
    return k.minimum(k.maximum(x, low), high)


@builtin()
def where_(condition, a, b):
    return a if condition else b


# -- comparisons: booleans out, no gradient --------------------------------------------------------


@builtin()
def equal(a, b):
    return a == b


@builtin()
def not_equal(a, b):
    return a != b


@builtin()
def less(a, b):
    return a < b


@builtin()
def less_equal(a, b):
    return a <= b


@builtin()
def greater(a, b):
    return a > b


@builtin()
def greater_equal(a, b):
    return a >= b


@builtin()
def logical_and(a, b):
    return a != 0 and b != 0


@builtin()
def logical_or(a, b):
    return a != 0 or b != 0


@builtin()
def logical_not(x):
    return x == 0


# What reports say where the derivative is zero, and what stands between two operands.
tanh.flat, mul.flat, clip_.flat = "saturated tanh", "multiplied by zero", "outside clip's bounds"
for _op in (maximum, minimum, where_):
    _op.flat = f"not selected by {_op.name}"
for _op in (floor, ceil, round_, trunc, sign, floor_divide):
    _op.flat = "flat everywhere"
tanh.activation = True


# -- operators and methods -------------------------------------------------------------------------

for _name, _op in {
    "add": add,
    "sub": sub,
    "mul": mul,
    "truediv": div,
    "floordiv": floor_divide,
    "mod": remainder,
}.items():
    method(f"__{_name}__")(_op)
    method(f"__r{_name}__")(lambda self, other, op=_op: op(other, self))
for _name, _op in {
    "eq": equal,
    "ne": not_equal,
    "lt": less,
    "le": less_equal,
    "gt": greater,
    "ge": greater_equal,
    "neg": neg,
    "pos": positive,
    "abs": abs_,
}.items():
    method(f"__{_name}__")(_op)
for _op in (
    *(square, reciprocal, sqrt, rsqrt, exp, exp2, expm1, log, log2, log10, log1p, sin, cos, tan),
    *(arcsin, arccos, arctan, sinh, cosh, tanh, erf, sign, floor, ceil, trunc),
    *(maximum, minimum, lerp, logical_and, logical_or, logical_not),
):
    method(_op.name)(_op)
method("abs")(abs_)
method("round")(round_)


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


def _logic(op: Any, symbol: str) -> Any:
    def call(*masks: Any) -> Tensor:
        if any(as_tensor(m).dtype.kind != "b" for m in masks):
            raise TypeError(f"{symbol} is for booleans; for numbers use {op.name}")
        return op(*masks)

    return call


method("__and__", "__rand__")(_logic(logical_and, "&"))
method("__or__", "__ror__")(_logic(logical_or, "|"))
method("__invert__")(_logic(logical_not, "~"))


@method("clip")
def clip(x: Any, low: Any = None, high: Any = None) -> Tensor:
    """`x` limited to [low, high]; None is no limit. At a bound the gradient passes."""
    x = as_tensor(x)
    if x.dtype.kind == "f":
        least, most = -math.inf, math.inf
    else:
        least, most = (
            (0, 1) if x.dtype.kind == "b" else (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max)
        )
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
