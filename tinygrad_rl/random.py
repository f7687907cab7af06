"""Random tensors, always from a generator that the caller owns: there is no hidden state.

rng = np.random.default_rng(0)
randn(2, 3, generator=rng)            # the same numbers in every run
"""

from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor, mode
from tinygrad_rl.creation import _new, _shape


def _checked(generator: Any) -> np.random.Generator:
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            "generator must be a numpy.random.Generator, such as numpy.random.default_rng(seed), "
            f"not {type(generator).__name__}"
        )
    for observer in mode.observers:
        observer.on_random()
    return generator


def rand(
    *shape: Any,
    generator: np.random.Generator,
    dtype: Any = np.float32,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform in [0, 1)."""
    return _new(_checked(generator).random(_shape(shape), np.dtype(dtype)), requires_grad)


def randn(
    *shape: Any,
    generator: np.random.Generator,
    dtype: Any = np.float32,
    requires_grad: bool = False,
) -> Tensor:
    """Normal with mean 0 and standard deviation 1."""
    numbers = _checked(generator).standard_normal(_shape(shape), np.dtype(dtype))
    return _new(numbers, requires_grad)


def randint(low: int, high: int, *shape: Any, generator: np.random.Generator) -> Tensor:
    """Uniform integers (int64) in [low, high)."""
    return _new(_checked(generator).integers(low, high, _shape(shape)), False)


def randperm(n: int, *, generator: np.random.Generator) -> Tensor:
    """The numbers below `n` in random order (int64)."""
    return _new(_checked(generator).permutation(n), False)
