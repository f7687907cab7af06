"""The nodes of a Ray cluster, and which of them runs may be given to.

Runs have the same bits everywhere only if everything has the same version, and go on everywhere
only if each node sees the study's folder. So a node is asked before it gets its first run.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from ddpg.errors import UsageError, in_one_line
from ddpg.run.disk.versions import PROCESSOR, differences, of_this_machine
from ddpg.study.cluster import on_node
from ddpg.study.cluster.connection import Connection


class Nodes:
    """Those that are there, as they come and go.

    Parameters
    ----------
    connection : to the cluster.
    path : where modules are found.
    study_dir : the folder that they must see.
    threads : cores that a run needs; who has fewer gets none.
    tell : hears of what is odd.
    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        study_dir: Path,
        threads: int,
        tell: Callable[[str], object],
    ) -> None:
        self._connection, self._ray = connection, connection.ray
        self._study_dir, self._threads, self._tell = study_dir, threads, tell
        there = {"env_vars": {"PYTHONPATH": path}}
        self._look = self._ray.remote(num_cpus=0, max_retries=0, max_calls=1, runtime_env=there)(
            on_node.look
        )
        self._mine = of_this_machine("ray")
        self._fit: dict[str, bool] = {}
        self._asked: dict[Any, tuple[str, str]] = {}
        self._token, self._path, self._files = "", "", ExitStack()

    def room(self) -> dict[str, int]:
        """Runs that each node which is fit has room for at a time, by its id."""
        alive = self._alive()
        for new in set(alive) - set(self._fit) - {node for node, _ in self._asked.values()}:
            self._ask(new, alive[new]["NodeManagerAddress"])
        return {
            node: int(about["Resources"]["CPU"]) // self._threads
            for node, about in alive.items()
            if self._fit.get(node)
        }

    def hear(self, seconds: float) -> list[str]:
        """What is wrong with nodes that were asked; waits so long for those that have not answered.

        Those of which something is wrong get no runs.
        """
        if not self._asked:
            return []
        wrong = []
        count = len(self._asked)
        for answer in self._ray.wait([*self._asked], num_returns=count, timeout=seconds)[0]:
            node, name = self._asked.pop(answer)
            complaint = self._complaint(answer, name)
            self._fit[node] = complaint is None
            if complaint is not None and node in self._alive():
                wrong.append(f"node {name} {complaint}")
        if not self._asked:
            self.close()
        return wrong

    def doubt(self, node: str) -> None:
        """Ask it again: a run could not go on there, and Ray notices late when a node has died."""
        self._fit.pop(node, None)

    def close(self) -> None:
        """Wait for none any more."""
        with suppress(OSError):
            self._files.close()

    def _alive(self) -> dict[str, Any]:
        return {
            node["NodeID"]: node
            for node in self._connection.nodes()
            if node["Resources"].get("CPU", 0) >= self._threads
        }

    def _ask(self, node: str, name: str) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if not self._asked:
            folder = _existing(self._study_dir)
            try:
                self._token, self._path = self._files.enter_context(_token_in(folder))
            except OSError as error:
                if self._fit:
                    return  # a full disk, while runs go on: it is asked later
                raise UsageError(f"nothing can be written in {folder}: {error.strerror}") from error
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        self._asked[self._look.options(scheduling_strategy=there).remote(self._path)] = node, name

    def _complaint(self, answer: Any, name: str) -> str | None:
        try:
            versions, token = self._ray.get(answer)
        except self._ray.exceptions.RayError as error:
            return f"cannot take runs: {in_one_line(_last_line(error), 300)}"
        if token != self._token:
            where = _existing(self._study_dir)
            return f"does not see this machine's folder {where}: a study needs one that all share"
        differ = differences(self._mine, versions | {PROCESSOR: self._mine[PROCESSOR]})
        if differ:
            return f"has other versions than this machine, {', '.join(differ)}"
        if versions[PROCESSOR] != self._mine[PROCESSOR]:
            self._tell(
                f"node {name} has another processor, {versions[PROCESSOR]}: "
                "the last bits of its runs may differ"
            )
        return None


def _existing(study_dir: Path) -> Path:
    """The study's folder, or the one that it will be made in."""
    return next(p for p in (study_dir, *study_dir.parents) if p.is_dir())


@contextmanager
def _token_in(folder: Path) -> Iterator[tuple[str, str]]:
    """A text, and the path of a file with it that only who shares the folder can read."""
    token, of_a_part = secrets.token_hex(16), f".{os.getpid()}.0.part"
    with NamedTemporaryFile("w", dir=folder, prefix=".node.", suffix=of_a_part) as file:
        file.write(token)
        file.flush()
        os.fsync(file.fileno())  # or another machine would not see it yet
        yield token, file.name


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
