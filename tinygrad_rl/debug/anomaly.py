"""NaN autopsy: name the op, the line, the position and the operands that made a value go bad.

    with detect_anomaly():
        loss = step(batch)
        loss.backward()              # FloatingPointError: 'log' made -inf at (3, 0) ... x = 0.0

Every op's output is looked at, forward and backward, so the block is slow; outside of it nothing
is.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_rl.core import Elementwise, Node, Observer, Op, Tensor, at, caller, watching
from tinygrad_rl.spelling import counted

Array = np.ndarray[Any, Any]


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise at the first op whose output has a NaN, or an infinity that no input had.

    An infinity that is passed on is none of the op's making (masks are often made of -inf); a NaN
    is reported even then, as the place where it entered.

    Raises
    ------
    FloatingPointError : from the op call inside the block.
    """
    with watching(_Autopsy()):
        yield


class _Autopsy(Observer):
    """Looks at every output."""

    _node: Node | None = None  # the forward call whose rules are running

    def on_step(self, node: Node | None, g: Tensor | None) -> None:
        """Remember which forward call the backward sweep has come to."""
        self._node = node

    def on_call(
        self, op: Op, inputs: Sequence[Tensor], params: dict[str, Any], out: Tensor
    ) -> None:
        """Look at what an op has computed."""
        array = out._array
        if array.dtype.kind != "f" or np.isfinite(array).all():
            return
        arrays = [t._array for t in inputs]
        nan = np.isnan(array)
        if not nan.any() and any(np.isinf(a).any() for a in arrays if a.dtype.kind == "f"):
            return
        bad = nan if nan.any() else ~np.isfinite(array)
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise FloatingPointError(self._report(op, arrays, array, index, int(bad.sum())))

    def _report(
        self, op: Op, arrays: Sequence[Array], out: Array, index: tuple[int, ...], count: int
    ) -> str:
        verb = "made"
        if np.isnan(out[index]) and any(np.isnan(a).any() for a in arrays if a.dtype.kind == "f"):
            verb = "was given a NaN (made outside this block) and gives"
        entries = f"{out[index]} at {index} ({count} of {counted(out.size, 'entry')})"
        head = f"{op.name!r} {verb} {entries}, called at {at(caller())}"
        if (node := self._node) is not None:
            head += f", in the backward of {node.op.name!r}, which was called at {at(node.where)}"
        operands = [
            f"  {op.arg_name(i).rstrip('_')} = {_operand(op, a, out.shape, index)}"
            for i, a in enumerate(arrays)
        ]
        return "\n".join([head, *operands])


def _operand(op: Op, array: Array, shape: tuple[int, ...], index: tuple[int, ...]) -> str:
    """An operand's value at the position, or, where positions don't match, its range."""
    if isinstance(op, Elementwise):
        return f"{np.broadcast_to(array, shape)[index]}  {array.dtype}, shape {array.shape}"
    if not array.size:
        return f"{array.dtype}, shape {array.shape}"
    text = f"{array.min()} to {array.max()}, {array.dtype}, shape {array.shape}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        at_index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        text += f", {array[at_index]} at {at_index}"
    return text
