"""The training loop: act, store, update.

    for step in learn(agent, env, 10_000, seed=0):
        print(step.number, step.updates, step.episode)

This is where the agent meets the environment; what is done with the result is the caller's affair.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from ddpg.agent import DDPG
from ddpg.errors import TrainingError
from ddpg.spaces import Env


class Episode(NamedTuple):
    """A finished training episode, exploration noise included."""

    total_reward: float
    length: int


class Step(NamedTuple):
    """What one environment step brought."""

    number: int
    updates: list[dict[str, float]]
    episode: Episode | None


def learn(agent: DDPG, env: Env, total_steps: int, seed: int) -> Iterator[Step]:
    """Algorithm 1 of Lillicrap et al. 2015; yields after each environment step.

    Parameters
    ----------
    agent : learns; its `warmup_steps` and `updates_per_step` say when.
    env : used by nobody else.
    total_steps : environment steps, numbered from 1.
    seed : of the environment; later episodes go on from there.

    Raises
    ------
    TrainingError : for a NaN or infinite observation or reward, or a loss that is no longer finite.
    """
    obs, _ = env.reset(seed=seed)
    agent.noise.reset()
    total_reward, length = 0.0, 0
    for number in range(1, total_steps + 1):
        action = agent.explore(obs)
        next_obs, step_reward, terminated, truncated, _ = env.step(action)
        reward = float(step_reward)
        try:
            # Not `terminated or truncated`: a time limit cuts the episode, not the future.
            agent.replay.add(obs, action, reward, next_obs, terminated)
        except ValueError as error:
            raise TrainingError(f"step {number}: the environment's {error}") from error
        total_reward, length = total_reward + reward, length + 1

        updates = []
        if number > agent.config.warmup_steps:
            updates = [agent.update() for _ in range(agent.config.updates_per_step)]
            _check_finite(updates[-1], number)

        obs, episode = next_obs, None
        if terminated or truncated:
            episode = Episode(total_reward, length)
            obs, _ = env.reset()
            agent.noise.reset()
            total_reward, length = 0.0, 0
        yield Step(number, updates, episode)


def _check_finite(metrics: dict[str, float], step: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"step {step}: {name} is {value}: the networks diverged; "
                "a smaller --critic-lr or --actor-lr may help"
            )
