"""What a node of a cluster is asked for: to carry out a run, and what it is like.

It does so in a worker of Ray's that serves one run after the other: a run has a process of its own
there, the same as on this machine, with nothing of Ray in it.
"""

import signal
import threading
from pathlib import Path

from ddpg.study.work import child

_LOOK = 0.1
"""Seconds between two looks whether it was told to stop: Ray interrupts between instructions of
Python, not a wait."""


def carry_out(path: str, log: str, task: str) -> tuple[bytes, int]:
    """What the run's process said when it had ended, and its exit status.

    A run that is interrupted here, as Ray does it, is told to save and end.

    Parameters
    ----------
    path : where modules are found.
    log : the run's.
    task : as JSON.
    """
    told = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, frame: told.set())
    try:
        process = child.begin(path, Path(log))
        said: list[bytes] = []
        listener = threading.Thread(target=lambda: said.append(child.answer(process, task)))
        listener.start()
        while listener.is_alive() and not told.is_set():
            listener.join(_LOOK)
        if told.is_set():
            process.terminate()
        listener.join()
        return said[0], process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def look(token: str) -> tuple[dict[str, str], str]:
    """Versions of what runs are made with here, and what stands in a file of the study's folder.

    Parameters
    ----------
    token : the file; the system's words stand for one that can't be read.
    """
    from ddpg.run.disk.versions import of_this_machine

    try:
        read = Path(token).read_text(encoding="ascii")
    except OSError as error:
        read = str(error.strerror)
    return of_this_machine("ray"), read
