"""Modules with named parameters, as PyTorch's: names and shapes in a state dict are the same."""

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

__all__ = [
    "ELU",
    "functional",
    "GELU",
    "init",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MLP",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "SiLU",
    "Softplus",
    "Tanh",
]
