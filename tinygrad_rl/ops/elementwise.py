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


# -- activations -----------------------------------------------------------------------------------


@builtin(x="g if y > 0 else 0")
def relu(x):
    # Not maximum(x, 0), which would give half the gradient at 0. Written so that NaN stays NaN.
    return 0 if x <= 0 else x


@builtin()
def leaky_relu(x, slope=0.01):
    return x if x > 0 else slope * x


@builtin()
def elu(x, alpha=1.0):
    return x if x > 0 else alpha * k.expm1(x)


@builtin()
def selu(x):
    # The scale and slope for which zero mean and unit variance are kept (Klambauer et al. 2017).
    return 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * k.expm1(x))


@builtin()
def celu(x, alpha=1.0):
    return x if x > 0 else alpha * k.expm1(x / alpha)


@builtin(x="g * y * (1 - y)")
def sigmoid(x):
    return k.sigmoid(x)


@builtin()
def softplus(x):
    return k.softplus(x)


@builtin()
def logsigmoid(x):
    return k.logsigmoid(x)


@builtin()
def silu(x):
    return x * k.sigmoid(x)


@builtin()
def mish(x):
    return x * k.tanh(k.softplus(x))


@builtin()
def gelu_erf(x):
    return 0.5 * x * (1 + k.erf(0.7071067811865476 * x))


@builtin()
def gelu_tanh(x):
    # sqrt(2 / pi) = 0.79788...
    return 0.5 * x * (1 + k.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


@builtin(x="g / ((1 + abs(x)) * (1 + abs(x)))")
def softsign(x):
    return x / (1 + k.abs(x))


# Unlike clip, hardtanh and hardswish have gradient 0 at their bounds, as in PyTorch.
@builtin()
def hardtanh(x, min_val=-1.0, max_val=1.0):
    return min_val if x <= min_val else (max_val if x >= max_val else x)


@builtin()
def hardswish(x):
    return 0 if x <= -3 else (x if x >= 3 else x * (x + 3) / 6)


# What pictures and reports of a gradient say of these.
for _op in (
    *(relu, tanh, sigmoid, silu, softplus, logsigmoid, gelu_erf, gelu_tanh, elu, selu, celu),
    *(leaky_relu, mish, hardtanh, hardswish, softsign),
):
    _op.activation = True
relu.flat, tanh.flat, sigmoid.flat = "dead ReLU", "saturated tanh", "saturated sigmoid"
mul.flat, clip_.flat = "multiplied by zero", "outside clip's bounds"
for _op in (maximum, minimum, where_):
    _op.flat = f"not selected by {_op.name}"
for _op in (floor, ceil, round_, trunc, sign, floor_divide):
    _op.flat = "flat everywhere"


# -- pieces of losses ------------------------------------------------------------------------------


@builtin()
def huber(e, delta=1.0):
    return 0.5 * e * e if k.abs(e) <= delta else delta * (k.abs(e) - 0.5 * delta)


@builtin()
def smooth_l1(e, beta=1.0):
    return 0.5 * e * e / beta if k.abs(e) < beta else k.abs(e) - 0.5 * beta


# -log of the probability that sigmoid(x) gives to a label t in [0, 1]; exact where it is tiny. The
# derivative of this text would be right too, except that its second order is wrong at x = 0.
@builtin(x="g * (sigmoid(x) - t)", t="-g * x")
def binary_cross_entropy(x, t):
    return k.maximum(x, 0) - x * t + k.softplus(-k.abs(x))


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
    *(arcsin, arccos, arctan, sinh, cosh, tanh, erf, sign, floor, ceil, trunc, relu, sigmoid),
    *(softplus, logsigmoid, silu, mish, softsign, hardtanh, hardswish, leaky_relu, elu, selu, celu),
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


@method("gelu")
def gelu(x: Any, approximate: str = "none") -> Tensor:
    """`x` times the probability that a standard normal number is below it (Hendrycks, Gimpel 2016).

    Parameters
    ----------
    approximate : "none" for the error function, "tanh" for the paper's approximation.
    """
    ops = {"none": gelu_erf, "tanh": gelu_tanh}
    if approximate not in ops:
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return ops[approximate](x)


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
