"""A signal that comes while code is compiled: its handler runs as soon as that is done.

    with signals_deferred():
        ...                               # no handler that is written in Python runs in here

Python runs a handler between any two steps of the main thread, which may be steps of a function
that LLVM calls. The KeyboardInterrupt of a Ctrl-C goes nowhere from there: it is printed and
forgotten, or it makes LLVM fail, which looks like a cache that can't be used. From elsewhere in
Numba it would leave half-made what Numba keeps for the functions that come after. Compiling takes
seconds at most, and Ctrl-C can wait that long.
"""

import inspect
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ALL = sorted(signal.valid_signals())


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Let handlers of signals wait until the block is left, with an exception or without one.

    A signal that comes several times meanwhile is handled once, like one that is blocked. Blocks
    may stand in each other. In other threads than the main one, where no handler ever runs, nothing
    is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    deferred = _Deferred()
    try:
        deferred.take()
        yield
    finally:
        deferred.give_back()


class _Deferred:
    """Stands in for the handlers of signals, and remembers which of them were to run."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._came: set[int] = set()
        self._active = True

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: later, or at once where giving back was itself interrupted."""
        if self._active:
            self._came.add(number)
        else:
            self._handlers[number](number, frame)

    def take(self) -> None:
        """Take the place of all handlers that are written in Python."""
        for number in _ALL:
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self)

    def give_back(self) -> None:
        """Put every handler back, and run those whose signal came."""
        try:
            self._put_back([*self._handlers])
        finally:
            self._active = False

    def _put_back(self, numbers: list[int]) -> None:
        while numbers:
            number = numbers.pop()
            try:
                current: Any = signal.getsignal(number)
                if current is self:  # else somebody has set another one meanwhile
                    signal.signal(number, self._handlers[number])
                if number in self._came:
                    self._handlers[number](number, inspect.currentframe())
            finally:
                self._put_back(numbers)  # whatever this one raised, the others have their turn
