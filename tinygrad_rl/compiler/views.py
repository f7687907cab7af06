"""Where values are read: a view has no memory, reading it is reading another value elsewhere."""

from collections.abc import Mapping

from tinygrad_rl.compiler.program import Instruction, Value
from tinygrad_rl.core import Copy, Elementwise, Index, Op, View

Places = tuple[Index, ...]
Made = Mapping[Value, Instruction]
"""Which instruction makes a value."""


def is_loop_op(op: Op) -> bool:
    """Ops that compute each element from the elements at the same place."""
    return isinstance(op, (Elementwise, Copy))


def is_view(i: Instruction) -> bool:
    """Instructions whose result is never in memory: it is its input, read at other places."""
    return isinstance(i.op, View)


def places(shape: tuple[int, ...]) -> Places:
    """A variable for each axis; an axis of size 1 has one place only."""
    return tuple(Index() if n == 1 else Index.of(f"at{a}") for a, n in enumerate(shape))


def source_index(i: Instruction, index: Places) -> Places | None:
    """Where a view reads its input, for one place in its output.

    None where no sum of places says it: the elements are the same in the same order.
    """
    assert isinstance(i.op, View)
    shape = i.inputs[0].shape
    found = i.op.places(index, shape, i.params)
    if found is None:
        return None
    return tuple(Index() if n == 1 else Index.of(k) for k, n in zip(found, shape, strict=True))


def is_reordered(i: Instruction) -> bool:
    """A view with no index: it needs its input in memory, contiguous."""
    return is_view(i) and source_index(i, places(i.out.shape)) is None


def is_identity(i: Instruction) -> bool:
    """A view that reads every element at its own place."""
    if not is_view(i) or i.out.shape != i.inputs[0].shape:
        return False
    at = places(i.out.shape)
    return source_index(i, at) in (at, None)


def root(v: Value, made: Made) -> Value:
    """The value whose memory `v` is read from."""
    while v in made and is_view(made[v]):
        v = made[v].inputs[0]
    return v


def matrix(v: Value, made: Made) -> tuple[Value, tuple[int, ...], bool] | None:
    """The array in which a product finds `v`: a block of it, its last two axes perhaps exchanged.

    Returns
    -------
    The array, the first place of the block, and whether it has to be transposed; None where `v` is
    no such block.
    """
    at = index = places(v.shape)
    while v in made and is_view(made[v]) and not is_reordered(made[v]):
        inner = source_index(made[v], index)
        assert inner is not None
        v, index = made[v].inputs[0], inner
    if len(index) != len(at):
        return None
    for flipped in (False, True):
        own = (*at[:-2], at[-1], at[-2]) if flipped else at
        shifts = [k - o for k, o in zip(index, own, strict=True)]
        if not any(s.terms for s in shifts):
            return v, tuple(s.offset for s in shifts), flipped
    return None


def broadcast_index(shape: tuple[int, ...], index: Places) -> Places:
    """Where an operand of this shape is read for one place in the result that it broadcasts to."""
    index = index[len(index) - len(shape) :]
    return tuple(Index() if n == 1 else k for n, k in zip(shape, index, strict=True))


def reduced_index(i: Instruction, index: Places) -> Places:
    """Where a reduction writes what it reads at this place."""
    axes = i.params["axis"]
    if len(i.out.shape) == len(index):
        return tuple(Index() if a in axes else k for a, k in enumerate(index))
    return tuple(k for a, k in enumerate(index) if a not in axes)


def subscript(name: str, index: Places) -> str:
    """`name[i, j + 1]`; of a single number the array that holds it."""
    return f"{name}[{', '.join(map(str, index)) or '0'}]"
