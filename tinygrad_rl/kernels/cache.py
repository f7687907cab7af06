"""Turn generated source text into an imported module whose Numba functions are cached on disk.

    module = load(source, "mul")          # writes mul_<digest>.py once, imports it, compiles once

Numba refuses to cache functions that were `exec`'d, so every generated kernel lives in a real file
that can be opened, read and debugged. The file's name carries a digest of its text and of
everything the machine code depends on, so another version of Numba or another CPU never meets a
stale file.
"""

import atexit
import gc
import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np

from tinygrad_rl.files import write_atomically
from tinygrad_rl.kernels.forks import compiling

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@cache
def cache_dir() -> Path:
    """Folder of the generated files: $TINYGRAD_RL_CACHE, else the user's cache folder.

    Falls back to a folder that lives as long as the process, with a warning, where neither can be
    written to.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(os.environ.get("TINYGRAD_RL_CACHE") or os.path.join(base, "tinygrad_rl"))
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as error:
        fallback = Path(tempfile.mkdtemp(prefix="tinygrad_rl-"))
        atexit.register(shutil.rmtree, fallback, ignore_errors=True)
        warnings.warn(
            f"compiled kernels cannot be kept in {path} ({error.strerror or error}); every process "
            "will compile anew. Set TINYGRAD_RL_CACHE to a folder that can be written to.",
            RuntimeWarning,
            stacklevel=2,
        )
        return fallback


@cache
def _environment() -> str:
    """Everything besides the source that the machine code depends on."""
    kernels = sorted(Path(__file__).parent.glob("*.py"))
    parts = (
        sys.version,
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
        hashlib.sha256(b"".join(f.read_bytes() for f in kernels)).hexdigest(),
    )
    return "\n".join(parts)


def load(source: str, stem: str, names: Mapping[str, Any] | None = None) -> ModuleType:
    """Import `source` from its file in the cache, writing the file when it is not there yet.

    Parameters
    ----------
    source : the module's text; its `@njit(cache=True)` functions carry explicit signatures, so that
        importing it compiles them or takes them from the cache.
    stem : start of the file's name, for people who look into the folder.
    names : objects that the module finds among its globals; the source must identify them, since
        the cache knows only the source.
    """
    digest = hashlib.sha256(f"{_environment()}\n{source}".encode()).hexdigest()[:20]
    name = f"{stem}_{digest}"
    with compiling:
        _load_blas_alone()
        np.ma  # noqa: B018  (imported at its first use, which Numba makes when others may fork)
        if name in sys.modules:
            return sys.modules[name]
        path = cache_dir() / f"{name}.py"
        try:
            return _written(name, path, source.encode(), names or {})
        except FileNotFoundError:  # somebody was clearing the folder at this moment
            return _written(name, path, source.encode(), names or {})


def _load_blas_alone() -> None:
    """Import the part of SciPy that Numba wants, `cython_blas`, without the package around it.

    Before Numba compiles or loads its first function it imports that one library, and with it a
    package that takes a fifth of a second and that nothing here uses. It can still be imported.
    """
    name = "scipy.linalg.cython_blas"
    if name in sys.modules or "scipy.linalg" in sys.modules:
        return
    scipy = importlib.util.find_spec("scipy")
    folders = scipy.submodule_search_locations if scipy is not None else None
    spec = PathFinder.find_spec(name, [os.path.join(f, "linalg") for f in folders or ()])
    if spec is not None and spec.loader is not None:  # else it is for Numba to find
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module


def _written(name: str, path: Path, text: bytes, names: Mapping[str, Any]) -> ModuleType:
    """The module of this text, from its file."""
    if not path.is_file() or path.read_bytes() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    with _alone(path):
        return _verified(name, path, names)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time compile this file: the next one finds the result.

    Where locks are not to be had, two may compile it, and the last one's files stay.
    """
    with path.open("rb") as file:
        with suppress(OSError):
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)  # goes with the process, however that ends
        yield


def _verified(name: str, path: Path, names: Mapping[str, Any]) -> ModuleType:
    """Import; machine code that is not what was sealed is compiled anew instead of run."""
    intact = _intact(path)
    if not intact:
        _forget(path)
    try:
        module = _import(name, path, names)
    except Exception:
        # A cache file may have changed under us between the check and the import.
        if not _compiled_files(path):
            raise
        intact = False
        _forget(path)
        module = _import(name, path, names)
    if not intact:
        _seal(path)
    return module


def _import(name: str, path: Path, names: Mapping[str, Any]) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    sys.modules[name] = module
    collecting = gc.isenabled()
    gc.disable()  # compiling leaves little garbage, and to search it is a fifth of its time
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        if collecting:
            gc.enable()
    return module


# -- what Numba wrote, and the seal on it ----------------------------------------------------------


def _folder(path: Path) -> Path:
    """Where Numba keeps the machine code of a source file."""
    if numba.config.CACHE_DIR:
        index = next(Path(numba.config.CACHE_DIR).glob(f"*/{path.stem}.*.nbi"), None)
        return Path(numba.config.CACHE_DIR) if index is None else index.parent
    return path.parent / "__pycache__"


def _compiled_files(path: Path) -> list[Path]:
    """Numba's index and machine code files of one source file."""
    return sorted(_folder(path).glob(f"{path.stem}.*.nb[ic]"))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _seal(path: Path) -> None:
    """Record the digests of the compiled files, so that a damaged one is seen before it runs."""
    with suppress(OSError):  # unsealed, they are compiled anew next time
        digests = {file.name: _digest(file) for file in _compiled_files(path)}
        write_atomically(path.with_suffix(".seal"), json.dumps(digests).encode())


def _intact(path: Path) -> bool:
    """True when the compiled files are those that were sealed.

    Only sealed files are looked at: Numba finds the others through its index, which is one of them.
    """
    try:
        digests = json.loads(path.with_suffix(".seal").read_bytes())
        folder = _folder(path)
        return bool(digests) and all(_digest(folder / f) == d for f, d in digests.items())
    except (OSError, ValueError, AttributeError):
        return False


def _forget(path: Path) -> None:
    for file in [*_compiled_files(path), path.with_suffix(".seal")]:
        file.unlink(missing_ok=True)
