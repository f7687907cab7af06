"""What a remedy costs: the arithmetic and the time of an update.

cost(variant, Size()).milliseconds
"""

from dataclasses import dataclass, replace

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.agent import DDPG
from ddpg.compare.critics.variants import Variant
from ddpg.compare.measure import Size, median_milliseconds
from ddpg.spaces import Box

TRANSITIONS = 1000
"""That the batches are drawn from."""


@dataclass(frozen=True)
class Cost:
    """Of one update: the mean over those that move the actor and those that do not."""

    flops: float  # of the matrix products
    milliseconds: float  # of the compiled update, median


def cost(variant: Variant, size: Size, seed: int = 0, repetitions: int = 30) -> Cost:
    """Count and time a variant's updates, on random transitions."""
    agent = _agent(variant, size, seed)
    milliseconds = median_milliseconds(lambda: _update(agent), repetitions)
    return Cost(count_update(variant, size, seed), milliseconds / variant.config.actor_every)


def count_update(variant: Variant, size: Size, seed: int = 0) -> float:
    """FLOPs of the matrix products of one update, as autograd runs them."""
    agent = _agent(variant, size, seed, compile=False)
    with tg.count_flops() as counter:
        _update(agent)
    return counter.total / variant.config.actor_every


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


def _update(agent: DDPG) -> None:
    """As many updates as belong to one step of the actor."""
    for _ in range(agent.config.actor_every):
        agent.update()
