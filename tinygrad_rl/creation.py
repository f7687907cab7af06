"""New tensors: constants, ranges, random numbers, and the like of another tensor.

    zeros((2, 3))     zeros(2, 3)     full((2,), 7.0)     linspace(0, 1, 11, requires_grad=True)
    randn(2, 3, generator=rng)        # from a generator of the caller's: there is no hidden state

The default dtype is float32; NumPy's float64 is one `dtype=` away.
"""

from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor, as_array, as_tensor, mode, wrap


def _new(array: np.ndarray[Any, Any], requires_grad: bool) -> Tensor:
    t = wrap(as_array(array))
    for observer in mode.observers:
        observer.on_create(t)
    return t.requires_grad_() if requires_grad else t


def _shape(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def _number(value: Any) -> Any:
    """A number, also that of a tensor; one that requires a gradient is refused there."""
    return as_array(value)[()] if isinstance(value, Tensor) else value


def zeros(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """All 0: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _new(np.zeros(_shape(shape), dtype), requires_grad)


def ones(*shape: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """All 1: `ones(2, 3)` or `ones((2, 3))`."""
    return _new(np.ones(_shape(shape), dtype), requires_grad)


def full(shape: Any, value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All `value`, with its dtype (a Python float's is float32) where none is given."""
    return _new(np.full(shape, value, as_array(value, dtype).dtype), requires_grad)


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All 0, of the shape (and dtype) of `x`."""
    x = as_tensor(x)
    return zeros(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1, of the shape (and dtype) of `x`."""
    x = as_tensor(x)
    return ones(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def full_like(x: Any, value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All `value`, of the shape (and dtype) of `x`."""
    x = as_tensor(x)
    return full(x.shape, value, dtype or x.dtype, requires_grad)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """From `start` (0 when only one number is given) up to, not including, `stop`.

    int64 when all numbers are ints, else float32.
    """
    if stop is None:
        start, stop = 0, start
    start, stop, step = _number(start), _number(stop), _number(step)
    whole = all(isinstance(n, (int, np.integer)) for n in (start, stop, step))
    dtype = dtype or (np.int64 if whole else np.float32)
    return _new(np.arange(start, stop, step).astype(dtype), requires_grad)


def linspace(
    start: float, stop: float, num: int = 50, dtype: Any = np.float32, requires_grad: bool = False
) -> Tensor:
    """`num` equally spaced values from `start` to `stop`, both included."""
    values = np.linspace(_number(start), _number(stop), num)
    return _new(values.astype(dtype), requires_grad)


def eye(
    n: int, m: int | None = None, dtype: Any = np.float32, requires_grad: bool = False
) -> Tensor:
    """The n by m matrix (n by n by default) with 1 on the diagonal and 0 elsewhere."""
    return _new(np.eye(n, m, dtype=dtype), requires_grad)


# -- random numbers --------------------------------------------------------------------------------


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
    values = _checked(generator).standard_normal(_shape(shape), np.dtype(dtype))
    return _new(values, requires_grad)


def randint(low: int, high: int, *shape: Any, generator: np.random.Generator) -> Tensor:
    """Uniform integers (int64) in [low, high)."""
    return _new(_checked(generator).integers(low, high, _shape(shape)), False)


def randperm(n: int, *, generator: np.random.Generator) -> Tensor:
    """The numbers below `n` in random order (int64)."""
    return _new(_checked(generator).permutation(n), False)
