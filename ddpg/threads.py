"""How many threads matrix products may use: for small networks, more than one is slower.

with blas_threads(1): ...
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

import scipy
from threadpoolctl import threadpool_limits

_SCIPY_BLAS = "scipy.linalg.cython_blas"


def blas_threads(threads: int) -> threadpool_limits:
    """Limit NumPy's and SciPy's BLAS inside the block."""
    # Numba loads SciPy's when it first needs it; a limit holds only for what is loaded by then.
    _load_scipy_blas()
    return threadpool_limits(threads, user_api="blas")


def _load_scipy_blas() -> None:
    """Import the one library that Numba asks for, without the large package around it."""
    if _SCIPY_BLAS in sys.modules:
        return
    folder = str(Path(scipy.__file__).parent / "linalg")
    spec = PathFinder.find_spec(_SCIPY_BLAS, [folder])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_SCIPY_BLAS] = module
