"""Writing files so that a killed process leaves nothing half-written.

write_atomically("curve.svg", data)   # the old file or the new one, never a part
"""

import os
import threading
from pathlib import Path

__all__ = ["write_atomically"]


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` so that a reader, or a crash, sees the old file or the new one, never a part.

    Parameters
    ----------
    path : the file; what it held is replaced. Its folder must exist.

    Raises
    ------
    OSError : as from writing any file; what was there before is still there.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
