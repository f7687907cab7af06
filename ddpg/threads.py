"""How many threads matrix products may use: for small networks, more than one is slower.

with blas_threads(1): ...
"""

# Numba's matrix products call SciPy's BLAS, which it loads when it first needs it; a limit holds
# only for what is loaded by then, so it is loaded here.
import scipy.linalg.cython_blas  # noqa: F401
from threadpoolctl import threadpool_limits


def blas_threads(threads: int) -> threadpool_limits:
    """Limit NumPy's and SciPy's BLAS inside the block."""
    return threadpool_limits(threads, user_api="blas")
