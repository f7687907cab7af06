"""What every test shares: one BLAS thread, no screen, and the same random numbers each run."""

import os
import signal

# Before anything loads a BLAS: test workers run side by side, and a thread pool in each of them
# would only take the cores from the others.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
from hypothesis import settings

# A shell has what it starts in the background ignore these, and a run would, too, as it promises.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (getattr(signal, "SIGHUP", None), signal.SIG_DFL),
):
    if number is not None and signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

# The first call of a kernel compiles it, so that single examples have no meaningful deadline.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of the test's own, the same in every run."""
    return np.random.default_rng(20240)
