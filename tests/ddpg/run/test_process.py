import io
import os
import signal
import threading

import pytest
from rich.console import Console
from threadpoolctl import threadpool_info

import tinygrad_rl as tg
from ddpg.run.process import limited_threads, stop_on_signals


def blas_threads():
    return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}


def test_compiled_functions_and_numpy_are_limited_inside_the_block_only():
    before = tg.get_num_threads(), blas_threads()
    with limited_threads(1):
        assert (tg.get_num_threads(), blas_threads()) == (1, {1})
    with pytest.raises(KeyError), limited_threads(before[0] + 1):
        assert tg.get_num_threads() == before[0] + 1
        raise KeyError
    assert (tg.get_num_threads(), blas_threads()) == before


def test_outside_the_main_thread_nothing_is_changed():
    found = []

    def work():
        with stop_on_signals(Console(file=io.StringIO())) as stop:
            found.append((signal.getsignal(signal.SIGINT), stop.signal))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(signal.SIGINT), None)]


def test_the_request_is_acknowledged():
    stream = io.StringIO()
    with stop_on_signals(Console(file=stream)) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGINT
    assert "saving after this step" in stream.getvalue()
