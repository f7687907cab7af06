"""How good is a policy? Its returns over episodes with fixed start states, without noise."""

from collections.abc import Callable

import numpy as np

from ddpg.spaces import Env

FIRST_SEED = 1000
"""Episode `i` of an evaluation starts from seed `FIRST_SEED + i` unless told otherwise, so that
runs, and moments of one run, are compared on the same start states."""


def evaluate(
    act: Callable[[np.ndarray], np.ndarray],
    env: Env,
    episodes: int,
    first_seed: int = FIRST_SEED,
) -> np.ndarray:
    """Undiscounted returns of whole episodes, float64, shape (episodes,).

    Parameters
    ----------
    act : from an observation to an action, `agent.act` for instance.
    env : used by nobody else: an evaluation leaves it in another place.
    first_seed : the seed of the first episode's start state; the following ones count up.
    """
    return np.array([_episode(act, env, first_seed + index) for index in range(episodes)])


def _episode(act: Callable[[np.ndarray], np.ndarray], env: Env, seed: int) -> float:
    obs, _ = env.reset(seed=seed)
    total, done = 0.0, False
    while not done:
        obs, reward, terminated, truncated, _ = env.step(act(obs))
        total += float(reward)
        done = terminated or truncated
    return total
