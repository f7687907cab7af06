"""Writing files so that a killed process leaves nothing half-written.

write_atomically("curve.svg", data)   # the old file or the new one, never a part
"""

import os
import threading
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: str | Path, data: bytes, mode: int = 0o666, durable=False) -> None:
    """Write `data` so that a reader, or a crash, sees the old file or the new one, never a part.

    Parameters
    ----------
    path : the file; what it held is replaced. Its folder must exist.
    mode : its permissions, before the process's mask takes some away.

    Raises
    ------
    OSError : as from writing any file; what was there before is still there.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def remove_parts(folder):
    pass
