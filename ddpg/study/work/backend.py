"""What starts runs and hears of their ends: processes of this machine, or a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ddpg.errors import UsageError, shown
from ddpg.study.cluster.cluster import Cluster
from ddpg.study.work.processes import Processes
from ddpg.study.work.task import Ending, Task


class Backend(Protocol):
    """Where runs take place; who uses it does not know."""

    def capacity(self) -> int:
        """Runs that may go on at a time, as of now."""

    def start(self, name: str, task: Task) -> None:
        """Begin a run, under a name that no other one has that is going on."""

    def wait(self, seconds: float) -> list[tuple[str, Ending]]:
        """Those that have come to an end, by name; after so many seconds at the latest."""

    def stop(self, name: str) -> None:
        """Ask a run to save and end; `wait` tells when it has."""

    def close(self) -> None:
        """End whatever goes on still, at once and without saving."""


def new_backend(
    ray: str | bool,
    jobs: int | None,
    threads: int,
    study_dir: Path,
    tell: Callable[[str], object],
) -> Backend:
    """Processes of this machine; a Ray cluster where `ray` is its address, or True.

    Parameters
    ----------
    jobs : runs at a time; by default as many as there are cores for.
    threads : cores of each.
    study_dir : the study's folder.
    tell : hears of what is odd.

    Raises
    ------
    UsageError : for a number of jobs that is none, too few cores, or Ray that is not to be had.
    """
    if not isinstance(ray, str | bool) or ray == "":
        raise UsageError(f"ray must be True, False or an address, got {shown(ray)}")
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1):
        raise UsageError(f"jobs must be 1 or more, got {shown(jobs)}")
    if ray is False:
        return Processes(jobs, threads)
    return Cluster(None if ray is True else ray, jobs, threads, study_dir, tell)
