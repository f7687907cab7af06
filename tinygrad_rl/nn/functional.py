"""Functions of networks: layers without parameters of their own, activations, losses."""

from collections.abc import Sequence
from typing import Any

from tinygrad_rl.core import Tensor, as_tensor
from tinygrad_rl.ops import losses
from tinygrad_rl.ops.activations import (
    celu,
    elu,
    gelu,
    hardswish,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
)
from tinygrad_rl.ops.arithmetic import mul, neg, tanh
from tinygrad_rl.ops.index import gather
from tinygrad_rl.ops.products import linear
from tinygrad_rl.ops.reduce import layer_norm_op, log_softmax, mean, softmax, sum_
from tinygrad_rl.ops.shape import expand_dims
from tinygrad_rl.spelling import door

__all__ = ["linear", "layer_norm", "softmax", "log_softmax"]
# Activations
__all__ += ["relu", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid", "tanh"]
__all__ += ["logsigmoid", "softplus", "softsign", "hardtanh", "hardswish"]
# Losses
__all__ += ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "cross_entropy"]
__all__ += ["binary_cross_entropy_with_logits"]


def __dir__() -> list[str]:
    return __all__


def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Zero mean, unit variance over the last axes, then `* weight + bias` (Ba et al. 2016).

    Parameters
    ----------
    normalized_shape : lengths of the axes that are normalised together.
    weight, bias : of that shape; None for 1 and 0.
    eps : added to the variance.

    Raises
    ------
    ValueError : when the last axes of `x` are not `normalized_shape`.
    """
    x = as_tensor(x)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"layer_norm over {shape} does not fit input of shape {x.shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    scale, shift = 1.0 if weight is None else weight, 0.0 if bias is None else bias
    return layer_norm_op(x, scale, shift, eps, axis=axes)


def _same_shape(name: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    input, target = as_tensor(input), as_tensor(target)
    if input.shape != target.shape:
        raise ValueError(
            f"{name}: input {input.shape} and target {target.shape} differ in shape; broadcasting "
            "here would silently compare every entry with every other"
        )
    return input, target


def mse_loss(input: Any, target: Any) -> Tensor:
    """Mean of `(input - target)**2`.

    Raises
    ------
    ValueError : for unequal shapes.
    """
    input, target = _same_shape("mse_loss", input, target)
    return losses.mse_loss(input, target, axis=None)


def l1_loss(input: Any, target: Any) -> Tensor:
    """Mean of `|input - target|`.

    Raises
    ------
    ValueError : for unequal shapes.
    """
    input, target = _same_shape("l1_loss", input, target)
    return losses.l1_loss(input, target, axis=None)


def huber_loss(input: Any, target: Any, delta: float = 1.0) -> Tensor:
    """Mean of `e**2 / 2` where |e| <= delta, else `delta * (|e| - delta / 2)` (Huber 1964).

    Raises
    ------
    ValueError : for unequal shapes, and for a delta that is not above 0.
    """
    input, target = _same_shape("huber_loss", input, target)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, not {delta!r}")
    return losses.huber_loss(input, target, delta, axis=None)


def smooth_l1_loss(input: Any, target: Any, beta: float = 1.0) -> Tensor:
    """Mean of `e**2 / (2 beta)` where |e| < beta, else `|e| - beta / 2`; beta 0 is `l1_loss`.

    Raises
    ------
    ValueError : for unequal shapes, and for a beta below 0.
    """
    input, target = _same_shape("smooth_l1_loss", input, target)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta can't be negative: {beta!r}")
    if not beta:
        return l1_loss(input, target)
    return losses.smooth_l1_loss(input, target, beta, axis=None)


def binary_cross_entropy_with_logits(input: Any, target: Any) -> Tensor:
    """Mean of `-t log p - (1 - t) log(1 - p)` with `p = sigmoid(input)`, exact for any logit.

    Raises
    ------
    ValueError : for unequal shapes.
    """
    input, target = _same_shape("binary_cross_entropy_with_logits", input, target)
    return losses.binary_cross_entropy(input, target, axis=None)


def cross_entropy(input: Any, target: Any) -> Tensor:
    """Mean over the batch of `-log softmax(input)` at the target class.

    Parameters
    ----------
    input : logits of shape (classes,), or (batch, classes, ...).
    target : class numbers, integers of the same shape without the class axis; or probabilities of
        the shape of `input`.

    Raises
    ------
    ValueError : for shapes that don't fit.
    IndexError : for a class that does not exist.
    """
    input, target = as_tensor(input), as_tensor(target)
    if not input.ndim:
        raise ValueError("cross_entropy needs a class axis, the input is 0-d")
    axis = min(1, input.ndim - 1)
    log_p = log_softmax(input, axis)
    if target.dtype.kind == "f":
        return mean(neg(sum_(mul(log_p, _same_shape("cross_entropy", input, target)[1]), axis)))
    if target.shape != input.shape[:axis] + input.shape[axis + 1 :]:
        raise ValueError(
            f"cross_entropy: class numbers of shape {target.shape} don't fit logits of shape "
            f"{input.shape}, whose classes are along axis {axis}"
        )
    return mean(neg(gather(log_p, axis, expand_dims(target, axis))))


door(globals())
