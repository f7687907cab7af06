"""Where the time of a compiled update goes: products, everything else, Python, threads.

    python benchmarks/inside.py

The generated function is timed whole, without its matrix products, and with nothing but them, on a
replay of 20,000 random rows; on one thread, which runs the parts of a phase one after the other.
Of a function that is divided, the longest parts of all phases are summed too: what threads could
reach that never wait.
"""

import re
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import harness
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig

SIZES = [(3, 1, (64, 64), 64), (3, 1, (64, 64, 64), 100), (17, 6, (256, 256), 256)]
ROUNDS, SECONDS = 9, 0.1
PRODUCT = re.compile(r"^\s*matmul", re.MULTILINE)


def make_agent(obs: int, act: int, hidden: tuple[int, ...], batch: int) -> DDPG:
    """An agent with a full replay that has been compiled."""
    agent = DDPG(
        gymnasium.spaces.Box(-1, 1, (obs,)),
        gymnasium.spaces.Box(-2, 2, (act,)),
        DDPGConfig(hidden=hidden, batch_size=batch, buffer_size=20_000),
    )
    rng = np.random.default_rng(0)
    for _ in range(20_000):
        s, s2 = rng.standard_normal((2, obs)).astype(np.float32)
        agent.replay.add(s, rng.uniform(-1, 1, act), rng.normal(), s2, rng.random() < 0.05, False)
    agent.update()
    return agent


def without_products(source: str) -> str:
    """The same function, each product replaced by nothing."""
    return "\n".join(
        re.sub(r"matmul.*", "pass", line) if PRODUCT.match(line) else line
        for line in source.splitlines()
    )


def only_products(source: str) -> str:
    """The declarations at the top, then the products one after the other."""
    kept = []
    for line in source.splitlines():
        if not line.startswith("    ") or re.match(r"    (\w+ = array\(|(first|last)_\d+ =)", line):
            kept.append(line)
        elif PRODUCT.match(line):
            kept.append(f"    {line.strip()}")
    return "\n".join(kept)


def compiled(source: str) -> Any:
    """The one function of a module's text."""
    space: dict[str, Any] = {}
    exec(source.replace("cache=True, ", ""), space)
    return space["_step"]


def measure(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds of each, in turn: the median over the rounds."""
    rounds = [
        {name: 1e3 * harness.median_call(call, SECONDS) for name, call in calls.items()}
        for _ in range(ROUNDS)
    ]
    return {name: statistics.median(r[name] for r in rounds) for name in calls}


def longest_parts(function: Any, address: int, phases: int) -> float:
    """Microseconds of the longer part of each phase, each run alone; the sum over the phases."""
    best = np.full((phases, 2), np.inf)
    for _ in range(200):
        for phase, part in np.ndindex(best.shape):
            start = time.perf_counter()
            function(address, phase, part)
            best[phase, part] = min(best[phase, part], time.perf_counter() - start)
    return float(1e6 * best.max(axis=1).sum())


def one_thread(agent: DDPG) -> tuple[float, ...]:
    """Of a compiled update: `update()`, the function, its rest, its products; their GFLOP/s."""
    form = agent._run_step._last
    address, phases = form._address, max(len(form.plan.phases) + 1, 1)

    def all_phases(function: Any) -> Callable[[], None]:
        if not form.plan.phases:
            return lambda: function(address)

        def call() -> None:
            for phase in range(phases):
                function(address, phase, 0)

        return call

    products = compiled(only_products(form.text))
    times = measure(
        {
            "update": agent.update,
            "function": all_phases(compiled(form.text)),
            "rest": all_phases(compiled(without_products(form.text))),
            "products": lambda: products(address, *((0, 0) if form.plan.phases else ())),
        }
    )
    flops = sum(i.flops for i in form.plan.program.instructions if i.op.name == "matmul")
    return *times.values(), 1e-3 * flops / times["products"]


def two_threads(agent: DDPG) -> tuple[float, ...]:
    """Of a divided update: the function, and the sum of the longest parts; nothing of another."""
    form = agent._run_step._last
    if not form.plan.phases:
        return ()
    whole = measure({"": lambda: form._function(form._address)})[""]
    longest = longest_parts(compiled(form.text), form._address, len(form.plan.phases) + 1)
    return whole, longest


def main() -> None:
    """Print a table with a row for each size."""
    table = Table("size", "update()", "function", "no products", "products", "GFLOP/s", "2 threads")
    table.add_column("longest parts")
    for size in track(SIZES, "sizes", transient=True):
        tg.set_num_threads(1)
        numbers = one_thread(make_agent(*size))
        tg.set_num_threads(2)
        numbers += two_threads(make_agent(*size))
        obs, act, hidden, batch = size
        name = f"{obs}/{act}/{'x'.join(map(str, hidden))}@{batch}"
        table.add_row(name, *(f"{n:.0f}" for n in numbers))
    console = Console()
    console.print(table)
    console.print("Microseconds; one thread, where nothing else is said.")


if __name__ == "__main__":
    main()
