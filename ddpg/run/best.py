"""The agent with the best evaluation so far, in a file of its own.

It changes with an evaluation, the checkpoint after it: a run that goes on from a checkpoint before
an evaluation must not keep what that found. So until there is a checkpoint that knows the new one,
the one before is kept as well.
"""

import os
import shutil
import zlib
from contextlib import suppress
from pathlib import Path

import tinygrad_rl as tg
from ddpg.agent import DDPG
from ddpg.errors import UsageError
from ddpg.run import folder


class BestAgent:
    """The file, and which of its contents belongs to the checkpoint.

    Parameters
    ----------
    run_dir : the run's folder.
    checksum : of the file at the checkpoint; None if there was none.

    Attributes
    ----------
    checksum : of the file now.

    Raises
    ------
    UsageError : if the folder does not hold what the checkpoint knows.
    """

    def __init__(self, run_dir: Path, checksum: int | None = None) -> None:
        self._best, self._earlier = run_dir / folder.BEST, run_dir / folder.EARLIER_BEST
        self._saved = self.checksum = checksum
        if checksum is not None and checksum not in (_crc(self._best), _crc(self._earlier)):
            raise UsageError(
                f"{self._best} is damaged or gone: it is not the agent that the run had found best"
            )

    def begin(self) -> None:
        """Bring the folder to the checkpoint."""
        if self.checksum is None:
            self._best.unlink(missing_ok=True)
        elif self.checksum != _crc(self._best):
            self._earlier.replace(self._best)
        self._earlier.unlink(missing_ok=True)

    def save(self, agent: DDPG) -> None:
        """`agent` is the best one now.

        Raises
        ------
        OSError : if it can't be written; the one before is still there.
        """
        if self.checksum is not None and self.checksum == self._saved:
            self._keep()
        tg.save(self._best, agent.state_dict())
        self.checksum = _crc(self._best)

    def _keep(self) -> None:
        self._earlier.unlink(missing_ok=True)
        try:
            os.link(self._best, self._earlier)
        except OSError:  # a file system without links
            shutil.copyfile(self._best, self._earlier)

    def saved(self) -> None:
        """A checkpoint knows the present one."""
        self._saved = self.checksum
        with suppress(OSError):
            self._earlier.unlink(missing_ok=True)


def _crc(path: Path) -> int | None:
    return zlib.crc32(path.read_bytes()) if path.is_file() else None
