"""Storage: what all tensors on the same memory share, and how a write to it is noticed.

A write through a tensor is counted. Nobody counts what is written to a NumPy array that a tensor
was made of without a copy: there a recorded call keeps the values themselves.
"""

from tinygrad_rl.core.context import Where

FOREIGN = -(1 << 62)
"""Where the count of writes begins for the memory of a NumPy array: below 0, and it stays there."""


class Storage:
    """The count of writes to some memory, and where the last one was."""

    __slots__ = ("changed", "shared", "version")

    def __init__(self, version: int = 0) -> None:
        self.version = version
        self.changed: Where | None = None
        self.shared = False
