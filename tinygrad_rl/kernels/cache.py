"""Turn generated source text into an imported module whose Numba functions are cached on disk.

    module = load(source, "mul")          # writes mul_<digest>.py once, imports it, compiles once
    release(module)                       # the last user's: its files are deleted

Numba refuses to cache functions that were `exec`'d, so every generated kernel has a real file that
can be opened, read and debugged. The file's name carries a digest of its text and of everything
the machine code depends on, so another version of Numba or another CPU never meets a stale file.

What runs is the text in memory, never what the file says. Bytecode and Numba's files, the index
(which Numba unpickles) and the machine code, carry a seal: SHA-256 digests, compared before any of
it is loaded (`seal.py`). The seal is there for damage. It is no help against other users, since who
can write a file can write a seal; what keeps them out is the folder, and each file's owner and mode
(`private.py`). Numba reads its files itself, a moment after they were verified, and only a program
of the same user could come between.

A folder that can't be used costs a warning and speed, never the program: a private folder takes its
place (`place.py`), and where nothing can be written at all, code is compiled in memory.
"""

import errno
import gc
import hashlib
import importlib.util
import linecache
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.abc import SourceLoader
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from numba.core.caching import Cache, FunctionCache
from numba.core.errors import NumbaError
from numba.core.runtime import rtsys

from tinygrad_rl.files import write_atomically
from tinygrad_rl.kernels import seal
from tinygrad_rl.kernels.forks import compiling
from tinygrad_rl.kernels.place import cache_dir, give_up, say_warnings
from tinygrad_rl.kernels.signals import signals_deferred

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_users: dict[str, int] = {}
"""How many users a loaded module has, by its name."""


@cache
def _environment() -> str:
    """Everything besides the source that the machine code depends on."""
    kernels = sorted(Path(__file__).parent.glob("*.py"))
    parts = (
        sys.version,
        str(sys.flags.optimize),
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

    Returns
    -------
    ModuleType : the same one for the same source, until each call's module is released.
    """
    digest = hashlib.sha256(f"{_environment()}\n{source}".encode()).hexdigest()[:20]
    name = f"{stem}_{digest}"
    with compiling:
        with signals_deferred():
            _load_blas_alone()
            np.ma  # noqa: B018  (imported at its first use, which Numba makes when others may fork)
            module = sys.modules.get(name)
            if module is None:
                module = _loaded(name, source.encode(), names or {})
                _users[name] = 0
        _users[name] += 1
        say_warnings()
        return module


def release(module: ModuleType) -> None:
    """Say that one `load` of a module is no longer needed; after the last, its files are deleted.

    Functions of it that somebody still holds keep working. Files that another process is
    loading stay.
    """
    name = module.__name__
    with compiling, signals_deferred():
        if sys.modules.get(name) is not module:  # it was released before
            return
        _users[name] -= 1
        if _users[name]:
            return
        del _users[name]
        del sys.modules[name]
        path = Path(str(module.__file__))
        if path.is_absolute():  # else it is in memory only
            with suppress(OSError), _alone(path, wait=False):
                seal.forget(path)
                path.unlink()
        linecache.checkcache(str(path))


def _loaded(name: str, text: bytes, names: Mapping[str, Any]) -> ModuleType:
    """The module, from disk if possible."""
    try:
        path = cache_dir() / f"{name}.py"
    except OSError:
        return _in_memory(name, text, names)
    try:
        return _kept(name, path, text, names)
    except NumbaError:  # the text is at fault
        raise
    except Exception as error:
        with suppress(OSError):  # what is there is not complete; on a full disk, somebody needs it
            seal.forget(path)
        module = _in_memory(name, text, names)
        give_up(path.parent, error)
        return module


def _in_memory(name: str, text: bytes, names: Mapping[str, Any]) -> ModuleType:
    text = text.replace(b"cache=True", b"cache=False")
    return _import(name, _Loader(f"{name}.py (in memory)", text), names)


def _kept(name: str, path: Path, text: bytes, names: Mapping[str, Any]) -> ModuleType:
    """The module, by its files, which are there afterwards."""
    for _ in range(100):
        with suppress(FileNotFoundError):  # another process has released it at this moment
            seal.write_source(path, text)
            with _alone(path), _numba_beside_the_source():
                return _verified(name, path, text, names)
    raise FileNotFoundError(errno.ENOENT, "it is being cleared all the time")


@contextmanager
def _alone(path: Path, wait: bool = True) -> Iterator[None]:
    """Let one process at a time compile this file: the next one finds the result.

    Where locks are not to be had, two may compile it, and the last one's files stay.
    """
    with path.open("rb") as file:
        try:
            if fcntl is not None:  # the lock goes with the process, however that ends
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            pass
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise FileNotFoundError(errno.ENOENT, "another file took its place meanwhile")
        yield


@contextmanager
def _numba_beside_the_source() -> Iterator[None]:
    """Let Numba keep what it compiles in `__pycache__`, and look for it nowhere else.

    Else $NUMBA_CACHE_DIR, or `~/.cache/numba` when a disk is full, would be places whose files are
    unpickled without having been verified. Holds for all threads, for the time of an import.
    """
    config = numba.config
    config.reload_config()  # which Numba does while it compiles
    ours = {"CACHE_DIR": "", "CACHE_LOCATOR_CLASSES": "InTreeCacheLocator"}
    theirs = {name: getattr(config, name) for name in ours if hasattr(config, name)}
    try:
        for name in theirs:
            setattr(config, name, ours[name])
        yield
    finally:
        for name, value in theirs.items():
            setattr(config, name, value)


@contextmanager
def _only_loading() -> Iterator[None]:
    """Let Numba load functions without first registering all that it could compile.

    That is most of the time that the first one takes. Numba does it again, whether it was done or
    not, before it compiles.
    """
    FunctionCache.load_overload = _load_overload
    try:
        yield
    finally:
        del FunctionCache.load_overload


def _load_overload(cache: FunctionCache, signature: Any, context: Any) -> Any:
    context.refresh = partial(rtsys.initialize, context)  # all that machine code needs
    try:
        return Cache.load_overload(cache, signature, context)
    finally:
        del context.refresh


def _verified(name: str, path: Path, text: bytes, names: Mapping[str, Any]) -> ModuleType:
    """Import; what was compiled and is not what was sealed is compiled anew instead of run."""
    folder = seal.code_folder(path)
    before = folder.stat().st_mtime_ns
    files = seal.verified(path, text)
    if files is not None:
        try:
            with _only_loading():
                module = _import(name, _Loader(str(path), text, folder, files), names)
        except Exception:  # it was made by what is no longer there, or changed under us
            files = None
    if files is None:
        seal.forget(path)
        module = _import(name, _Loader(str(path), text, folder), names)
    if files is None or folder.stat().st_mtime_ns != before:
        try:
            seal.seal(path)
        except OSError as error:  # unsealed, it is compiled anew next time
            give_up(path.parent, error)
    return module


class _Loader(SourceLoader):
    """Runs a text in memory, under a file's name, by its bytecode if that was verified."""

    def __init__(
        self,
        path: str,
        text: bytes,
        folder: Path | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._path = path
        self._text = text
        self._folder = folder
        self._files = files or {}

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_data(self, path: str) -> bytes:
        """The source, or its bytecode if there is any."""
        if path == self._path:
            return self._text
        try:
            return self._files[os.path.basename(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def path_stats(self, path: str) -> Mapping[str, Any]:
        return {"mtime": 0, "size": len(self._text)}  # a file's name says what is in it

    def set_data(self, path: str, data: bytes) -> None:
        """Keep bytecode."""
        if self._folder is not None:
            write_atomically(self._folder / os.path.basename(path), data, 0o600)


def _import(name: str, loader: _Loader, names: Mapping[str, Any]) -> ModuleType:
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(names)
    sys.modules[name] = module
    collecting = gc.isenabled()
    gc.disable()  # compiling leaves little garbage, and to search it is a fifth of its time
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        if collecting:
            gc.enable()
    return module


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
