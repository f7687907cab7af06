"""What this machine has: memory, cores, folders that can be written to. Asked before the work.

check_threads(config.threads)
with within_memory(config, obs_dim, act_dim):
    agent = DDPG(...)
check_writable(folder)
"""

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from ddpg.config import TrainConfig
from ddpg.errors import UsageError, counted

FLOAT = 4
"""Bytes of a float32, of which all is made."""
COPIES = 5
"""Of each parameter: itself, the target's, the gradient, and Adam's two moments."""
KEPT = 3
"""Values of a unit that an update holds for each row of a batch: before and after the activation,
and the gradient."""
WINDOW = 24
"""Bytes of each of the transitions that an n-step target sums up: its row, its reward, flags."""
CGROUPS = Path("/sys/fs/cgroup")


def check_threads(threads: int) -> None:
    """See that there is a core for each thread.

    Raises
    ------
    UsageError : if there are fewer cores; the message says how many.
    """
    cores = available_cores()
    if threads > cores:
        raise UsageError(
            f"--threads {threads} is more than this machine's {counted(cores, 'core')}"
        )


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_memory(config: TrainConfig, obs_dim: int, act_dim: int) -> None:
    """See that a run can fit into this machine's memory, from its settings alone.

    Parameters
    ----------
    config : the run.
    obs_dim, act_dim : length of an observation and of an action.

    Raises
    ------
    UsageError : if it cannot; the message names the setting that needs most.
    """
    memory = available_memory()
    if memory is None:
        return
    row = FLOAT * (2 * obs_dim + act_dim + 3)
    needed = needed_memory(config, obs_dim, act_dim)
    # The whole table is asked for at once, although only the rows that are written to cost memory.
    table = config.ddpg.buffer_size * row
    if table > memory or sum(needed.values()) > memory:
        largest = max(needed, key=needed.__getitem__)
        if table > memory:
            largest, needed["buffer_size"] = "buffer_size", table
        blamed = largest
        if largest == "batch_size" and max(config.ddpg.hidden) > config.ddpg.batch_size:
            blamed = "hidden"  # a batch's values are as many as rows times units
        value = getattr(config.ddpg, blamed)
        value = "x".join(map(str, value)) if isinstance(value, tuple) else f"{value:,}"
        raise UsageError(
            f"{blamed} {value} needs {_in_bytes(needed[largest])}, and this machine has "
            f"{_in_bytes(memory)}: choose a smaller --{blamed.replace('_', '-')}"
        )


def needed_memory(config: TrainConfig, obs_dim: int, act_dim: int) -> dict[str, int]:
    """Bytes that the run's large parts take at least, under the setting that makes them large."""
    settings = config.ddpg
    rows = min(settings.buffer_size, config.total_timesteps)
    actor = obs_dim, *settings.hidden, act_dim
    critic = obs_dim + act_dim, *settings.hidden, 1
    of_the_actor, of_a_critic = (
        FLOAT * COPIES * sum((a + 1) * b for a, b in pairwise(sizes)) for sizes in (actor, critic)
    )
    return {
        "buffer_size": FLOAT * rows * (2 * obs_dim + act_dim + 3),
        "hidden": of_the_actor + of_a_critic,
        "critics": (settings.critics - 1) * of_a_critic,
        "batch_size": FLOAT * KEPT * settings.batch_size * (sum(actor) + sum(critic)),
        "n_step": WINDOW * settings.batch_size * (settings.n_step - 1),
    }


@contextmanager
def within_memory(config: TrainConfig, obs_dim: int, act_dim: int) -> Iterator[None]:
    """`check_memory`, and the same answer where an allocation in the block fails nevertheless.

    Raises
    ------
    UsageError : as `check_memory`.
    """
    check_memory(config, obs_dim, act_dim)
    try:
        yield
    except UsageError:
        raise
    except (MemoryError, OverflowError, ValueError) as error:  # NumPy: "array is too big"
        needed = needed_memory(config, obs_dim, act_dim)
        sizes = ", ".join(f"{name} {_in_bytes(size)}" for name, size in needed.items() if size)
        raise UsageError(f"there is not enough memory for this run: {sizes} at least") from error


def available_memory() -> int | None:
    """Bytes that this process may use: the machine's, or less in a container; None if unknown."""
    limits = [*_physical_memory(), *cgroup_limits(Path("/proc/self/cgroup"))]
    return min(limits, default=None)


def _physical_memory() -> Iterator[int]:
    try:
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on every system
        return


def cgroup_limits(membership: Path) -> Iterator[int]:
    """The limits of the control groups that this process is in, those around them included."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            try:
                yield int((folder / name).read_text())
            except (OSError, ValueError):  # not visible from inside a container; "max"
                continue


def check_writable(folder: Path, names: Collection[str] = ()) -> None:
    """See that a file can be written in `folder`, by writing one that is gone afterwards.

    Permissions alone do not say it: the administrator has them all, on a read-only disk too.

    Parameters
    ----------
    names : of files that will be written there.

    Raises
    ------
    UsageError : if the system refuses; the message has its words. Also if one of the names is that
        of a folder.
    """
    for path in (folder / name for name in names):
        if path.is_dir():
            raise UsageError(f"{path} is a folder, where a file of this name goes: move it away")
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(65_536))
    except OSError as error:
        raise UsageError(f"nothing can be written in {folder}: {error.strerror}") from error


def _in_bytes(size: int) -> str:
    for power, unit in enumerate(("bytes", "kB", "MB", "GB", "TB", "PB")):
        value = size // 1000**power if size >= 100 * 1000**power else size / 1000**power
        if value < 1000:
            return f"{value:.3g} {unit}"
    return "more than 1,000 PB"
