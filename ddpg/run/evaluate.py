"""How good is a policy? Its returns over episodes with fixed start states, without noise."""

import warnings
from collections.abc import Callable

import numpy as np

from ddpg.errors import TrainingError
from ddpg.spaces import Env

FIRST_SEED = 1000
"""Episode `i` of an evaluation starts from seed `FIRST_SEED + i` unless told otherwise, so that
runs, and moments of one run, are compared on the same start states."""

LONGEST = 20_000
"""Steps after which an episode is cut off: ten times what the longest ones of gymnasium have."""


def evaluate(
    act: Callable[[np.ndarray], np.ndarray],
    env: Env,
    episodes: int,
    first_seed: int = FIRST_SEED,
    longest: int = LONGEST,
    tell: Callable[[str], object] = warnings.warn,
) -> np.ndarray:
    """Undiscounted returns of whole episodes, float64, shape (episodes,).

    Parameters
    ----------
    act : from an observation to an action, `agent.act` for instance.
    env : used by nobody else: an evaluation leaves it in another place.
    first_seed : the seed of the first episode's start state; the following ones count up.
    longest : steps after which an episode that has not ended is cut off, and the evaluation ends.
    tell : where it is said if that happens.

    Raises
    ------
    TrainingError : if the environment raises, with the episode's seed and the step.
    """
    returns: list[float] = []
    for seed in range(first_seed, first_seed + episodes):
        total, ended = _episode(act, env, seed, longest)
        returns.append(total)
        if not ended:
            tell(_endless(seed, len(returns), longest))
            break
    return np.array(returns)


def _endless(seed: int, count: int, longest: int) -> str:
    return (
        f"the episode from seed {seed} did not end within {longest:,} steps: the evaluation ends "
        f"with it, after {count} episode{'s'[: count > 1]}; give the environment a time limit, "
        "gymnasium.wrappers.TimeLimit for instance"
    )


def _episode(
    act: Callable[[np.ndarray], np.ndarray], env: Env, seed: int, longest: int
) -> tuple[float, bool]:
    """Return so far, and whether the episode ended."""
    total, step = 0.0, 0
    try:
        obs, _ = env.reset(seed=seed)
        while step < longest:
            step += 1
            # A copy: some environments give one array again and again.
            obs, reward, terminated, truncated, _ = env.step(act(np.array(obs)))
            total += float(reward)
            if terminated or truncated:
                return total, True
    except Exception as error:
        said = " ".join(str(error).split())
        raise TrainingError(
            f"the environment raised {type(error).__name__} in step {step} of the evaluation's "
            f"episode from seed {seed}: {said}"
        ) from error
    return total, False
