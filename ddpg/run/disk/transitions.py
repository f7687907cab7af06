"""Every transition of a run, in one file that only grows: what its replay is made of again.

    transitions = Transitions(path, replay)
    replay.add(...); transitions.append()
    saved = transitions.save()                    # on the disk; how many, and their checksums
    Transitions(path, replay, **saved).rows()

The file is plain: rows of little-endian float32, `np.fromfile(path, "<f4").reshape(-1, width)`.
How many of them count stands in the checkpoint, with a checksum of each block of them. What a
killed process wrote behind them is written over.
"""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ddpg.errors import UsageError, counted
from ddpg.replay import Replay

BLOCK = 4096
"""Rows to a checksum."""


class Transitions:
    """The file, and how far it is behind the replay.

    Parameters
    ----------
    path : the file; made with the first rows.
    replay : where the rows come from.
    count, checksums : as `save` gave them; a new file by default.

    Attributes
    ----------
    count : transitions, those that are not written yet included.

    Raises
    ------
    UsageError : if the file does not hold what these say; it is left as it was.
    """

    def __init__(
        self, path: Path, replay: Replay, count: int = 0, checksums: list[int] | None = None
    ) -> None:
        self._path, self._replay = path, replay
        self._checksums = list(checksums or [])
        self.count = self._written = count
        # Written before the replay forgets them, which it does when the next ones come.
        self._most = min(replay.capacity - replay.num_envs + 1, BLOCK)
        self._check()
        self._file = -1  # until there is something to write: to look at a run changes nothing

    def close(self) -> None:
        """No more rows."""
        if self._file >= 0:
            os.close(self._file)

    def append(self) -> None:
        """Take in what was added to the replay last: a transition of each environment."""
        self.count += self._replay.num_envs
        if self.count - self._written >= self._most:
            self._write()

    def save(self) -> dict[str, Any]:
        """Everything is on the disk, power loss included, when this returns.

        Returns
        -------
        dict : `count` and `checksums`.

        Raises
        ------
        OSError : if the disk is full, for instance; saving again later tries again.
        """
        self._open()
        self._write()
        os.fsync(self._file)
        return {"count": self.count, "checksums": list(self._checksums)}

    def rows(self) -> np.ndarray:
        """All of them, (count, width), as they lie in the file."""
        self._write()
        return _rows(self._path, self._replay.width, self.count)

    def _open(self) -> None:
        if self._file < 0:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
            self._file = os.open(self._path, flags, 0o666)

    def _write(self) -> None:
        """Where the next rows belong, not where the file ends: a failed attempt does no harm."""
        if self._written == self.count:
            return
        self._open()
        rows = self._replay.last_rows(self.count - self._written).astype("<f4", copy=False)
        data, place = rows.tobytes(), self._written * self._replay.width * 4
        while data:
            done = os.pwrite(self._file, data, place)
            data, place = data[done:], place + done
        while self._written < self.count:
            used = self._written % BLOCK
            block, rows = rows[: BLOCK - used], rows[BLOCK - used :]
            before = self._checksums.pop() if used else 0
            self._checksums.append(zlib.crc32(block.tobytes(), before))
            self._written += len(block)

    def _check(self) -> None:
        blocks = -(-self.count // BLOCK)
        if self.count < 0 or len(self._checksums) != blocks:
            raise UsageError(
                f"{self._path} can't be checked: of {counted(self.count, 'transition')} there "
                f"are checksums of {counted(len(self._checksums), 'block')}, not {blocks}"
            )
        if self.count == 0:
            return
        size = self._path.stat().st_size if self._path.is_file() else 0
        width = self._replay.width
        if (held := size // (4 * width)) < self.count:
            raise UsageError(
                f"{self._path} is cut off: {held:,} of {counted(self.count, 'transition')}"
            )
        rows = _rows(self._path, width, self.count)
        for start, checksum in zip(range(0, self.count, BLOCK), self._checksums, strict=True):
            block = rows[start : start + BLOCK]
            if zlib.crc32(block.tobytes()) != checksum:
                raise UsageError(
                    f"{self._path} is damaged: transitions {start + 1:,} to "
                    f"{start + len(block):,} (wrong checksum)"
                )
            if not np.isfinite(block).all():
                raise UsageError(f"{self._path} holds numbers that are not finite")


def _rows(path: Path, width: int, count: int) -> np.ndarray:
    if count == 0:
        return np.zeros((0, width), dtype=np.float32)
    return np.memmap(path, dtype="<f4", mode="r", shape=(count, width))
