"""Ctrl-C as a request: the first one asks for a clean end, the second one means now."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console


@contextmanager
def stop_on_ctrl_c(console: Console) -> Iterator[threading.Event]:
    """Gives an event that Ctrl-C sets; restores the previous handling afterwards.

    Outside of the main thread Python delivers no signals, and the event is never set.

    Parameters
    ----------
    console : where the user is told that the request was heard.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        console.print("stopping after this step; Ctrl-C again to stop at once")

    previous = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
