"""Storage: what all tensors on the same memory share, and how a write to it is noticed.

A write through a tensor is counted. Nobody counts what is written to a NumPy array that a tensor
was made of without a copy: there a recorded call keeps the values themselves.
"""

from collections.abc import Sequence

from tinygrad_rl.core.context import Where, next_in_sequence

FOREIGN = -(1 << 62)
"""Where the count of writes begins for the memory of a NumPy array: below 0, and it stays there."""


class Writer:
    """Counts writes to several storages at once: those that a compiled function writes to.

    Attributes
    ----------
    count : how often it wrote.
    where, when : where in the user's code the last time was, and its place in the sequence of all.
    """

    __slots__ = ("count", "size", "when", "where")

    def __init__(self, size: int) -> None:
        self.count, self.when, self.size = 0, -1, size
        self.where: Where | None = None

    def wrote(self, where: Where | None) -> None:
        """Count one write to each of its storages."""
        self.count += 1
        self.where, self.when = where, next_in_sequence()


class Storage:
    """The count of writes to some memory, and where the last one was."""

    __slots__ = ("_count", "_when", "_where", "shared", "writers")

    def __init__(self, version: int = 0) -> None:
        self._count, self._when = version, -1
        self._where: Where | None = None
        self.shared = False
        self.writers: tuple[Writer, ...] = ()

    @property
    def version(self) -> int:
        """How often it was written to."""
        if not self.writers:
            return self._count
        return self._count + sum(writer.count for writer in self.writers)

    @property
    def changed(self) -> Where | None:
        """Where the last write was."""
        last = max(self.writers, key=lambda writer: writer.when, default=None)
        return self._where if last is None or last.when < self._when else last.where

    def wrote(self, where: Where | None) -> None:
        """Count a write."""
        self._count += 1
        self._where, self._when = where, next_in_sequence()

    def state(self) -> tuple[int, int, Where | None]:
        """What `restore` takes back: as if writes since then had not been."""
        return self._count, self._when, self._where

    def restore(self, state: tuple[int, int, Where | None] | None) -> None:
        """Count as it did at `state`, or, where that is None, as nothing was written."""
        self._count, self._when, self._where = state or (0, -1, None)


def common_writer(storages: Sequence[Storage]) -> Writer:
    """The writer of exactly these storages, at least one, the same whoever asks."""
    for writer in storages[0].writers:
        if writer.size == len(storages) and all(writer in s.writers for s in storages):
            return writer
    writer = Writer(len(storages))
    for storage in storages:
        storage.writers = (*storage.writers, writer)
    return writer
