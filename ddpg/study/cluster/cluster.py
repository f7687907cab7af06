"""Runs on the nodes of a Ray cluster, or on this machine's cores as a cluster of one node.

backend = Cluster("10.0.0.5:6379", None, 1, study_dir, print)
backend.start("a", task)
backend.wait(1.0)                     # [("a", Ending("finished"))]

A run whose node or process is gone is lost, and goes on elsewhere from its last checkpoint.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ddpg.errors import UsageError, counted, in_one_line
from ddpg.study.cluster import on_node
from ddpg.study.cluster.connection import Connection
from ddpg.study.cluster.nodes import Nodes
from ddpg.study.work import child
from ddpg.study.work.task import Ending, Task, ending_from, log_of

_ANSWERS = 60.0
"""Seconds in which a node says what it is like: its first process has to be started."""


class Cluster:
    """A process on some node for each run.

    Parameters
    ----------
    address : of the cluster, "host:port"; None is the one that runs on this machine or that
        RAY_ADDRESS names, or else one of this machine alone, for as long as this object is open.
    jobs : runs at a time; by default as many as there are cores for.
    threads : cores of each.
    study_dir : the study's folder, which each node must see.
    tell : hears of what is odd.

    Raises
    ------
    UsageError : if Ray is missing, nothing answers at the address, a node has other versions, does
        not see the folder, or none has cores enough.
    """

    def __init__(
        self,
        address: str | None,
        jobs: int | None,
        threads: int,
        study_dir: Path,
        tell: Callable[[str], object],
    ) -> None:
        self._jobs, self._tell = jobs, tell
        self._cores = counted(threads, "core")
        self._path = child.search_path()
        self._connection = Connection(address)
        self._ray = ray = self._connection.ray
        there = {
            "env_vars": {
                "PYTHONPATH": self._path,
                "RAY_kill_child_processes_on_worker_exit": "false",  # they save and end
            }
        }
        self._carry_out = ray.remote(num_cpus=threads, max_retries=0, runtime_env=there)(
            on_node.carry_out
        )
        self._nodes = Nodes(self._connection, self._path, study_dir, threads, tell)
        self._running: dict[str, tuple[Any, str]] = {}
        self._waiting: dict[str, Task] = {}
        self._ended: list[tuple[str, Ending]] = []
        self._alone = False
        try:
            self._look_at_nodes()
        except BaseException:
            self.close()
            raise

    def capacity(self) -> int:
        """As in `Backend`; at least one, which waits here while there is no node for it."""
        for complaint in self._nodes.hear(0.0):
            self._tell(f"{complaint}; it gets no runs")
        room = max(1, sum(self._nodes.room().values()))
        return room if self._jobs is None else min(room, self._jobs)

    def start(self, name: str, task: Task) -> None:
        """As in `Backend`."""
        self._waiting[name] = task
        self._place()

    def wait(self, seconds: float) -> list[tuple[str, Ending]]:
        """As in `Backend`."""
        self._place()
        ended, self._ended = self._ended, []
        if not self._running:
            time.sleep(0.0 if ended else seconds)
            return ended
        names = {reference: name for name, (reference, _) in self._running.items()}
        self._ray.wait([*names], num_returns=1, timeout=0.0 if ended else seconds)
        ready, _ = self._ray.wait([*names], num_returns=len(names), timeout=0.0)
        for reference in ready:
            name = names[reference]
            _, node = self._running.pop(name)
            ended.append((name, self._ending(reference, node)))
        return ended

    def stop(self, name: str) -> None:
        """As in `Backend`."""
        if self._waiting.pop(name, None) is not None:
            self._ended.append((name, Ending("stopped")))
        elif name in self._running:
            self._ray.cancel(self._running[name][0], force=False)

    def close(self) -> None:
        """As in `Backend`."""
        for reference, _ in self._running.values():
            self._ray.cancel(reference, force=True)
        self._nodes.close()
        self._connection.close()

    def _look_at_nodes(self) -> None:
        self._nodes.room()
        for complaint in self._nodes.hear(_ANSWERS):
            raise UsageError(complaint)
        if not self._nodes.room():
            raise UsageError(f"no node of the Ray cluster answers and has {self._cores} for a run")

    def _place(self) -> None:
        """Give what waits to nodes that have room."""
        if not self._waiting:
            return
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        room = Counter(self._nodes.room())
        if not room and not self._alone:
            self._tell(f"no node of the Ray cluster has {self._cores} for a run: it waits for one")
        self._alone = not room
        room.subtract(node for _, node in self._running.values())
        while self._waiting:
            node, free = max(room.items(), key=lambda item: item[1], default=("", 0))
            if free < 1:
                return
            name = next(iter(self._waiting))
            there = NodeAffinitySchedulingStrategy(node, soft=False)
            task = self._waiting.pop(name)
            self._running[name] = (
                self._carry_out.options(scheduling_strategy=there).remote(
                    self._path, str(log_of(Path(task.run_dir))), json.dumps(asdict(task))
                ),
                node,
            )
            room[node] -= 1

    def _ending(self, reference: Any, node: str) -> Ending:
        exceptions = self._ray.exceptions
        try:
            return ending_from(*self._ray.get(reference))
        except exceptions.TaskCancelledError:
            return Ending("stopped")
        except exceptions.WorkerCrashedError:
            return Ending("lost", "its process on its node is gone")
        except exceptions.OutOfMemoryError:
            return Ending("lost", "its node had no memory left")
        except exceptions.RayTaskError as error:
            return Ending("lost", in_one_line(f"its node could not begin it: {error.cause}"))
        except exceptions.RayError:
            self._nodes.doubt(node)
            return Ending("lost", "its node is gone")
