"""Operands: what an op is given, arrays and numbers too, as tensors.

as_tensor([1.0, 2.0])                 # a constant; of a NumPy array, on its very memory
constant(2.0, dtype)                  # one tensor for all who use this number
"""

from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_rl.core.storage import FOREIGN, Storage
from tinygrad_rl.core.tensor import Tensor, as_array, wrap


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory: what is written to one is seen in the other.

    What a gradient needs of a constant's values is copied when an op is called with it. A tensor
    that requires a gradient itself is not copied: if its values have changed before `backward`,
    that is an error.

    The memory may be anybody's (a mapped file, shared memory, another library's), and has to stay
    where it is while the tensor is used. Mapped twice, it counts as two.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"from_numpy takes a NumPy array, not {type(array).__name__}: write `tg.Tensor(data)` "
            "for a copy"
        )
    return wrap(as_array(array), Storage(FOREIGN))


@lru_cache(maxsize=4096)
def _constant(value: float, negative: bool, dtype: np.dtype[Any]) -> Tensor:
    kinds = {"f": float, "b": bool}
    array = np.array(kinds.get(dtype.kind, int)(value), dtype)
    array.flags.writeable = False  # shared by all who use this number; a literal to the compiler
    return wrap(array)


def constant(value: float, dtype: np.dtype[Any]) -> Tensor:
    """A Python number as a 0-d tensor; 0.0 and -0.0 are equal, but not the same."""
    return _constant(value, not value and str(value)[0] == "-", dtype)


def as_tensor(value: Any) -> Tensor:
    """The tensor itself, or a constant made of an array (on its memory), list or number."""
    if type(value) is Tensor:
        return value
    return from_numpy(value) if isinstance(value, np.ndarray) else wrap(as_array(value))
