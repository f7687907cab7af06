"""Time contenders that live in processes of their own, in strict alternation.

Two libraries with thread pools in one process fight each other for the cores, so each contender
gets a `Worker`: a process that builds it once, answers "measure for so many seconds" and
otherwise sleeps. `alternate` goes round them with pauses, so that a busy minute of the
host hits all of them alike, and ratios are taken within a round.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PACKAGES = (
    *("tinygrad-rl", "numpy", "scipy", "numba", "gymnasium", "mujoco", "torch", "jax", "jaxlib"),
    *("stable_baselines3", "sbx-rl", "rltools", "mkl"),
)
POOL_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
NOT_INSTALLED = "not installed"


class WorkerError(RuntimeError):
    """The worker could not go on; the message is its own."""


class Worker:
    """A contender in its own process, limited to `threads` cores.

    Parameters
    ----------
    module
        Dotted name below benchmarks/ of the module to run; it ends in `serve(...)`.
    arguments
        Its command line.
    threads
        Size of every thread pool, and the number of cores the process may use.
    """

    def __init__(self, module: str, arguments: list[str], threads: int):
        pools = dict.fromkeys(POOL_VARIABLES, str(threads))
        environment = os.environ | pools | {"PYTHONPATH": str(HERE)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def receive(self) -> dict[str, Any]:
        """Wait for the next message; raise `WorkerError` if it is an error or never comes."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"ended with status {self.process.wait()}")
        message = json.loads(line)
        if "error" in message:
            raise WorkerError(message["error"])
        return message

    def measure(self, seconds: float, case: str = "") -> float:
        """Return the median milliseconds of a call of `case`, called for about `seconds`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"seconds": seconds, "case": case}) + "\n")
        self.process.stdin.flush()
        return self.receive()["milliseconds"]

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def use_cores(threads: int) -> None:
    """Keep this process on `threads` cores, before a library counts them for its pool."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def serve(build: Callable[[], dict[str, Callable[[], object]]]) -> None:
    """Be a worker: build the functions to be timed, say so, then time them on request.

    `build` returns {case: function}. A missing library is answered with an error, not with a
    traceback.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer

    def send(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        calls = build()
    except ModuleNotFoundError as error:
        send({"error": f"{error.name} is {NOT_INSTALLED}"})
        return
    except Exception as error:
        send({"error": f"{type(error).__name__}: {error}"})
        raise
    send({"cases": list(calls)})
    for line in sys.stdin:
        request = json.loads(line)
        send({"milliseconds": median_call(calls[request["case"]], request["seconds"])})


def median_call(call: Callable[[], object], seconds: float) -> float:
    """Call again and again for about `seconds`; return a call's median milliseconds."""
    clock = time.perf_counter
    start = clock()
    for _ in range(3):  # the caches went cold while others ran
        call()
    count = max(1, int(50e-6 * 3 / (clock() - start)))  # calls so short that the clock would tell
    times = []
    end = clock() + seconds
    while (start := clock()) < end or len(times) < 3:
        for _ in range(count):
            call()
        times.append(1e3 * (clock() - start) / count)
    return statistics.median(times)


@dataclass(frozen=True)
class Timing:
    """Milliseconds a call: the median of each round, in the order of the rounds."""

    rounds: list[float]

    @property
    def median(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.rounds)

    def divided(self, calls: int) -> "Timing":
        """Return the timing of one of so many calls that were timed together."""
        return Timing([milliseconds / calls for milliseconds in self.rounds])

    def ratio(self, other: "Timing") -> float:
        """Return how many times longer than `other`, as the median of the rounds' ratios."""
        return statistics.median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))


def alternate(
    workers: dict[str, Worker], rounds: int, seconds: float, pause: float, case: str = ""
) -> Iterator[tuple[str, Timing | None]]:
    """Measure the workers in turn; yield (name, None) a measurement, then each name's timing."""
    medians: dict[str, list[float]] = {name: [] for name in workers}
    for worker in workers.values():
        worker.measure(seconds / 2, case)  # warm up: clocks, caches, allocators
    for _ in range(rounds):
        for name, worker in workers.items():
            time.sleep(pause)  # pools that spin after their work fall asleep
            medians[name].append(worker.measure(seconds, case))
            yield name, None
    for name, values in medians.items():
        yield name, Timing(values)


def machine() -> dict[str, Any]:
    """Return what a figure has to be read with: CPU, cores, other load, versions, date."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "load_average_before": os.getloadavg()[0],
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := package_version(name))},
    }


def cpu_model() -> str:
    """Return the processor's name as the system knows it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def package_version(name: str) -> str | None:
    """Return the installed version, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def write_json(path: Path, content: object) -> None:
    """Write atomically, so that an interrupted run leaves the last complete file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
        json.dump(content, file, indent=1)
    os.replace(file.name, path)
