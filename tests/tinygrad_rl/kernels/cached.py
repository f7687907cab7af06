"""A kernel for tests of the cache: in a process of its own, or in this one."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.tinygrad_rl import processes
from tinygrad_rl.kernels import cache

SOURCE = """\
from numba import float64, njit, void
from numba.types import Array

@njit(void(Array(float64, 1, "C"), Array(float64, 1, "C")), cache=True)
def kernel(out, x):
    for i in range(out.shape[0]):
        out[i] = 3 * x[i] + 0.25
"""
# Prints what the kernel computes, and whether Numba took its machine code from the cache.
PROGRAM = f"""\
import numpy as np
from tinygrad_rl.kernels.cache import load

kernel = load({SOURCE!r}, "probe").kernel
out = np.empty(2)
kernel(out, np.array([1.0, 2.0]))
print(out.tolist(), sum(kernel.stats.cache_hits.values()))
"""


def start(folder: Path, before: str = "", **environment: str) -> subprocess.Popen[str]:
    return processes.start([sys.executable, "-c", before + PROGRAM], folder, **environment)


def finish(process: subprocess.Popen[str]) -> tuple[bool, str]:
    """Whether the kernel came from the cache, and what was said on standard error."""
    out, err = process.communicate(timeout=processes.PATIENCE)
    assert process.returncode == 0, err
    values, hits = out.rsplit(maxsplit=1)
    assert values == "[3.25, 6.25]"
    return hits != "0", err


def run(folder: Path, **environment: str) -> bool:
    return finish(start(folder, **environment))[0]


def unload() -> None:
    for name in [n for n in sys.modules if n.startswith("probe_")]:
        del sys.modules[name]


def again() -> bool:
    """Load the kernel anew in this process; whether it came from the cache."""
    unload()
    kernel = cache.load(SOURCE, "probe").kernel
    out = np.empty(2)
    kernel(out, np.array([1.0, 2.0]))
    assert out.tolist() == [3.25, 6.25]
    return bool(sum(kernel.stats.cache_hits.values()))


def only(folder: Path, pattern: str) -> Path:
    (file,) = folder.rglob(pattern)
    return file
