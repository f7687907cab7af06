"""An ensemble's critics: their layers stacked, or one critic after the other.

    python benchmarks/ensemble.py

One step of K critics towards a given target, compiled, on one thread: forward, backward, Adam.
Stacked, a layer of all of them is one product, (K, batch, in) @ (K, in, out). The control is the
products alone. All three run in turn in one process. `lines` are those of the generated code, one
after the other and stacked: what the first call compiles.
"""

import statistics
from collections.abc import Callable
from itertools import pairwise

import harness
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from update_peers.control import backward_inputs, backward_weights, forward

import tinygrad_rl as tg

ROUNDS, SECONDS = 20, 0.05
SIZES = {"256x256@256": ((23, 256, 256, 1), 256), "64x64@100": ((4, 64, 64, 1), 100)}
CASES = [(critics, size) for critics in (2, 10) for size in SIZES]


def learner(networks: list[list[np.ndarray]]) -> Callable[[tg.Tensor, tg.Tensor], tg.Tensor]:
    """Return the compiled step; weights are (in, out), or (K, in, out) of K networks in one."""
    layers = [
        [[tg.Tensor(x, requires_grad=True) for x in (w, np.zeros_like(w[..., :1, :]))] for w in net]
        for net in networks
    ]
    adam = tg.optim.Adam(layers, lr=1e-3)

    def q(network: list[list[tg.Tensor]], h: tg.Tensor) -> tg.Tensor:
        for weight, bias in network[:-1]:
            h = tg.relu(h @ weight + bias)
        weight, bias = network[-1]
        return h @ weight + bias

    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        loss = tg.stack([((q(net, x) - y) ** 2).mean(axis=(-1, -2)).sum() for net in layers]).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.detach()

    return tg.jit(step)


def products(networks: list[list[np.ndarray]], batch: int) -> Callable[[], None]:
    """Return the control; each network has its own weights, values and gradients."""
    rng = np.random.default_rng(1)
    buffers = []
    for net in networks:
        widths = (*(len(w) for w in net), 1)
        x, g = (
            tuple(rng.standard_normal((batch, n), np.float32) for n in widths) for _ in range(2)
        )
        weights = tuple(np.ascontiguousarray(w.T) for w in net)
        buffers.append((x, g, weights, tuple(map(np.empty_like, weights))))

    def step() -> None:
        for x, g, weights, d_weights in buffers:
            forward(x, weights)
            backward_inputs(g, weights)
            backward_weights(g, x, d_weights)

    return step


def measure(critics: int, widths: tuple[int, ...], batch: int) -> list[str]:
    """Return the figures of one row of the table."""
    rng = np.random.default_rng(0)
    shapes = [(critics, a, b) for a, b in pairwise(widths)]
    stacks = [rng.standard_normal(s, np.float32) * np.float32(s[1] ** -0.5) for s in shapes]
    x, y = (tg.Tensor(rng.standard_normal((batch, n), np.float32)) for n in (widths[0], 1))
    networks = [[w[k] for w in stacks] for k in range(critics)]
    one, all_at_once = learner(networks), learner([stacks])
    losses = [[float(step(x, y)) for _ in range(5)] for step in (one, all_at_once)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    calls = [products(networks, batch), lambda: one(x, y), lambda: all_at_once(x, y)]
    rounds = [[harness.median_call(call, SECONDS) for call in calls] for _ in range(ROUNDS)]
    low, middle, high = statistics.quantiles([b / a for _, a, b in rounds], n=4)
    return [
        *(f"{statistics.median(times):.3f}" for times in zip(*rounds, strict=True)),
        f"{middle:.2f} ({low:.2f}-{high:.2f})",
        ", ".join(str(len(step.source().splitlines())) for step in (one, all_at_once)),
    ]


def main() -> None:
    """Print the table."""
    harness.use_cores(1)  # before SciPy's BLAS, which the control calls, counts them
    table = Table("K, size", "products, ms", "in turn", "stacked", "ratio (quartiles)", "lines")
    for critics, size in track(CASES, "ensembles", transient=True):
        table.add_row(f"{critics}, {size}", *measure(critics, *SIZES[size]))
    Console().print(table)


if __name__ == "__main__":
    main()
