"""Which instructions compute, which only say how to read what is there."""

from tinygrad_rl.core import Op
from tinygrad_rl.ops.define import Elementwise
from tinygrad_rl.program import Instruction

REDUCTIONS = {"sum", "max", "min", "prod"}


def is_loop_op(op: Op) -> bool:
    """Ops that compute each element from the elements at the same place."""
    return isinstance(op, Elementwise) or op.name in ("astype", "to_integer", "copy")


def is_view(i: Instruction) -> bool:
    """Instructions whose result is never in memory: it is its input, read at other places."""
    if i.op.name == "slice":
        return all(step == 1 for _, _, step in i.params["bounds"])
    return i.op.name in ("permute", "broadcast_to", "reshape")


def without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that matter to the order of elements."""
    return tuple(n for n in shape if n != 1)


def keeps_axes(i: Instruction) -> bool:
    """A reshape that only puts in or takes out axes of size 1: readable at other indices."""
    return without_ones(i.inputs[0].shape) == without_ones(i.out.shape)
