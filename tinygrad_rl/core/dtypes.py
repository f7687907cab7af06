"""What a tensor can hold, and what NumPy, Numba, a listing and a file call each of the dtypes.

DTYPES[array.dtype].numba             # "float32"
"""

from typing import Any, NamedTuple, NoReturn

import numpy as np


class DType(NamedTuple):
    """One supported dtype under its names."""

    numpy: np.dtype[Any]
    numba: str
    short: str  # in a program's listing
    code: str  # in a safetensors file


DTYPES = {
    dtype.numpy: dtype
    for dtype in (
        DType(np.dtype(np.float32), "float32", "f32", "F32"),
        DType(np.dtype(np.float64), "float64", "f64", "F64"),
        DType(np.dtype(np.int64), "int64", "i64", "I64"),
        DType(np.dtype(np.int32), "int32", "i32", "I32"),
        DType(np.dtype(np.uint8), "uint8", "u8", "U8"),
        DType(np.dtype(np.bool_), "boolean", "bool", "BOOL"),
    )
}


class Size(int):
    """A number of elements: an int, which answers when it is called, as PyTorch's `x.size(0)`."""

    __slots__ = ()

    def __call__(self, *axis: int) -> NoReturn:
        """Say what to write."""
        raise TypeError(
            f"x.size is a number, here {int(self)}, that can't be called: write `x.shape` for "
            "PyTorch's x.size(), and `x.shape[0]` for x.size(0)"
        )


NUMBA = {dtype: names.numba for dtype, names in DTYPES.items()}
