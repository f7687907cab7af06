"""Writing files so that a killed process leaves nothing half-written."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Table:
    """A CSV file that grows by whole lines, so that a killed run leaves a table that can be read.

    Parameters
    ----------
    path : written anew.
    columns : names of the columns, the first line.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._write(self._columns)

    def close(self) -> None:
        """No more lines."""
        self._file.close()

    def append(self, row: Mapping[str, float]) -> None:
        """Add one line; `row` has a number for each column."""
        self._write([_cell(row[name]) for name in self._columns])

    def _write(self, cells: Sequence[str]) -> None:
        self._file.write(",".join(cells) + "\n")
        self._file.flush()


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.8g}"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make the file beside its place, then move it there in one step."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
