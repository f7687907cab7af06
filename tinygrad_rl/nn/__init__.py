"""Modules with named parameters, as PyTorch's: names and shapes in a state dict are the same."""

from tinygrad_rl.nn import functional, init
from tinygrad_rl.nn.layers import MLP, LayerNorm, Linear, ReLU, Sequential, Sigmoid, Tanh
from tinygrad_rl.nn.module import Module

__all__ = [
    "functional",
    "init",
    "LayerNorm",
    "Linear",
    "MLP",
    "Module",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
]
