"""Which instructions compute, which only say how to read what is there."""

from tinygrad_rl.compiler.program import Instruction
from tinygrad_rl.core import Op
from tinygrad_rl.ops.define import Elementwise

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


def source_index(i: Instruction, index: tuple[str, ...]) -> tuple[str, ...]:
    """Where a view reads its input, for one place in its output."""
    shape = i.inputs[0].shape
    if i.op.name == "permute":
        out = [""] * len(shape)
        for position, axis in enumerate(i.params["axes"]):
            out[axis] = index[position]
        return tuple(out)
    if i.op.name == "broadcast_to":
        return broadcast_index(shape, index)
    if i.op.name == "slice":
        return tuple(
            shifted(k, first) for k, (first, _, _) in zip(index, i.params["bounds"], strict=True)
        )
    moving = iter([k for k, n in zip(index, i.out.shape, strict=True) if n != 1])
    return tuple("0" if n == 1 else next(moving) for n in shape)


def broadcast_index(shape: tuple[int, ...], index: tuple[str, ...]) -> tuple[str, ...]:
    """Where an operand of this shape is read for one place in the result that it broadcasts to."""
    index = index[len(index) - len(shape) :]
    return tuple("0" if n == 1 else k for n, k in zip(shape, index, strict=True))


def shifted(index: str, by: int) -> str:
    """`index + by`, as short as it can be written."""
    if not by:
        return index
    return str(int(index) + by) if index.isdigit() else f"{index} + {by}"


def reduced_index(i: Instruction, index: tuple[str, ...]) -> tuple[str, ...]:
    """Where a reduction writes what it reads at this place."""
    axes = i.params["axis"]
    if len(i.out.shape) == len(index):
        return tuple("0" if a in axes else k for a, k in enumerate(index))
    return tuple(k for a, k in enumerate(index) if a not in axes)
