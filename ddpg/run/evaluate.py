"""How good a policy is, and whether its Q knows it.

    evaluate(agent.act, env, 10)       # returns
    evaluate_agent(agent, env, 10)     # and how far Q was off along the same episodes

Episodes have fixed start states, and there is no noise.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rl as tg
from ddpg.agent import DDPG
from ddpg.errors import TrainingError, UsageError, counted
from ddpg.run.q_error import QError, compare, q_error
from ddpg.spaces import Env, begun, check_finite, stepped

FIRST_SEED = 1000
"""Episode `i` of an evaluation starts from seed `FIRST_SEED + i` unless told otherwise, so that
runs, and moments of one run, are compared on the same start states."""

LONGEST = 20_000
"""Steps after which an episode is cut off: ten times what the longest ones of gymnasium have."""

_STATES_FOR_UNITS = 100
"""About so many states of each episode show which of the critic's units are dead."""

Act = Callable[[Any], np.ndarray]


class Rollout(NamedTuple):
    """An episode as it was played.

    Attributes
    ----------
    obs : all observations, the last one included, as `keep` gave them.
    rewards : float64, (steps,).
    terminated : whether the last observation has no future.
    ended : False if the episode was still going on when it was cut off.
    """

    obs: list[Any]
    rewards: np.ndarray
    terminated: bool
    ended: bool


class Evaluation(NamedTuple):
    """What an evaluation of an agent found out.

    Attributes
    ----------
    returns : undiscounted, float64, (episodes,).
    q_error : of the critic that the actor follows, at the actor's own actions.
    dead_units : share of that critic's hidden units that are 0 in all of these episodes.
    """

    returns: np.ndarray
    q_error: QError
    dead_units: float


def evaluate(
    act: Act,
    env: Env,
    episodes: int,
    first_seed: int = FIRST_SEED,
    longest: int = LONGEST,
    tell: Callable[[str], object] = warnings.warn,
) -> np.ndarray:
    """Undiscounted returns of whole episodes, float64, shape (episodes,).

    Parameters
    ----------
    act : from an observation, as the environment gives it, to an action, `agent.act` for instance.
    env : used by nobody else: an evaluation leaves it in another place.
    first_seed : the seed of the first episode's start state; the following ones count up.
    longest : steps after which an episode that has not ended is cut off, and the evaluation ends.
    tell : where it is said if that happens.

    Raises
    ------
    TrainingError : if the environment raises, with the episode's seed and the step.
    """
    played = _rollouts(act, env, episodes, first_seed, longest, tell, lambda obs: obs)
    return np.array([rollout.rewards.sum() for rollout in played])


def evaluate_agent(
    agent: DDPG,
    env: Env,
    episodes: int,
    first_seed: int = FIRST_SEED,
    longest: int = LONGEST,
    tell: Callable[[str], object] = warnings.warn,
) -> Evaluation:
    """The same, and Q's error along these episodes; the agent is as it was.

    Parameters
    ----------
    agent : acts without noise.
    env, episodes, first_seed, longest, tell : as in `evaluate`.

    Raises
    ------
    TrainingError : as `evaluate`.
    """
    returns, compared, some_obs = [], [], []
    keep = partial(_row, agent)
    for rollout in _rollouts(agent.act, env, episodes, first_seed, longest, tell, keep):
        returns.append(rollout.rewards.sum())
        seen = np.array(rollout.obs, np.float32)
        values = _values(agent, seen)
        compared.append(compare(values, rollout.rewards, rollout.terminated, agent.config.gamma))
        some_obs.append(seen[:: len(seen) // _STATES_FOR_UNITS + 1])
    return Evaluation(np.array(returns), q_error(compared), _dead_units(agent, some_obs))


def _row(agent: DDPG, obs: Any) -> np.ndarray:
    row = agent.flatten(obs)
    if row.shape != (agent.observations.size,):
        raise UsageError(
            f"observation must have shape ({agent.observations.size},), got {row.shape}"
        )
    check_finite(row, "observation")
    return row


def _values(agent: DDPG, obs: np.ndarray) -> np.ndarray:
    """What Q says at the actor's actions, (n,)."""
    rows = tg.from_numpy(obs)
    # Eagerly: a compiled form would be one for each length of an episode.
    with tg.no_grad(), np.errstate(over="ignore", invalid="ignore"):
        return agent.critics[0](rows, agent.actor(rows)).numpy()[:, 0]


def _dead_units(agent: DDPG, some_obs: list[np.ndarray]) -> float:
    rows = tg.from_numpy(np.concatenate(some_obs))
    with tg.no_grad(), np.errstate(over="ignore", invalid="ignore"):
        return agent.critics[0].dead_units(rows, agent.actor(rows))


def _rollouts(
    act: Act,
    env: Env,
    episodes: int,
    first_seed: int,
    longest: int,
    tell: Callable[[str], object],
    keep: Callable[[Any], Any],
) -> Iterator[Rollout]:
    for count, seed in enumerate(range(first_seed, first_seed + episodes), start=1):
        rollout = _rollout(act, env, seed, longest, keep)
        yield rollout
        if not rollout.ended:
            tell(_endless(seed, count, longest))
            break


def _endless(seed: int, count: int, longest: int) -> str:
    return (
        f"the episode from seed {seed} did not end within {counted(longest, 'step')}: the "
        f"evaluation ends with it, after {counted(count, 'episode')}; give the environment a time "
        "limit, gymnasium.wrappers.TimeLimit for instance"
    )


def _rollout(act: Act, env: Env, seed: int, longest: int, keep: Callable[[Any], Any]) -> Rollout:
    """An episode; `keep` copies what is to be kept of an observation, and `act` sees the same."""
    observations: list[Any] = []
    rewards: list[float] = []
    terminated = truncated = False
    try:
        observations.append(keep(begun(env.reset(seed=seed))))
        while len(rewards) < longest and not (terminated or truncated):
            obs, reward, terminated, truncated = stepped(env.step(act(observations[-1])))
            if not math.isfinite(reward):
                raise UsageError(f"reward is {reward}")
            rewards.append(reward)
            observations.append(keep(obs))
    except (Exception, SystemExit) as error:  # it is anybody's code
        raise environment_failed(error, len(observations), seed) from error
    return Rollout(observations, np.array(rewards), terminated, terminated or truncated)


def environment_failed(error: BaseException, step: int, seed: int) -> TrainingError:
    """What is said of an error of the environment, in this step of the episode from this seed."""
    said = " ".join(str(error).split())
    when = f"in step {step}" if step else "at the beginning"
    where = f"{when} of the evaluation's episode from seed {seed}"
    if isinstance(error, UsageError):  # it gave what is not of its space
        return TrainingError(f"the environment's {said}, {where}")
    reason = f": {said}" if said else ""
    return TrainingError(f"the environment raised {type(error).__name__} {where}{reason}")
