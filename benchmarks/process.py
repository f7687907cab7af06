"""Whole processes: the first update, cold and warm, and a short training run.

    python benchmarks/process.py

Cold means an empty kernel cache: the update and the matrix product are compiled. The training run
is `ddpg train` on Pendulum-v1 with three layers of 64, batches of 100, 10,000 steps, an update a
step, no evaluation. Bytecode of Python's files is kept, as in an ordinary installation.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROUNDS = 5
FIRST_UPDATE = """
import sys, time
start = time.perf_counter()
import gymnasium, numpy
import tinygrad_rl
from ddpg import DDPG, DDPGConfig
obs, act, batch, threads, *hidden = map(int, sys.argv[1:])
tinygrad_rl.set_num_threads(threads)
agent = DDPG(
    gymnasium.spaces.Box(-1, 1, (obs,)), gymnasium.spaces.Box(-2, 2, (act,)),
    DDPGConfig(hidden=tuple(hidden), batch_size=batch),
)
rng = numpy.random.default_rng(0)
for _ in range(100):
    row = rng.normal(size=obs)
    agent.replay.add(row, rng.uniform(-1, 1, act), rng.normal(), row + 0.1, False, False)
built = time.perf_counter()
agent.update()
updated = time.perf_counter()
agent.act(row)
times = []
for _ in range(2000):
    begun = time.perf_counter()
    agent.act(row)
    times.append(time.perf_counter() - begun)
print(built - start, updated - built, 1e6 * sorted(times)[1000])
"""
SIZES = ["3 1 64 1 64 64", "3 1 100 1 64 64 64", "17 6 256 2 256 256"]
TRAIN = (
    "-m ddpg train --env-id Pendulum-v1 --hidden 64 64 64 --batch-size 100 --eval-every 0"
    " --total-timesteps 10000 --updates-per-step 1"
)


def run(arguments: list[str], cache: str) -> str:
    """What a child process prints."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment | {"TINYGRAD_RL_CACHE": cache},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def first_update(size: str, cache: str) -> list[float]:
    """Seconds to import and build, seconds of the first update, microseconds of `act`."""
    return [float(word) for word in run(["-c", FIRST_UPDATE, *size.split()], cache).split()]


def training(threads: int, cache: str, folder: str) -> tuple[float, float]:
    """Seconds and megabytes of a training run."""
    inside = (
        "import resource, runpy, sys\n"
        "try:\n    runpy.run_module('ddpg', run_name='__main__', alter_sys=True)\n"
        "finally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, file=sys.stdout)\n"
    )
    words = [*TRAIN.split()[2:], "--threads", str(threads), "--run-dir", folder]
    start = time.perf_counter()
    out = run(["-c", inside, *words], cache)
    return time.perf_counter() - start, float(out.split()[-1])


def main() -> None:
    """Print two tables."""
    console = Console()
    first = Table("update", "threads", "cold, s", "import, build, s", "warm, s", "act, us")
    train = Table("training run", "s", "lowest to highest", "MB")
    with tempfile.TemporaryDirectory() as folder:
        for k, size in enumerate(track(SIZES, "first updates", transient=True)):
            cache = f"{folder}/cache{k}"
            cold = first_update(size, cache)[1]
            warm = [first_update(size, cache) for _ in range(ROUNDS)]
            build, update, act = (statistics.median(times) for times in zip(*warm, strict=True))
            obs, dims, batch, threads, *hidden = size.split()
            name = f"{obs}/{dims}/{'x'.join(hidden)}@{batch}"
            first.add_row(
                name, threads, f"{cold:.1f}", f"{build:.2f}", f"{update:.2f}", f"{act:.1f}"
            )
        for threads in track((1, 2), "training runs", transient=True):
            cache = f"{folder}/cache_train{threads}"
            training(threads, cache, f"{folder}/cold{threads}")
            runs = [training(threads, cache, f"{folder}/{threads}_{n}") for n in range(ROUNDS)]
            seconds, size_mb = zip(*runs, strict=True)
            train.add_row(
                f"{threads} thread{'s' * (threads > 1)}",
                f"{statistics.median(seconds):.2f}",
                f"{min(seconds):.2f} to {max(seconds):.2f}",
                f"{max(size_mb):.0f}",
            )
        assert Path(f"{folder}/1_0/metrics.csv").read_bytes() == (
            Path(f"{folder}/2_0/metrics.csv").read_bytes()
        ), "the number of threads changed the result"
    console.print(first, train)


if __name__ == "__main__":
    main()
