"""The control: a cycle's matrix products and nothing else, the floor under every contender.

`np.dot(a, b, out)` inside Numba calls SciPy's OpenBLAS without allocating, and folds `.T` into
BLAS's own flags. A contender that takes as long as this spends nothing on anything else.
"""

from itertools import pairwise

import numba
import numpy as np

from .problem import Problem


@numba.njit(cache=True)
def forward(x, weight):
    """Write layer i's product with its input x[i] into x[i + 1]."""
    for i in range(len(weight)):
        np.dot(x[i], weight[i].T, x[i + 1])


@numba.njit(cache=True)
def backward_inputs(g, weight):
    """Write the gradients of all layers' inputs but the first one's, from g[-1] down."""
    for i in range(len(weight) - 1, 0, -1):
        np.dot(g[i + 1], weight[i], g[i])


@numba.njit(cache=True)
def backward_weights(g, x, d_weight):
    """Write the gradients of all weights."""
    for i in range(len(d_weight)):
        np.dot(g[i + 1].T, x[i], d_weight[i])


@numba.njit(cache=True)
def products(updates, actor, critics, columns, d_action):
    """Run the products of a cycle; `columns` are those of the action in the first critic.

    Of each network there are the values x and their gradients g, from input to output, the
    weights and their gradients.
    """
    x_actor, g_actor, w_actor, d_actor = actor
    x_first, g_first, w_first, _ = critics[0]
    for _ in range(updates):  # the critics' step: target actor, target critics, critics; backward
        forward(x_actor, w_actor)
        for x, _, weight, _ in critics:
            forward(x, weight)
        for x, g, weight, d_weight in critics:
            forward(x, weight)
            backward_inputs(g, weight)
            backward_weights(g, x, d_weight)
    # actor's step: actor, first critic; back through that to the action, then the actor
    forward(x_actor, w_actor)
    forward(x_first, w_first)
    backward_inputs(g_first, w_first)
    np.dot(g_first[1], columns, d_action)
    backward_inputs(g_actor, w_actor)
    backward_weights(g_actor, x_actor, d_actor)


class Products:
    """The control; it has no parameters to check."""

    def __init__(self, problem: Problem, threads: int):
        size, rng = problem.size, np.random.default_rng(0)

        def buffers(network: str) -> tuple:
            shapes = [(size.batch, width) for width in size.widths(network)]
            x, g = (
                tuple(rng.standard_normal(shape, np.float32) for shape in shapes) for _ in range(2)
            )
            weight, d_weight = (
                tuple(
                    rng.standard_normal((b, a), np.float32) / np.float32(a**0.5)
                    for a, b in pairwise(size.widths(network))
                )
                for _ in range(2)
            )
            return x, g, weight, d_weight

        critics = tuple(buffers("critic") for _ in range(problem.settings.critics))
        columns = np.ascontiguousarray(critics[0][2][0][:, size.obs :])
        d_action = np.empty((size.batch, size.act), np.float32)
        updates = problem.settings.actor_every
        self.arguments = (updates, buffers("actor"), critics, columns, d_action)

    def check_cycle(self) -> None:
        """Compile, or load from the cache."""
        self.cycle()

    def parameters(self) -> dict[str, np.ndarray]:
        """Return nothing: products alone update no parameters."""
        return {}

    def cycle(self) -> None:
        """Run the products once."""
        products(*self.arguments)
