"""The dtypes that tensors can have, and what others call them."""

import numpy as np

NUMBA = {np.dtype(t): t for t in ("float32", "float64", "int64", "int32", "uint8")} | {
    np.dtype(bool): "boolean"
}
