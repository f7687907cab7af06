"""Modules with named parameters, as PyTorch's: names and shapes in a state dict are the same.

    net = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 1))

Functions without parameters stand in `nn.functional`, initial values in `nn.init`.
"""

from tinygrad_rl.nn import functional, init
from tinygrad_rl.nn.activations import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from tinygrad_rl.nn.layers import MLP, LayerNorm, Linear, Sequential
from tinygrad_rl.nn.module import Module
from tinygrad_rl.spelling import door

__all__ = ["Module", "Sequential", "MLP", "Linear", "LayerNorm", "functional", "init"]
__all__ += ["ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus", "Tanh", "Sigmoid"]


def __dir__() -> list[str]:
    return __all__


door(globals())
