"""Agents on disk: the last one and the best one, and the versions of them that a checkpoint knows.

An agent's file changes before the checkpoint that knows it, and the best one's with an evaluation
between two checkpoints. A run that goes on from the checkpoint before must go on with the file
before. So until there is a checkpoint that knows the new one, both are there.
"""

import os
import shutil
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import tinygrad_rl as tg
from ddpg.agent import DDPG
from ddpg.errors import UsageError


class AgentFile:
    """A file with an agent's state, and which of its versions belongs to the checkpoint.

    Parameters
    ----------
    path : the file; other programs find `actor.mlp.0.weight` and so on in it.
    earlier : where the version before is kept for a while.
    checksum : of the checkpoint's version; None if there was none.

    Attributes
    ----------
    checksum : of the file now.

    Raises
    ------
    UsageError : if the checkpoint's version is not there any more.
    """

    def __init__(self, path: Path, earlier: Path, checksum: int | None = None) -> None:
        self._path, self._earlier = path, earlier
        self._saved = self.checksum = checksum
        found = [p for p in (path, earlier) if _crc(p) == checksum]
        self._place = found[0] if found else path
        if checksum is not None and not found:
            raise UsageError(f"{path} is damaged or gone: it is not as the checkpoint knows it")

    def load(self) -> Any:
        """The state in the checkpoint's version.

        Raises
        ------
        UsageError : if it can't be loaded.
        """
        return load_state(self._place, "the run was not saved yet")

    def begin(self) -> None:
        """Bring the folder to the checkpoint."""
        if self.checksum is None:
            self._path.unlink(missing_ok=True)
        elif self._place != self._path:
            self._place.replace(self._path)
        self._earlier.unlink(missing_ok=True)

    def save(self, agent: DDPG) -> None:
        """Write a new version.

        Raises
        ------
        OSError : if that can't be done; the one before is still there.
        """
        if self.checksum is not None and self.checksum == self._saved:
            self._keep()
        tg.save(self._path, agent.state_dict())
        self.checksum = _crc(self._path)

    def _keep(self) -> None:
        self._earlier.unlink(missing_ok=True)
        try:
            os.link(self._path, self._earlier)
        except OSError:  # a file system without links
            shutil.copyfile(self._path, self._earlier)

    def saved(self) -> None:
        """A checkpoint knows the present version."""
        self._saved = self.checksum
        with suppress(OSError):
            self._earlier.unlink(missing_ok=True)


def load_state(path: Path, missing: str) -> Any:
    """What `tg.save` wrote.

    Raises
    ------
    UsageError : naming the file, if it is damaged, or absent, which `missing` explains.
    """
    try:
        return tg.load(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist: {missing}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # which names the file
        raise UsageError(str(error)) from error


def _crc(path: Path) -> int | None:
    try:
        return zlib.crc32(path.read_bytes()) if path.is_file() else None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
