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


def test_the_blas_that_compiled_code_calls_is_limited_too():
    """In a process of its own, where it is not loaded yet."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {1}
