"""A process of its own for one run, wherever that is: here, or on a node of a cluster.

    process = child.begin(child.search_path(), log)
    answer = child.answer(process, json.dumps(asdict(task)))    # when the run has ended
    ending = ending_from(answer, process.wait())                # of ddpg.study.work.task

It is sent SIGTERM to make it save and end, and does so by itself when this process is no more.
A node needs no more than this, so it loads the standard library alone.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_COMMAND = [sys.executable, "-P", "-m", "ddpg.study.work.worker"]


def search_path() -> str:
    """Where this process finds modules, as PYTHONPATH: an environment may be in one of them."""
    return os.pathsep.join(path or os.getcwd() for path in sys.path)


def begin(path: str, log: Path) -> subprocess.Popen[bytes]:
    """A process that waits for its task.

    Parameters
    ----------
    path : where it finds modules.
    log : the run's, where it says why it can't even begin.
    """
    with _opened(log) as file:
        return subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C on the terminal reaches the study, which stops it
        )


@contextmanager
def _opened(log: Path) -> Iterator[IO[bytes]]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file: IO[bytes] = log.open("ab")
    except OSError:  # a full disk, of which the run itself will tell
        file = open(os.devnull, "wb")  # noqa: SIM115
    with file:
        yield file


def answer(process: subprocess.Popen[bytes], task: str) -> bytes:
    """What it says after it was given a task, as JSON, and has ended."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(OSError):  # it may have been killed already
        process.stdin.write(task.encode() + b"\n")
        process.stdin.flush()  # and stays open: its end would be the run's
    said = process.stdout.read()
    process.stdout.close()
    with suppress(OSError):
        process.stdin.close()
    return said
