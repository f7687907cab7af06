"""How many threads a run may use.

with limited_threads(1): ...
"""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

import tinygrad_rl as tg


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit large compiled functions, and NumPy's matrix products, inside the block."""
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        tg.set_num_threads(before)
