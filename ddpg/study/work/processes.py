"""Runs in processes of this machine, each on cores of its own.

backend = Processes(jobs=2, threads=1)
backend.start("a", task)
backend.wait(1.0)                     # [("a", Ending("finished"))]
"""

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ddpg.errors import UsageError, counted
from ddpg.run.disk import lock
from ddpg.run.machine import available_cores
from ddpg.study.work import child
from ddpg.study.work.task import Ending, Task, ending_from, log_of


class Processes:
    """A new process for each run, so that none can spoil another one.

    Parameters
    ----------
    jobs : runs at a time; by default as many as there are cores for.
    threads : cores of each.

    Raises
    ------
    UsageError : if there are fewer cores.
    """

    def __init__(self, jobs: int | None, threads: int) -> None:
        cores, have = _cores(), available_cores()
        jobs = max(1, have // threads) if jobs is None else jobs
        if jobs * threads > have:
            each = f" of {counted(threads, 'thread')} each" if threads > 1 else ""
            raise UsageError(
                f"--jobs {jobs}{each} is more than this machine's {counted(have, 'core')}: a core "
                "runs one at a time"
            )
        self._jobs, self._claims = jobs, ExitStack()
        cores = _claimed(jobs * threads, cores, self._claims)
        self._free = [cores[i * threads : (i + 1) * threads] for i in range(jobs)]
        self._running: dict[str, tuple[subprocess.Popen[bytes], list[int]]] = {}
        self._ended: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

    def capacity(self) -> int:
        """As in `Backend`."""
        return self._jobs

    def start(self, name: str, task: Task) -> None:
        """As in `Backend`."""
        cores = self._free.pop(0)
        with _on(cores):
            process = child.begin(child.search_path(), log_of(Path(task.run_dir)))
        self._running[name] = process, cores
        threading.Thread(target=self._listen, args=(name, process, task), daemon=True).start()

    def wait(self, seconds: float) -> list[tuple[str, Ending]]:
        """As in `Backend`."""
        ended: list[tuple[str, Ending]] = []
        with suppress(queue.Empty):
            while True:
                name, answer = self._ended.get(timeout=0.0 if ended else seconds)
                process, cores = self._running.pop(name)
                self._free.append(cores)
                ended.append((name, ending_from(answer, process.wait())))
        return ended

    def stop(self, name: str) -> None:
        """As in `Backend`."""
        if name in self._running:
            self._running[name][0].terminate()

    def close(self) -> None:
        """As in `Backend`."""
        for process, _ in self._running.values():
            process.kill()
        for process, _ in self._running.values():
            process.wait()
        self._claims.close()

    def _listen(self, name: str, process: subprocess.Popen[bytes], task: Task) -> None:
        self._ended.put((name, child.answer(process, json.dumps(asdict(task)))))


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _claimed(count: int, cores: list[int], claims: ExitStack) -> list[int]:
    """So many of these cores, first of all those that no other study of this user is at work on."""
    free: list[int] = []
    for core in cores:
        if len(free) < count and _claim(core, claims):
            free.append(core)
    return [*free, *(core for core in cores if core not in free)][:count]


def _claim(core: int, claims: ExitStack) -> bool:
    """Hold it until `claims` is closed, or this process ends; False if another process does."""
    if not hasattr(os, "sched_setaffinity"):
        return True
    path = Path(tempfile.gettempdir()) / f"ddpg-{os.getuid()}-core-{core}"
    try:
        # Not through a link: the folder is everybody's.
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:  # no place for it
        return True
    claims.callback(os.close, file)
    try:
        lock.take(file, "")
    except lock.LockedError:
        return False
    return True


@contextmanager
def _on(cores: list[int]) -> Iterator[None]:
    """What is started in the block may run on these cores only, where the system knows of that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)  # of this thread
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
