"""Activations as modules, to stand in a `Sequential`; the functions are in `functional`."""

from typing import Any

from tinygrad_rl.core import Tensor
from tinygrad_rl.nn import functional as F
from tinygrad_rl.nn.module import Module


class ReLU(Module):
    """`max(x, 0)`."""

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.relu(x)


class LeakyReLU(Module):
    """`x` where positive, else `negative_slope * x`."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.leaky_relu(x, self.negative_slope)


class ELU(Module):
    """`x` where positive, else `alpha * (exp(x) - 1)` (Clevert et al. 2016)."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.elu(x, self.alpha)


class GELU(Module):
    """`x * Phi(x)`, Phi the normal distribution function (Hendrycks & Gimpel 2016)."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.gelu(x, self.approximate)


class SiLU(Module):
    """`x * sigmoid(x)`, also called swish."""

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.silu(x)


class Softplus(Module):
    """`log(1 + exp(x))`."""

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.softplus(x)


class Tanh(Module):
    """`tanh(x)`."""

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.tanh(x)


class Sigmoid(Module):
    """`1 / (1 + exp(-x))`."""

    def forward(self, x: Any) -> Tensor:
        """Of every element."""
        return F.sigmoid(x)
