"""Leaves that a thread keeps frozen for a while: what a `frozen` block does to a tensor.

The flag in the tensor's slot stays what it is for all other threads, and for a child process that
is made meanwhile. `Tensor.requires_grad` and `record` look here first, while any block is open.
"""

import os

from tinygrad_rl.core.context import Changes, frozen_anywhere, mode
from tinygrad_rl.core.cuts import Cut
from tinygrad_rl.core.tensor import Tensor, set_slot_flag


class Frozen:
    """A leaf in one block: flag and cuts as the block's thread sees them.

    Attributes
    ----------
    lent : whether the slot's flag was set for code that looks at nothing else, see
        `set_requires_grad`; it goes back at the end.
    """

    __slots__ = ("cuts", "flag", "leaf", "lent", "thread")

    def __init__(self, leaf: Tensor, cuts: tuple[Cut, ...]) -> None:
        self.leaf, self.cuts, self.flag, self.lent = leaf, cuts, False, False
        self.thread = mode.frozen  # of the thread that enters, whoever leaves


def freeze(leaf: Tensor, cuts: tuple[Cut, ...]) -> Frozen:
    """Freeze a leaf for this thread, until `unfreeze`."""
    _tell(leaf)
    frozen = Frozen(leaf, cuts)
    frozen_anywhere[id(frozen)] = frozen
    frozen.thread.setdefault(id(leaf), []).append(frozen)
    return frozen


def unfreeze(frozen: Frozen) -> None:
    """End this; blocks may end in any order, and in another thread than they began in."""
    if id(frozen) not in frozen_anywhere:
        return  # it was ended already
    _tell(frozen.leaf)
    blocks = frozen.thread[id(frozen.leaf)]
    blocks.remove(frozen)
    if not blocks and frozen.thread is mode.frozen:  # else the thread may be entering one
        del frozen.thread[id(frozen.leaf)]
    if frozen.lent:
        set_slot_flag(frozen.leaf, False)
    frozen_anywhere.pop(id(frozen), None)


def frozen_here() -> dict[int, Frozen]:
    """What the open blocks of this thread have frozen."""
    return {id(frozen): frozen for blocks in mode.frozen.values() for frozen in blocks}


def _tell(leaf: Tensor) -> None:
    Changes.count += 1
    for observer in mode.observers:
        observer.on_flag(leaf)


def _forget_other_threads() -> None:
    """In a child process these don't exist, and would never leave their blocks."""
    own = frozen_here()
    frozen_anywhere.clear()
    frozen_anywhere.update(own)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
