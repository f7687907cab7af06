"""Is an update slower because the explaining modules are loaded? Time it with and without them.

    python benchmarks/explain.py

Each round starts two fresh processes in turn: in one, `explain`, `walkthrough` and `contract` are
replaced by empty modules before the engine is imported. The ratio is taken within a round.
"""

import json
import statistics
import subprocess
import sys

ROUNDS = 5
CHILD = """
import json, statistics, sys, time, types

class Empty(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return object

if sys.argv[1] == "without":
    for name in ("explain", "walkthrough", "contract"):
        sys.modules["tinygrad_rl." + name] = Empty("tinygrad_rl." + name)

import gymnasium as gym
import numpy as np
from ddpg import DDPG, DDPGConfig
from threadpoolctl import threadpool_limits

loaded = [m for m in sys.modules if m.startswith("tinygrad_rl.explain_")]
assert bool(loaded) == (sys.argv[1] == "with"), loaded
times = {}
with threadpool_limits(1):
    for form in (True, False):
        agent = DDPG(
            gym.spaces.Box(-1, 1, (3,)), gym.spaces.Box(-2, 2, (1,)),
            DDPGConfig(hidden=(64, 64), batch_size=64, compile=form, buffer_size=2000), seed=0,
        )
        rng = np.random.default_rng(0)
        for _ in range(1000):
            row = rng.normal(size=3)
            agent.replay.add(row, rng.uniform(-1, 1, 1), rng.normal(), row + 0.1, False, False)
        count = 2000 if form else 60
        for _ in range(20):
            agent.update()
        samples = []
        for _ in range(count):
            start = time.perf_counter()
            agent.update()
            samples.append(time.perf_counter() - start)
        times["compiled" if form else "eager"] = statistics.median(samples) * 1e6
print(json.dumps(times))
"""


def measure(how: str) -> dict[str, float]:
    """Microseconds of one update in a process of its own, by form."""
    out = subprocess.run(
        [sys.executable, "-c", CHILD, how], capture_output=True, text=True, check=True
    )
    times: dict[str, float] = json.loads(out.stdout)
    return times


def main() -> None:
    """Print the median times and the median of the rounds' ratios."""
    measure("with")  # fills the kernel cache
    rounds = [(measure("with"), measure("without")) for _ in range(ROUNDS)]
    for form in ("compiled", "eager"):
        loaded = statistics.median(a[form] for a, _ in rounds)
        empty = statistics.median(b[form] for _, b in rounds)
        ratios = sorted(a[form] / b[form] for a, b in rounds)
        print(
            f"{form}: {loaded:.0f} us with, {empty:.0f} us without; with/without "
            f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )


if __name__ == "__main__":
    main()
