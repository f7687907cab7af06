"""What was compiled from one source file, and the seal that shows damage.

    files = verified(path, text)          # name -> bytes of what was sealed, None if it is not that
    forget(path)                          # delete it, to be compiled anew
    seal(path)                            # once everything is compiled

`name.py` has bytecode, Numba's indices (.nbi) and machine code (.nbc) in `__pycache__`, and their
digests in `name.seal`.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from tinygrad_rl.files import write_atomically
from tinygrad_rl.kernels import private
from tinygrad_rl.kernels.place import warn_once

_CACHED = re.compile(rb"^@.*\bcache=True", re.MULTILINE)
"""The decorator of a function that Numba caches."""


def code_folder(path: Path) -> Path:
    """Where what is compiled from a source file is kept; it is made when it is not there."""
    private.make_folder(path.parent)  # else nothing in it is removed
    folder = path.parent / "__pycache__"
    if folder.is_symlink():
        private.remove(folder)
    try:
        private.make_folder(folder)
    except private.ExposedError:
        private.remove(folder)
        private.make_folder(folder)
    return folder


def write_source(path: Path, text: bytes) -> None:
    """Make the source file say what is compiled, for Numba and for people."""
    try:
        if private.read(path) == text:
            return
    except FileNotFoundError:
        pass
    except OSError:
        private.remove(path)
        _damaged(path)
    else:
        _damaged(path)
    write_atomically(path, text, 0o600)


def verified(path: Path, text: bytes) -> dict[str, bytes] | None:
    """Return the compiled files by name, or None if they are not all there as they were sealed."""
    folder = code_folder(path)
    try:
        digests = dict(json.loads(private.read(_seal_of(path))))
        files = {name: private.read(folder / name) for name in digests}
        intact = all(_digest(data) == digests[name] for name, data in files.items())
    except FileNotFoundError:  # compiling was cut short, or somebody was clearing the folder
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        intact = False
    if not intact:
        _damaged(path)
        return None
    # For a function without a sealed index, Numba would take one that nobody has sealed.
    indices = sum(name.endswith(".nbi") for name in files)
    return files if indices == len(_CACHED.findall(text)) else None


def seal(path: Path) -> None:
    """Record the digests of what is compiled now, and keep others from writing to it."""
    digests = {}
    for file in _compiled(path):
        file.chmod(0o600)
        digests[file.name] = _digest(private.read(file))
    private.remove(_seal_of(path))
    write_atomically(_seal_of(path), json.dumps(digests).encode(), 0o600)


def forget(path: Path) -> None:
    """Delete what is compiled, the seal first."""
    for file in (_seal_of(path), *_compiled(path)):
        private.remove(file)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _seal_of(path: Path) -> Path:
    return path.with_suffix(".seal")


def _compiled(path: Path) -> list[Path]:
    folder = code_folder(path)
    names = sorted(name for name in os.listdir(folder) if name.startswith(f"{path.stem}."))
    return [folder / name for name in names]


def _damaged(path: Path) -> None:
    warn_once(
        "damage",
        f"files of {path} in the cache of compiled code are not what was written there, and are "
        "compiled anew: the disk has damaged them, or somebody has changed them.",
    )
