"""Count what an operation costs: matrix-product FLOPs and calls, of a block of code.

with count_flops() as counter:
    loss.backward()
counter.total, counter.calls["linear"]
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tinygrad_rl.core import Observer, Op, Tensor, watching


class FlopCounter(Observer):
    """Counts the ops that a thread executes, forward and backward, while it watches.

    Attributes
    ----------
    by_op : FLOPs of each op's name.
    calls : number of calls of each op's name.
    """

    def __init__(self) -> None:
        self.by_op: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """FLOPs of all ops together."""
        return sum(self.by_op.values())

    def on_call(
        self, op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: Tensor
    ) -> None:
        """Count one call."""
        self.calls[op.name] += 1
        self.by_op[op.name] += op.flops(out._array, [t._array for t in inputs], params)


@contextmanager
def count_flops() -> Iterator[FlopCounter]:
    """Count what this thread executes inside the block.

    FLOPs are those of matrix products (2 m n k), the usual measure of a network's cost; everything
    else is bound by memory traffic.
    """
    counter = FlopCounter()
    with watching(counter):
        yield counter
