import io
import os
import signal
import threading

from rich.console import Console

from ddpg.run.interrupt import stop_on_ctrl_c


def test_outside_the_main_thread_nothing_is_changed():
    found = []

    def work():
        with stop_on_ctrl_c(Console(file=io.StringIO())) as stop:
            found.append((signal.getsignal(signal.SIGINT), stop.is_set()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(signal.getsignal(signal.SIGINT), False)]


def test_the_request_is_acknowledged():
    stream = io.StringIO()
    with stop_on_ctrl_c(Console(file=stream)) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set()
    assert "stopping after this step" in stream.getvalue()
