"""Activations, and the pieces of losses: what networks put behind their layers.

`tanh` stands with the other functions of a number, in `arithmetic.py`.
"""

from collections.abc import Callable
from typing import Any

from tinygrad_rl.core import Elementwise, Tensor, method
from tinygrad_rl.kernels import scalar as k
from tinygrad_rl.ops.define import builtin


def activation(**rules: str) -> Callable[[Callable[..., Any]], Elementwise]:
    """`builtin` for an op that follows a layer; it is a method of tensors too."""

    def declare(function: Callable[..., Any]) -> Elementwise:
        op = builtin(**rules)(function)
        op.activation = True
        method(op.name)(op)
        return op

    return declare


@activation(x="g if y > 0 else 0")
def relu(x):
    # Not maximum(x, 0), which would give half the gradient at 0. Written so that NaN stays NaN.
    return 0 if x <= 0 else x


@activation()
def leaky_relu(x, slope=0.01):
    return x if x > 0 else slope * x


@activation()
def elu(x, alpha=1.0):
    return x if x > 0 else alpha * k.expm1(x)


@activation()
def selu(x):
    # The scale and slope for which zero mean and unit variance are kept (Klambauer et al. 2017).
    return 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * k.expm1(x))


@activation()
def celu(x, alpha=1.0):
    return x if x > 0 else alpha * k.expm1(x / alpha)


@activation(x="g * y * (1 - y)")
def sigmoid(x):
    return k.sigmoid(x)


@activation()
def softplus(x):
    return k.softplus(x)


@activation()
def logsigmoid(x):
    return k.logsigmoid(x)


@activation()
def silu(x):
    return x * k.sigmoid(x)


@activation()
def mish(x):
    return x * k.tanh(k.softplus(x))


@builtin()
def gelu_erf(x):
    return 0.5 * x * (1 + k.erf(0.7071067811865476 * x))


@builtin()
def gelu_tanh(x):
    # sqrt(2 / pi) = 0.79788...
    return 0.5 * x * (1 + k.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


@activation(x="g / ((1 + abs(x)) * (1 + abs(x)))")
def softsign(x):
    return x / (1 + k.abs(x))


# Unlike clip, hardtanh and hardswish have gradient 0 at their bounds, as in PyTorch.
@activation()
def hardtanh(x, min_val=-1.0, max_val=1.0):
    return min_val if x <= min_val else (max_val if x >= max_val else x)


@activation()
def hardswish(x):
    return 0 if x <= -3 else (x if x >= 3 else x * (x + 3) / 6)


relu.flat, sigmoid.flat = "dead ReLU", "saturated sigmoid"
gelu_erf.activation = gelu_tanh.activation = True


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
