"""Activations: what networks put behind their layers.

`tanh` stands with the other functions of a number, in `arithmetic.py`.
"""

from typing import Any

from tinygrad_rl.core import Elementwise, Tensor, method
from tinygrad_rl.ops.define import builtin


def activation(signature: str, text: str = "", /, **rules: str) -> Elementwise:
    """`builtin` for an op that follows a layer; it is a method of tensors too."""
    op = builtin(signature, text, **rules)
    op.activation = True
    method(op.name)(op)
    return op


# Not maximum(x, 0), which would give half the gradient at 0. Written so that NaN stays NaN.
relu = activation("relu(x)", "0 if x <= 0 else x", x="g if y > 0 else 0")
leaky_relu = activation("leaky_relu(x, slope=0.01)", "x if x > 0 else slope * x")
elu = activation("elu(x, alpha=1.0)", "x if x > 0 else alpha * expm1(x)")
# The scale and slope for which zero mean and unit variance are kept (Klambauer et al. 2017).
selu = activation("selu(x)", "1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * expm1(x))")
celu = activation("celu(x, alpha=1.0)", "x if x > 0 else alpha * expm1(x / alpha)")
sigmoid = activation("sigmoid(x)", x="g * y * (1 - y)")
softplus = activation("softplus(x)")
logsigmoid = activation("logsigmoid(x)")
silu = activation("silu(x)", "x * sigmoid(x)")
mish = activation("mish(x)", "x * tanh(softplus(x))")
gelu_erf = builtin("gelu_erf(x)", "0.5 * x * (1 + erf(0.7071067811865476 * x))")
# sqrt(2 / pi) = 0.79788...
gelu_tanh = builtin(
    "gelu_tanh(x)", "0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))"
)
softsign = activation("softsign(x)", "x / (1 + abs(x))", x="g / ((1 + abs(x)) * (1 + abs(x)))")
# Unlike clip, hardtanh and hardswish have gradient 0 at their bounds, as in PyTorch.
hardtanh = activation(
    "hardtanh(x, min_val=-1.0, max_val=1.0)",
    "min_val if x <= min_val else (max_val if x >= max_val else x)",
)
hardswish = activation("hardswish(x)", "0 if x <= -3 else (x if x >= 3 else x * (x + 3) / 6)")

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
