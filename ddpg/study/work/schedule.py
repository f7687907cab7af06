"""Carry out many runs, some at a time: begin one where one ends, and again where one is lost.

    carry_out(Queue(...), backend, stop, show)

A run that is lost, for its process was killed or its machine is gone, goes on from its last
checkpoint. One that is lost again and again without getting further has failed.
"""

import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ddpg.run.disk import folder as run_folder
from ddpg.run.process import Stop
from ddpg.study.work.backend import Backend
from ddpg.study.work.task import Ending, Task, log_of

PATIENCE = 3
"""Times that a run may be lost without a new checkpoint."""
TICK = 0.5
"""Seconds between two looks at what goes on."""


class Work(Protocol):
    """What there is to do; it hears how that went."""

    def next(self) -> tuple[str, Task] | None:
        """What to begin now, and its name; None if there is nothing, or not before another end."""

    def ended(self, name: str, ending: Ending) -> None:
        """A run has come to its end: "finished", "diverged", "failed" or "stopped"."""

    def look(self, running: Collection[str]) -> Collection[str]:
        """Called now and then with what goes on; gives those that shall be stopped."""


@dataclass
class _Attempt:
    task: Task
    checkpoint: int
    losses: int = 0


def carry_out(work: Work, backend: Backend, stop: Stop, tell: Callable[[str], object]) -> None:
    """Until nothing is left to do, or until `stop` says so and everything is saved.

    Parameters
    ----------
    work : what to do.
    backend : where.
    stop : tells when to end early; what goes on is asked to save then.
    tell : hears of what was lost and goes on.
    """
    running: dict[str, _Attempt] = {}
    asked: set[str] = set()
    new: tuple[str, Task] | None = None
    while True:
        while stop.signal is None and len(running) < backend.capacity():
            if (new := work.next()) is None:
                break
            name, task = new
            running[name] = _Attempt(task, _saved(task))
            backend.start(name, task)
        if not running and (new is None or stop.signal is not None):
            return  # and not where there is no capacity for a while
        ended = backend.wait(TICK)
        for name, ending in ended:
            attempt = running.pop(name)
            told = name in asked or stop.signal is not None
            asked.discard(name)
            if ending.kind in ("lost", "stopped") and not told:
                ending = _lost(attempt, ending)
                if ending.kind == "lost":
                    tell(f"{name}: {ending.message}; it goes on from its last checkpoint")
                    running[name] = attempt
                    backend.start(name, attempt.task)
                    continue
            work.ended(name, ending)
        to_stop = set(work.look([*running])) if stop.signal is None else set(running)
        for name in to_stop - asked:
            backend.stop(name)
            asked.add(name)


def _lost(attempt: _Attempt, ending: Ending) -> Ending:
    """What becomes of a run whose process has ended and should not have."""
    saved = _saved(attempt.task)
    attempt.losses = attempt.losses + 1 if saved == attempt.checkpoint else 1
    attempt.checkpoint = saved
    if attempt.losses < PATIENCE:
        return Ending("lost", ending.message)
    log = log_of(Path(attempt.task.run_dir)).name
    return Ending(
        "failed",
        f"{ending.message}, {PATIENCE} times without getting further: memory is short, or the "
        f"reason stands in {log}",
    )


def _saved(task: Task) -> int:
    """What tells its last checkpoint from others, also from one that was written again; or 0.

    The same place of the same run gives the same bytes.
    """
    state = Path(task.run_dir) / run_folder.STATE
    try:
        return zlib.crc32(state.read_bytes())
    except OSError:
        return 0
