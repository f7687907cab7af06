"""Turn generated source text into an imported module whose Numba functions are cached on disk.

    module = load(source, "mul")          # writes mul_<digest>.py once, imports it, compiles once

Numba refuses to cache functions that were `exec`'d, so every generated kernel lives in a real file
that can be opened, read and debugged. The file's name carries a digest of its text and of everything
the machine code depends on, so another version of Numba or another CPU never meets a stale file.
"""

import hashlib
import importlib.util
import json
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np

_lock = threading.RLock()


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
        # Not `TemporaryDirectory`: its finalizer would run while Numba may still write.
        fallback = Path(tempfile.mkdtemp(prefix="tinygrad_rl-"))
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
    scalar = Path(__file__).with_name("scalar.py")
    parts = (
        sys.version,
        numba.__version__,
        llvmlite.__version__,
        np.__version__,
        llvmlite.binding.get_host_cpu_name(),
        llvmlite.binding.get_host_cpu_features().flatten(),
        hashlib.sha256(
            b"".join(f.read_bytes() for f in sorted(scalar.parent.glob("*.py")))
        ).hexdigest(),
    )
    return "\n".join(parts)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash, sees the old file or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(source: str, stem: str, names: Mapping[str, Any] | None = None) -> ModuleType:
    """Import `source` from its file in the cache, writing the file when it is not there yet.

    Parameters
    ----------
    source : the module's text; its `@njit(cache=True)` functions carry explicit signatures, so that
        importing it compiles them or takes them from the cache.
    stem : start of the file's name, for people who look into the folder.
    names : objects that the module finds among its globals; the source must identify them, since the
        cache knows only the source.
    """
    digest = hashlib.sha256(f"{_environment()}\n{source}".encode()).hexdigest()[:20]
    name = f"{stem}_{digest}"
    with _lock:
        if name in sys.modules:
            return sys.modules[name]
        path = cache_dir() / f"{name}.py"
        text = source.encode()
        if not path.is_file() or path.read_bytes() != text:
            _forget(path)
            write_atomically(path, text)
        if not _intact(path):
            _forget(path)
        try:
            module = _import(name, path, names or {})
        except Exception:
            # A cache file may have changed under us between the check and the import.
            if not _compiled_files(path):
                raise
            _forget(path)
            module = _import(name, path, names or {})
        _seal(path)
        return module


def _import(name: str, path: Path, names: Mapping[str, Any]) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _compiled_files(path: Path) -> list[Path]:
    """Numba's index and machine code files of one generated source file."""
    folder = Path(os.environ["NUMBA_CACHE_DIR"]) if "NUMBA_CACHE_DIR" in os.environ else path.parent
    return sorted(file for file in folder.rglob(f"{path.stem}.*.nb[ic]"))


def _seal_path(path: Path) -> Path:
    return path.with_suffix(".seal")


def _fingerprint(path: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in _compiled_files(path)}


def _seal(path: Path) -> None:
    """Note the digests of the compiled files, so that a damaged one is noticed before it runs."""
    try:
        seal = json.dumps(_fingerprint(path)).encode()
        if not _seal_path(path).is_file() or _seal_path(path).read_bytes() != seal:
            write_atomically(_seal_path(path), seal)
    except OSError:
        _seal_path(path).unlink(missing_ok=True)


def _intact(path: Path) -> bool:
    """True when the compiled files are those that were sealed; machine code is never run unchecked."""
    try:
        return json.loads(_seal_path(path).read_bytes()) == _fingerprint(path)
    except (OSError, ValueError):
        return not _compiled_files(path)


def _forget(path: Path) -> None:
    for file in [*_compiled_files(path), _seal_path(path)]:
        file.unlink(missing_ok=True)
