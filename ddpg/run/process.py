"""What a run asks of its process: how many threads it may use, and to hear of Ctrl-C.

with limited_threads(1), stop_on_ctrl_c(console) as stop:
    while not stop.is_set(): ...
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from threadpoolctl import threadpool_limits

import tinygrad_rl as tg


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


@contextmanager
def stop_on_ctrl_c(console: Console) -> Iterator[threading.Event]:
    """Gives an event that the first Ctrl-C sets; a second one interrupts at once.

    The user is told on `console` that the request was heard. Restores the previous handling
    afterwards. Outside of the main thread Python delivers no signals: the event is never set.
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
