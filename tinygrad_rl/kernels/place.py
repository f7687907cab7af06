"""The folder that compiled code is kept in, and what is said when that is not possible.

path = cache_dir() / "mul.py"         # the user's folder, or after a warning a private one
give_up(path.parent, error)           # cannot be used after all: the next call says another
"""

import atexit
import errno
import os
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path

from tinygrad_rl.kernels import private

_given_up: set[Path] = set()
_said: set[str] = set()
"""Kinds of warnings that this process has seen: one of a kind is enough."""
_unsaid: list[str] = []


@cache
def _configured() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = os.environ.get("TINYGRAD_RL_CACHE") or os.path.join(base, "tinygrad_rl")
    return Path(os.path.abspath(path))


@cache
def _temporary() -> Path:
    path, owner = Path(tempfile.mkdtemp(prefix="tinygrad_rl-")), os.getpid()

    def clear() -> None:
        if os.getpid() == owner:  # not a child made by fork
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(clear)
    return path


def cache_dir() -> Path:
    """Folder of the generated files: $TINYGRAD_RL_CACHE, else the user's cache folder.

    Where that can't be written to, or where another user could write to it, a private folder that
    lives as long as the process takes its place, with a warning. It is looked at again at each
    call: somebody may have cleared it, and another user may have made another one.

    Raises
    ------
    OSError : there is no place for a private folder either.
    """
    for place in (_configured, _temporary):
        path = place()
        if path not in _given_up:
            try:
                private.make_folder(path)
                if not os.access(path, os.W_OK):
                    raise PermissionError(errno.EACCES, "it cannot be written to")
                return path
            except OSError as error:
                give_up(path, error)
    raise OSError(errno.EACCES, "there is no folder for compiled code")


def give_up(path: Path, error: Exception) -> None:
    """Use a folder no more in this process, and warn."""
    _given_up.add(path)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    warn_once(
        "folder",
        f"compiled kernels cannot be kept in {path}: {reason}; every process will compile anew. "
        "Set TINYGRAD_RL_CACHE to a folder that you can write to and nobody else can.",
    )


def warn_once(kind: str, message: str) -> None:
    """Warn at the end of this `load`, unless the process has seen a warning of this kind."""
    if kind not in _said:
        _said.add(kind)
        _unsaid.append(message)


def say_warnings() -> None:
    """Say what is to be said: where warnings are errors, everything is in order by then."""
    while _unsaid:
        warnings.warn(_unsaid.pop(0), RuntimeWarning, stacklevel=3)
