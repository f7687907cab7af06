"""An actor, a critic, and where in a test's source something stands."""

import inspect
from collections.abc import Callable

import numpy as np

import tinygrad_rl as tg


def mlp(*sizes: int, seed: int = 0) -> tg.nn.MLP:
    return tg.nn.MLP(sizes, rng=np.random.default_rng(seed))


ACTOR, CRITIC = mlp(3, 8, 1), mlp(4, 8, 1)
OBS = tg.Tensor(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))


def q(action: tg.Tensor) -> tg.Tensor:
    return CRITIC(tg.concatenate([OBS, action], axis=1))


def line_of(function: Callable[..., object], code: str) -> int:
    """The number of the line of a function that holds this code."""
    lines, start = inspect.getsourcelines(function)
    (number,) = [start + i for i, line in enumerate(lines) if code in line]
    return number
