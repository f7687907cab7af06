"""What starts runs and hears of their ends: processes of this machine, or a cluster."""

from typing import Protocol

from ddpg.study.task import Ending, Task


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
