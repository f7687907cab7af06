"""What it costs that a run can go on after any end: checkpoints, steps, and the start of a resume.

    python benchmarks/checkpoint.py                  # on the disk of the temporary folder
    python benchmarks/checkpoint.py --folder runs    # on another one

The run has HalfCheetah's size (observations of 17, actions of 6) and the default distance between
checkpoints, 1,000 transitions. Checkpoints with `os.fsync` and, as a control, with one that does
nothing are made in turn. No environment is stepped, and only one update is made.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import gymnasium as gym
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ddpg import DDPG, DDPGConfig
from ddpg.config import TrainConfig
from ddpg.learn import Episode, Step
from ddpg.run.disk import checkpoint, folder
from ddpg.run.disk.checkpoint import Checkpoint
from ddpg.run.disk.saved_spaces import spaces_of
from ddpg.run.evaluate import Evaluation
from ddpg.run.finite import EVERY, LastFinite, is_finite
from ddpg.run.progress import TrainProgress
from ddpg.run.q_error import QError

NEW, LOADS = 1000, 11
SIZES = [(10_000, (256, 256)), (1_000_000, (256, 256)), (1_000_000, (400, 300))]


class Nowhere(gym.Env):
    """HalfCheetah's spaces and nothing else."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (17,))
    action_space = gym.spaces.Box(-1.0, 1.0, (6,), np.float32)


class Run:
    """A run of `count` transitions, in `run_dir`, that was saved once."""

    def __init__(self, count: int, hidden: tuple[int, ...], run_dir: Path) -> None:
        self.config = TrainConfig(ddpg=DDPGConfig(hidden=hidden, compile=False))
        self.run_dir, self.env = run_dir, Nowhere()
        self.agent = self.new_agent()
        self.rows = (
            np.random.default_rng(0).normal(size=(NEW, self.agent.replay.width)).astype(np.float32)
        )
        self.agent.replay.add_row(self.rows[0])
        self.agent.update()  # makes Adam's moments
        folder.create(run_dir, self.config, spaces_of(self.env))
        self.point = checkpoint.begin(self.agent, self.env, run_dir)
        self.point.log.begin(TrainProgress(count, 0, Console(quiet=True)), 0)
        for _ in range(count // NEW):
            self.go_on()
        self.save()

    def new_agent(self) -> DDPG:
        """One as it is before its first step."""
        return DDPG(self.env.observation_space, self.env.action_space, self.config.ddpg)

    def go_on(self) -> None:
        """What a run notes down between two checkpoints, an episode and an evaluation included."""
        place, log = self.point.place, self.point.log
        for row in self.rows:
            self.agent.replay.add_row(row)
            self.point.transitions.append()
        place.step += NEW
        place.next_episode(0)
        log.step(Step(place.step, [], [Episode(0.0, NEW)]))
        log.evaluation(place.step, Evaluation(np.zeros(10), QError(0.0, 0.0, 0.0, 0.0), 0.0))

    def save(self) -> None:
        """As `ddpg.run.loop` does it."""
        is_finite(self.agent)
        self.point.save(self.agent, self.config, self.run_dir)

    def load(self) -> Checkpoint:
        """What a resume reads and checks before it steps."""
        return checkpoint.load(self.new_agent(), self.env, self.config, self.run_dir)

    def bytes_on_disk(self) -> int:
        """Blocks that the file system holds for the folder."""
        return sum(512 * p.stat().st_blocks for p in self.run_dir.rglob("*") if p.is_file())


@contextmanager
def no_fsync() -> Iterator[None]:
    """The system alone decides when something is on the disk."""
    fsync = os.fsync
    os.fsync = lambda file: None
    try:
        yield
    finally:
        os.fsync = fsync


def milliseconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def processor_milliseconds(call: Callable[[], object]) -> float:
    """Of one call, without waiting for the disk or for other programs."""
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def shown(times: list[float], digits: int = 1) -> str:
    """The median, and between what the middle half lies."""
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def measure(run: Run, rounds: int, name: str) -> list[str]:
    """The cells of a row."""
    on_disk, computed, without, steps = [], [], [], []
    data, everything = run.point.transitions.count * run.rows[0].nbytes, run.bytes_on_disk()
    for _ in track(range(rounds), name, transient=True):
        steps.append(1e3 * milliseconds(run.go_on) / NEW)
        computed.append(processor_milliseconds(lambda: on_disk.append(milliseconds(run.save))))
        run.go_on()
        with no_fsync():
            without.append(milliseconds(run.save))
    finite = LastFinite(run.agent, 0)
    copies = [1e3 * milliseconds(lambda: finite.keep(2 * EVERY)) / EVERY for _ in range(rounds)]
    loads = [milliseconds(lambda: run.load().close()) for _ in range(LOADS)]
    return [
        *(shown(on_disk), shown(computed), shown(without), shown(steps), shown(copies)),
        shown(loads, 0),
        f"{data / 1e6:.1f} of {everything / 1e6:.1f}",
    ]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where the runs are written, and removed")
    parser.add_argument("--rounds", type=int, default=50, help="checkpoints of each kind")
    options = parser.parse_args()
    table = Table(
        *("transitions, hidden", "checkpoint, ms", "its processor time, ms", "without fsync, ms"),
        *("append, us a step", "finite copy, us a step", "load, ms", "MB: transitions, all"),
        title=f"median (quartiles) of {options.rounds}; load average {os.getloadavg()[0]:.1f}",
    )
    for count, hidden in SIZES:
        name = f"{count:,}, {'x'.join(map(str, hidden))}"
        with tempfile.TemporaryDirectory(dir=options.folder) as place:
            run_dir = Path(place)
            with folder.locked(run_dir):
                run = Run(count, hidden, run_dir)
                with closing(run.point):
                    table.add_row(name, *measure(run, options.rounds, name))
    Console().print(table)


if __name__ == "__main__":
    main()
