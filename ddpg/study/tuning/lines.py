"""The file of a tuning's trials: lines of JSON that only grow, each with a checksum.

    lines = Lines(path)                      # says no to a file in which anything was changed
    lines.append_logs([{"op_code": 4}])      # on the disk when this returns
    lines.read_logs(0)                       # all of them

It is a backend of Optuna's journal storage. The checksum is a value more in each line, which Optuna
passes over: its dashboard shows the file. It is of the line and of all before it, so that none can
be missing either.
"""

import json
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ddpg.errors import UsageError

_SEALED = re.compile(rb'(\{.+),"checksum":(\d+)\}')


class Lines:
    """A journal on disk, of which one process at a time is at work.

    Half a line at its end is what a process left that was killed, and is taken away.

    Parameters
    ----------
    path : the file; made if there is none.

    Raises
    ------
    UsageError : if it can't be read, or a line is not as it was written.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._checksum = path, 0
        try:
            path.touch()
            data = path.read_bytes()
            whole = data[: data.rfind(b"\n") + 1]
            if len(whole) < len(data):
                os.truncate(path, len(whole))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        self._logs = [self._read(line, i + 1) for i, line in enumerate(whole.splitlines())]

    def read_logs(self, log_number_from: int) -> Sequence[dict[str, Any]]:
        """Those from a number on, the first of which is 0."""
        return self._logs[log_number_from:]

    def append_logs(self, logs: Sequence[dict[str, Any]]) -> None:
        """Add some.

        Raises
        ------
        OSError : if the disk is full, for instance.
        """
        data, checksum = b"", self._checksum
        for log in logs:
            text = json.dumps(log, separators=(",", ":")).encode("ascii")[:-1]
            checksum = zlib.crc32(text, checksum)
            data += b'%b,"checksum":%d}\n' % (text, checksum)
        with self._path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._checksum = checksum
        self._logs += logs

    def _read(self, line: bytes, number: int) -> dict[str, Any]:
        sealed = _SEALED.fullmatch(line)
        if sealed is not None:
            self._checksum = zlib.crc32(sealed[1], self._checksum)
        if sealed is None or self._checksum != int(sealed[2]):
            raise UsageError(
                f"{self._path} is damaged: line {number} is not as it was written; without the "
                "file the same trials are chosen again, and those whose runs are there count"
            )
        log: dict[str, Any] = json.loads(sealed[1] + b"}")
        return log
