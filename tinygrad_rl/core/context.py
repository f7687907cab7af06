"""What surrounds a call: the thread's modes, who watches, and where in the user's code we are."""

import itertools
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_rl.core.freezing import Frozen
    from tinygrad_rl.core.node import Node
    from tinygrad_rl.core.op import Op
    from tinygrad_rl.core.tensor import Tensor

_PACKAGE = str(Path(__file__).parent.parent)
Where = tuple[CodeType, int]
"""A line of code in a form that costs little to take: `place` turns it into a file and a number."""


class Mode(threading.local):
    """What this thread does with op calls: record them for a gradient, show them to observers."""

    grad: bool = True
    records_cuts: bool = True  # whether results without history say where their paths were cut
    interpret: bool = False  # compute elementwise ops by NumPy: a trace shall compile nothing
    observers: tuple["Observer", ...] = ()
    frozen: dict[int, list["Frozen"]]  # by the id of the leaf, the innermost block's last

    def __init__(self) -> None:
        self.frozen = {}


mode = Mode()

frozen_anywhere: dict[int, "Frozen"] = {}
"""The leaves that any thread has frozen: while there are none, nobody has to ask his thread."""


watched_anywhere: list[object] = []
"""The `watching` blocks that any thread has open: while there are none, nobody has to ask his."""


class Changes:
    """Counts settings of flags, hooks, and attributes of modules and optimizers.

    Compiled functions look at these again only when the count has changed.
    """

    count = 0


class Observer:
    """Sees a thread's op calls while it stands in `mode.observers`; does nothing by default."""

    def on_call(
        self, op: "Op", inputs: Sequence["Tensor"], params: dict[str, Any], out: "Tensor"
    ) -> None:
        """After an op has computed `out`."""

    def on_create(self, tensor: "Tensor") -> None:
        """After a tensor was made of data that is no tensor's."""

    def on_alias(self, alias: "Tensor", tensor: "Tensor") -> None:
        """After a constant was made on `tensor`'s own memory."""

    def on_random(self) -> None:
        """Before random numbers are drawn for a tensor."""

    def on_assign(self, target: "Tensor", value: "Tensor") -> None:
        """Before `target`'s values are overwritten with `value`'s."""

    def on_read(self, tensor: "Tensor", how: str) -> None:
        """Before a tensor's values leave the engine through `how`, such as 'item()'."""

    def on_grad_mode(self, flag: bool | None, owner: Callable[..., Any] | None = None) -> None:
        """After a block has set grad mode to `flag`; None when the innermost block ends.

        `owner` is the function whose body the block is, if it is one: a decorated one, or `grad`.
        """

    def on_backward(
        self,
        outputs: Sequence["Tensor"],
        inputs: Sequence["Tensor"] | None,
        gradients: Sequence[Any],
    ) -> None:
        """Before `grad(outputs, inputs)`, or `backward` where `inputs` is None."""

    def on_step(self, node: "Node | None", g: "Tensor | None") -> None:
        """Before the sweep runs the rules of a recorded call on `g`; None when it is over."""

    def on_gradient(self, leaf: "Tensor", g: "Tensor") -> None:
        """Before `backward` adds `g` to the gradient of a leaf."""

    def on_flag(self, tensor: "Tensor") -> None:
        """Before `requires_grad` of a leaf is set."""

    def on_grad(self, leaf: "Tensor", writing: bool) -> None:
        """Before `.grad` of a tensor is read or set."""


@contextmanager
def watching(*observers: Observer, alone: bool = False) -> Iterator[None]:
    """Show this thread's op calls to the observers inside the block, and no longer.

    Those who watch already go on doing so, unless these shall be `alone`.
    """
    before, block = mode.observers, object()
    mode.observers = observers if alone else (*before, *observers)
    watched_anywhere.append(block)
    try:
        yield
    finally:
        watched_anywhere.remove(block)
        mode.observers = before


# -- where in the user's code ----------------------------------------------------------------------


class _Inside(dict[str, bool]):
    """Whether a source file belongs to this package."""

    def __missing__(self, file: str) -> bool:
        self[file] = file.startswith(_PACKAGE)
        return self[file]


_inside = _Inside()


def is_inside(code: CodeType) -> bool:
    """Whether this is code of the package, not the user's."""
    return _inside[code.co_filename]


def frames() -> Iterator[FrameType]:
    """The stack of this thread, from whoever asks outward."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def user_frame() -> FrameType | None:
    """The innermost frame outside this package: the variables of who called it."""
    return next((frame for frame in frames() if not is_inside(frame.f_code)), None)


def caller() -> Where | None:
    """The innermost line of code outside this package, in a form that is cheap to take."""
    frame: FrameType | None = sys._getframe(1)  # as `user_frame`, but once for each recorded call
    while frame is not None and _inside[frame.f_code.co_filename]:
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lasti)


def warn(message: str) -> None:
    """A UserWarning at the user's line, however deep inside the package it comes from."""
    where = caller()
    file, line = place(where)
    warnings.warn_explicit(message, UserWarning, file, line)


def place(where: Where | None) -> tuple[str, int]:
    """File name and line number of what `caller` found; -1 is where a function begins."""
    if where is None:
        return "?", 0
    code, lasti = where
    if lasti < 0:
        return code.co_filename, code.co_firstlineno
    line = next((ln for start, end, ln in code.co_lines() if start <= lasti < end and ln), 0)
    return code.co_filename, line


next_in_sequence = itertools.count().__next__
"""Numbers the recorded calls and the settings of flags in the order in which they happen."""
