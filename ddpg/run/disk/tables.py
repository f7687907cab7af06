"""Tables of a run: CSV files that grow by whole lines, and go on where a checkpoint says.

    table = Table(path, ("step", "return"))
    table.append({"step": 200, "return": -1234.5})
    saved = table.save()                              # its length, and a checksum of it
    Table(path, ("step", "return"), **saved).rows     # what stood in it then
    read_table(path)                                  # what stands in it, whoever is writing to it
    read_last(path)                                   # its last line alone

What `rows` holds is what stands in the file, to its eight digits: a run that goes on from the file
knows the same as one that was never interrupted.
"""

import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ddpg.errors import UsageError

LONGEST_LINE = 4096
"""Bytes that a line has at most."""


class Table:
    """A table on disk; a killed run leaves one that can be read.

    Parameters
    ----------
    path : the file; made if there is none.
    columns : their names.
    length, checksum : as `save` gave them; an empty table by default. `keep` cuts off what the file
        has beyond.

    Attributes
    ----------
    rows : a dict per line, numbers by column.

    Raises
    ------
    UsageError : if the file does not begin with what these say; it is left as it was.
    """

    def __init__(
        self, path: Path, columns: Sequence[str], length: int = 0, checksum: int = 0
    ) -> None:
        self._path, self._columns = path, tuple(columns)
        self._length, self._checksum = length, checksum
        self.rows = self._read()
        self._file = -1  # until `keep` opens it: to look at a table changes nothing

    def keep(self) -> None:
        """Open the file, cut off what stands behind `rows`, and go on from there."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self._path, flags, 0o666)
        os.ftruncate(self._file, self._length)
        if self._length == 0:
            self._write(self._columns)

    def close(self) -> None:
        """No more lines."""
        if self._file >= 0:
            os.close(self._file)

    def append(self, row: Mapping[str, float]) -> None:
        """Add one line, at once; `row` has a number for each column.

        Raises
        ------
        OSError : if the disk is full, for instance; the table ends with the line before.
        """
        cells = [_cell(row[name]) for name in self._columns]
        self._write(cells)
        self.rows.append(self._parsed(cells))

    def save(self) -> dict[str, Any]:
        """Everything is on the disk when this returns.

        Returns
        -------
        dict : `length` in bytes, and `checksum`.
        """
        os.fsync(self._file)
        return {"length": self._length, "checksum": self._checksum}

    def _write(self, cells: Sequence[str]) -> None:
        data = (",".join(cells) + "\n").encode("ascii")
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._length + written)
        except OSError:
            os.ftruncate(self._file, self._length)
            raise
        self._length += len(data)
        self._checksum = zlib.crc32(data, self._checksum)

    def _read(self) -> list[dict[str, float]]:
        if self._length == 0:
            return []
        if not self._path.is_file():
            raise UsageError(f"{self._path} is missing")
        damaged = UsageError(f"{self._path} is damaged: it does not begin as the run wrote it")
        if self._path.stat().st_size < self._length:
            raise damaged
        with self._path.open("rb") as file:
            data = file.read(self._length)
        if zlib.crc32(data) != self._checksum:
            raise damaged
        try:
            header, *lines = data.decode("ascii").splitlines()
            if header != ",".join(self._columns):
                raise damaged
            return [self._parsed(line.split(",")) for line in lines]
        except ValueError as error:  # no table of ours, although somebody made it fit
            raise damaged from error

    def _parsed(self, cells: Sequence[str]) -> dict[str, float]:
        return {name: _number(c) for name, c in zip(self._columns, cells, strict=True)}


def read_table(
    path: Path, column: str = "step", length: int = 0, checksum: int = 0
) -> list[dict[str, float]]:
    """The whole lines of a table, a dict each; none where there is no file.

    A run may be writing to it: a line whose end is not there yet does not count.

    Parameters
    ----------
    path : the file.
    column : that it must have, beside "step".
    length, checksum : as `Table.save` gave them, of what it must begin with.

    Raises
    ------
    UsageError : if the file can't be read, is no table of numbers with these columns, or does not
        begin as it was written.
    """
    try:
        data = path.read_bytes()
        if len(data) < length or zlib.crc32(data[:length]) != checksum:
            raise UsageError(f"{path} is damaged: it does not begin as the run wrote it")
        text = data.decode("ascii")
        header, *lines = text[: text.rfind("\n") + 1].splitlines() or ["step"]
        columns = header.split(",")
        rows = [dict(zip(columns, map(_number, s.split(",")), strict=True)) for s in lines]
    except FileNotFoundError as error:
        if length == 0:
            return []
        raise UsageError(f"{path} is missing") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{path} is damaged: it holds no table of numbers") from error
    for name in ("step", column) if data else ():
        if name not in columns:
            raise UsageError(f"{path} is damaged: it has no column {name}")
    return rows


def read_last(path: Path) -> dict[str, float] | None:
    """The last whole line of a table with a column "step", without the others, or None."""
    try:
        with path.open("rb") as file:
            columns = file.readline().decode("ascii").strip().split(",")
            start = file.tell()
            file.seek(max(start, file.seek(0, os.SEEK_END) - LONGEST_LINE))
            lines = file.read().split(b"\n")
        cells = lines[-2].decode("ascii").split(",")  # behind the last end of a line is nothing
        row = dict(zip(columns, map(_number, cells), strict=True))
    except (OSError, ValueError, IndexError):  # not there yet, or not whole
        return None
    return row if "step" in row else None


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.8g}"


def _number(cell: str) -> float:
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)
