"""What a remedy costs: the arithmetic and the time of an update.

cost(variant, Size()).milliseconds
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.agent import DDPG
from ddpg.compare.critics.variants import VARIANTS, Variant
from ddpg.compare.measure import Size, milliseconds
from ddpg.spaces import Box

UPDATES = 20
"""Timed at a stretch: whole periods of every variant, and so are the two before them."""
TRANSITIONS = 1000
"""That the batches are drawn from."""


@dataclass(frozen=True)
class Cost:
    """Of one update: the mean over those that move the actor and those that do not."""

    flops: float  # of the matrix products
    milliseconds: float  # of the compiled update, the fastest: other programs only add to it


def costs(size: Size, seed: int = 0, rounds: int = 10) -> dict[str, Cost]:
    """Count and time the updates of all variants, on random transitions; by their names.

    In each of the `rounds` all are timed, one after the other, so that a machine that is busy for a
    while does not slow one of them alone.
    """
    agents = [_agent(variant, size, seed) for variant in VARIANTS]
    times: list[list[float]] = [[] for _ in agents]
    for _ in range(rounds):
        for agent, taken in zip(agents, times, strict=True):
            taken += milliseconds(agent.update, UPDATES)
    return {
        variant.name: Cost(count_update(variant, size, seed), _mean_of_fastest(taken, variant))
        for variant, taken in zip(VARIANTS, times, strict=True)
    }


def _mean_of_fastest(times: Sequence[float], variant: Variant) -> float:
    """Of the fastest update that moves the actor, and of the fastest of those between."""
    period = variant.config.actor_every
    return statistics.fmean(min(times[k::period]) for k in range(period))


def count_update(variant: Variant, size: Size, seed: int = 0) -> float:
    """FLOPs of the matrix products of one update, as autograd runs them."""
    agent = _agent(variant, size, seed, compile=False)
    period = variant.config.actor_every
    with tg.count_flops() as counter:
        for _ in range(period):
            agent.update()
    return counter.total / period


def _agent(variant: Variant, size: Size, seed: int, compile: bool = True) -> DDPG:
    """An agent of that size, with transitions to learn from."""
    config = replace(variant.config, hidden=size.hidden, batch_size=size.batch_size)
    config = replace(config, buffer_size=TRANSITIONS, compile=compile)
    agent_seed, data_seed = rng.spawn(seed, 2)
    generator = rng.generator(data_seed)
    action_space = Box(-1.0, 1.0, (size.act_dim,), np.float32)
    agent = DDPG(Box(-np.inf, np.inf, (size.obs_dim,)), action_space, config, agent_seed)
    for _ in range(TRANSITIONS):
        obs, next_obs = generator.standard_normal((2, size.obs_dim))
        action = generator.uniform(-1.0, 1.0, size.act_dim)
        agent.replay.add(obs, action, generator.standard_normal(), next_obs, False, False)
    return agent
