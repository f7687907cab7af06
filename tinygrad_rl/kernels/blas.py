"""What Numba needs of SciPy, and no more.

Before Numba compiles or loads its first function it imports `scipy.linalg.cython_blas`, and with it
a package that takes a fifth of a second and that nothing here uses. The one library is enough.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec

_NAME = "scipy.linalg.cython_blas"


def load_blas_alone() -> None:
    """Import SciPy's BLAS without the package around it, which can still be imported later."""
    if _NAME in sys.modules or "scipy.linalg" in sys.modules:
        return
    scipy = find_spec("scipy")
    folders = scipy.submodule_search_locations if scipy is not None else None
    spec = PathFinder.find_spec(_NAME, [os.path.join(f, "linalg") for f in folders or ()])
    if spec is None or spec.loader is None:  # it is elsewhere, and for Numba to find
        return
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_NAME] = module
