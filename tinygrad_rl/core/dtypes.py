"""What a tensor can hold, and what NumPy, Numba, a listing and a file call each of the dtypes.

DTYPES[array.dtype].numba             # "float32"
"""

from typing import Any, NamedTuple

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

NUMBA = {dtype: names.numba for dtype, names in DTYPES.items()}
