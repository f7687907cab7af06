"""Functions of networks: layers without parameters of their own, activations, losses."""

from collections.abc import Sequence
from typing import Any

from tinygrad_rl.core import Tensor, as_tensor
from tinygrad_rl.ops.elementwise import (
    abs_,
    logsigmoid,
    maximum,
    mul,
    relu,
    rsqrt,
    sigmoid,
    silu,
    softplus,
    square,
    sub,
    tanh,
    where,
)
from tinygrad_rl.ops.linear import linear
from tinygrad_rl.ops.reduce import mean

__all__ = [
    "huber_loss",
    "layer_norm",
    "linear",
    "logsigmoid",
    "maximum",
    "mse_loss",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
    "tanh",
]


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Zero mean, unit variance over the last axes, then `* weight + bias` (Ba et al. 2016).

    Raises
    ------
    ValueError : when the last axes of `x` are not `normalized_shape`.
    """
    x = as_tensor(x)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"layer_norm over {shape} does not fit input of shape {x.shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    centered = sub(x, mean(x, axes, keepdims=True))
    out = mul(centered, rsqrt(mean(square(centered), axes, keepdims=True) + eps))
    if weight is not None:
        out = mul(out, weight)
    return out if bias is None else out + bias


def _same_shape(name: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    input, target = as_tensor(input), as_tensor(target)
    if input.shape != target.shape:
        raise ValueError(
            f"{name}: input {input.shape} and target {target.shape} differ in shape; broadcasting here "
            "would silently compare every entry with every other"
        )
    return input, target


def mse_loss(input: Any, target: Any) -> Tensor:
    """Mean of `(input - target)**2`; refuses unequal shapes."""
    input, target = _same_shape("mse_loss", input, target)
    return mean(square(sub(input, target)))


def huber_loss(input: Any, target: Any, delta: float = 1.0) -> Tensor:
    """Mean of `e**2 / 2` where |e| <= delta, else `delta * (|e| - delta / 2)` (Huber 1964)."""
    input, target = _same_shape("huber_loss", input, target)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, not {delta!r}")
    e = sub(input, target)
    size = abs_(e)
    return mean(where(size <= delta, 0.5 * square(e), delta * (size - 0.5 * delta)))
