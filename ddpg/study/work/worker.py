"""A process that carries out one task: `python -m ddpg.study.work.worker`, told on standard input.

Its answer goes to standard output. It saves and ends when standard input does: nobody waits for it
any more, for the process that started it was killed.
"""

import faulthandler
import json
import os
import signal
import threading
from contextlib import suppress
from dataclasses import asdict
from functools import partial

from ddpg.study.work.task import Task, carry_out

PATIENCE = 45.0
"""Seconds that it has to save, if it is not held up by an environment that hangs; who goes on with
the run waits longer for it.
"""


def main() -> None:
    """Carry out what standard input says."""
    asked, answers = os.dup(0), os.dup(1)
    # An answer ends where nobody can say more, and a child of the environment's may live on.
    os.register_at_fork(after_in_child=partial(os.close, answers))
    task = Task(**json.loads(_line(asked)))
    _nothing_to_read()
    threading.Thread(target=_end_with, args=(asked,), daemon=True).start()
    ending = carry_out(task)
    with suppress(OSError):
        os.write(answers, json.dumps(asdict(ending)).encode())
    faulthandler.dump_traceback_later(PATIENCE, exit=True)  # a thread of it may do so, too


def _line(file: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (more := os.read(file, 1 << 16)):
        line += more
    return line


def _nothing_to_read() -> None:
    """An environment that asks its user something is at the end of a file, and does not wait."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _end_with(file: int) -> None:
    while os.read(file, 1 << 16):  # by its number: an object would have a lock, and end the process
        pass
    faulthandler.dump_traceback_later(PATIENCE, exit=True)  # into the log: where it hangs
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
