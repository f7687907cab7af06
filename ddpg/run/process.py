"""What a run asks of its process: how many threads it may use, and to hear when it shall stop.

with limited_threads(1), stop_on_signals(console) as stop:
    while stop.signal is None: ...
"""

import signal as signals
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from rich.console import Console
from threadpoolctl import threadpool_limits

import tinygrad_rl as tg

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit large compiled functions, and NumPy's matrix products, inside the block."""
    before = tg.get_num_threads()
    tg.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        tg.set_num_threads(before)


@dataclass
class Stop:
    """Whether the process was told to stop, and how.

    Attributes
    ----------
    signal : the first signal that said so, or None.
    """

    signal: signals.Signals | None = None


@contextmanager
def stop_on_signals(console: Console) -> Iterator[Stop]:
    """Gives a `Stop` that Ctrl-C, SIGTERM and SIGHUP set; a second Ctrl-C interrupts at once.

    The user is told on `console` that the request was heard; after SIGHUP nobody is there to be
    told anything. Signals that the process was started to ignore, as by `nohup`, stay ignored.
    Restores the previous handling afterwards. Outside of the main thread Python delivers no
    signals: nothing is ever set.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.signal is not None and number == signals.SIGINT:
            raise KeyboardInterrupt
        if stop.signal is None:
            stop.signal = signals.Signals(number)
            with suppress(OSError):
                console.print(_HEARD[stop.signal.name])
        console.quiet |= stop.signal.name == "SIGHUP"

    heard = [getattr(signals, name) for name in _NAMES if hasattr(signals, name)]
    previous = {s: signals.getsignal(s) for s in heard if signals.getsignal(s) != signals.SIG_IGN}
    try:
        for number in previous:
            signals.signal(number, on_signal)
        yield stop
    finally:
        for number, handler in previous.items():
            signals.signal(number, handler)


_HEARD = {
    "SIGINT": "saving after this step; Ctrl-C again to stop at once, without saving",
    "SIGTERM": "saving after this step, then stopping (SIGTERM)",
    "SIGHUP": "saving after this step, then stopping (SIGHUP)",
}
