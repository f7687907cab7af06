"""Writing files so that a killed process leaves nothing half-written, and reading only files.

write_atomically("curve.svg", data)   # the old file or the new one, never a part
remove_parts("runs/p1")               # what killed processes could not remove
"""

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

__all__ = ["write_atomically", "remove_parts", "is_part", "open_regular"]

_PART = re.compile(r"\..+\.\d+\.\d+\.part", re.DOTALL)
# A folder that may be written to but not read, and file systems that have no such call.
_CANNOT_SYNC = {errno.EACCES, errno.EPERM, errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}


def write_atomically(
    path: str | Path, data: bytes, mode: int = 0o666, durable: bool = False
) -> None:
    """Write `data` so that a reader, or a crash, sees the old file or the new one, never a part.

    Parameters
    ----------
    path : the file; what it held is replaced. Its folder must exist.
    mode : its permissions, before the process's mask takes some away.
    durable : whether this holds for a power cut too, and the new file is on the disk on return.
        It costs a wait for the disk.

    Raises
    ------
    OSError : as from writing any file; what was there before is still there. The one exception is a
        disk that fails, when durable, after the new file was put in place.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
            if durable:  # before it gets its name: else a power cut may leave the name alone
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        if error.errno and error.filename is None:  # of a write, which knows a number only
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the file system can do that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def remove_parts(folder: str | Path) -> None:
    """Remove what `write_atomically` left in a folder when its process was killed.

    Nobody may be writing there at the same time: a part of a file that is being written looks the
    same.

    Raises
    ------
    OSError : where the folder can't be read, or one of them can't be removed.
    """
    for path in Path(folder).iterdir():
        if is_part(path):
            path.unlink()


def is_part(path: Path) -> bool:
    """Whether a file is what `write_atomically` left behind, or is at work on."""
    return _PART.fullmatch(path.name) is not None and path.is_file()


@contextmanager
def open_regular(path: str | Path) -> Iterator[BufferedReader]:
    """Open a file for a `with` block that reads it; what may have no end is refused.

    Raises
    ------
    OSError : as from `open`.
    ValueError : for a device, pipe or socket.
    """
    # Without O_NONBLOCK opening a pipe would wait until somebody writes into it.
    with open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
    ) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is a device or a pipe, not a file")
        yield file
