"""Initial values: every function draws from a generator that is given, never from a global one."""

import math
from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor
from tinygrad_rl.grad_mode import no_grad

__all__ = ["uniform_", "normal_", "fan_in_uniform_", "xavier_uniform_", "kaiming_uniform_"]
__all__ += ["orthogonal_"]


def __dir__() -> list[str]:
    return __all__


@no_grad()
def uniform_(tensor: Tensor, low: float, high: float, rng: np.random.Generator) -> Tensor:
    """Fill with U(low, high)."""
    return tensor.assign_(rng.uniform(low, high, tensor.shape).astype(tensor.dtype))


@no_grad()
def normal_(tensor: Tensor, mean: float, std: float, rng: np.random.Generator) -> Tensor:
    """Fill with N(mean, std**2)."""
    return tensor.assign_(rng.normal(mean, std, tensor.shape).astype(tensor.dtype))


def fan_in_uniform_(tensor: Tensor, fan_in: int, rng: np.random.Generator) -> Tensor:
    """Fill with U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the default of PyTorch's Linear.

    Also the paper's choice for hidden layers (Lillicrap et al. 2015, section 7).
    """
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    return uniform_(tensor, -bound, bound, rng)


def xavier_uniform_(tensor: Tensor, rng: np.random.Generator, gain: float = 1.0) -> Tensor:
    """Fill a weight (out, in) with U(-a, a), a = gain * sqrt(6 / (in + out)) (Glorot 2010)."""
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, rng)


def kaiming_uniform_(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    """Fill a weight (out, in) with U(-a, a), a = sqrt(6 / in), for ReLU (He et al. 2015)."""
    bound = math.sqrt(6 / _fans(tensor)[0])
    return uniform_(tensor, -bound, bound, rng)


def orthogonal_(tensor: Tensor, rng: np.random.Generator, gain: float = 1.0) -> Tensor:
    """Fill a matrix with orthonormal rows or columns, times gain (Saxe et al. 2013)."""
    n, m = _fans(tensor)[::-1]
    q, r = np.linalg.qr(rng.normal(size=(max(n, m), min(n, m))))
    q = q * np.sign(np.diag(r))
    value: Any = gain * (q if n >= m else q.T)
    with no_grad():
        return tensor.assign_(value.astype(tensor.dtype))


def _fans(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim != 2:
        raise ValueError(f"this initialiser needs a weight of shape (out, in), not {tensor.shape}")
    return tensor.shape[1], tensor.shape[0]
