import json
import subprocess
import sys

PROGRAM = """
from ddpg.threads import blas_threads
with blas_threads(1):
    import scipy.linalg.cython_blas
    from threadpoolctl import threadpool_info
    libraries = [i for i in threadpool_info() if i["user_api"] == "blas"]
    print([library["num_threads"] for library in libraries])
"""


AFTERWARDS = """
import sys
from ddpg.threads import blas_threads
with blas_threads(1):
    assert "scipy.linalg" not in sys.modules
    import numpy as np
    import scipy.linalg, scipy.optimize
    from scipy.linalg import cython_blas
    from numba import njit
    eye = np.eye(2)
    assert (njit(lambda a: np.dot(a, a))(eye) == scipy.linalg.inv(eye)).all()
"""


def test_the_blas_that_compiled_code_calls_is_limited_too():
    """In a process of its own, where it is not loaded yet."""
    assert set(json.loads(output_of(PROGRAM))) == {1}


def test_the_rest_of_scipy_is_not_loaded_and_can_be_loaded_later():
    output_of(AFTERWARDS)


def output_of(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
