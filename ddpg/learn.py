"""The training loop: act, store, update.

    for step in learn(agent, env, 10_000, seed=0):
        print(step.number, step.updates, step.episode)

This is where the agent meets the environment; what is done with the result is the caller's affair.

Every episode starts from a seed of its own, made of the run's seed and the episode's number. So the
place of an environment is known without looking into it: its episode, and the actions since. A run
that goes on elsewhere keeps a `Place` and finds the way back with `retrace`.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ddpg import rng
from ddpg.agent import DDPG
from ddpg.errors import DivergedError, TrainingError, UsageError
from ddpg.replay import Transition
from ddpg.spaces import Env

Flatten = Callable[[Any], np.ndarray]
"""From an observation as an environment gives it to a copy that the replay takes."""


class Episode(NamedTuple):
    """A finished training episode, exploration noise included."""

    total_reward: float
    length: int


class Step(NamedTuple):
    """What one environment step brought."""

    number: int
    updates: list[dict[str, float]]
    episode: Episode | None


@dataclass
class Place:
    """Where learning is; with the agent, all that `learn` needs to go on.

    Attributes
    ----------
    step : environment steps done.
    episode : number of the present episode, from 0.
    length, total_reward : what there is of it; undiscounted.
    action : chosen for the next step and not carried out, because the environment failed; or None.
    obs : the last observation; None before the episode's first.
    """

    step: int = 0
    episode: int = 0
    length: int = 0
    total_reward: float = 0.0
    action: np.ndarray | None = None
    obs: np.ndarray | None = None

    def next_episode(self) -> None:
        """The present episode is over, or given up."""
        self.episode += 1
        self.length, self.total_reward = 0, 0.0
        self.action = self.obs = None


def learn(
    agent: DDPG, env: Env, total_steps: int, seed: rng.Seed, place: Place | None = None
) -> Iterator[Step]:
    """Algorithm 1 of Lillicrap et al. 2015; yields after each environment step.

    Parameters
    ----------
    agent : learns; its `warmup_steps` and `updates_per_step` say when.
    env : used by nobody else.
    total_steps : environment steps, numbered from 1.
    seed : of the environment; each episode starts from a seed made of this and its number.
    place : where to go on, from the beginning by default; kept up to date.

    Raises
    ------
    TrainingError : for an environment that raises, or a NaN or infinite observation or reward;
        agent and place are as after the step before, but for `place.action`.
    DivergedError : for a loss or an action that is no longer finite; the agent is lost.
    """
    place = Place() if place is None else place
    while place.step < total_steps:
        number = place.step + 1
        if place.obs is None:
            place.obs = _reset(env, agent.flatten, seed, place.episode, f"step {number}")
            agent.replay.begin_episode()  # also where the one before was given up
            if place.action is None:  # else the noise has begun the episode already
                agent.noise.reset()
        if place.action is None:
            place.action = _explore(agent, place.obs, number)
        next_obs, reward, terminated, truncated = _step(
            env, agent.flatten, place.action, f"step {number}"
        )
        try:
            # Not `terminated or truncated`: a time limit cuts the episode, not the future.
            agent.replay.add(place.obs, place.action, reward, next_obs, terminated, truncated)
        except ValueError as error:
            raise TrainingError(f"step {number}: the environment's {error}") from error
        place.obs, place.action = next_obs, None
        place.step, place.length = number, place.length + 1
        place.total_reward += reward

        updates = []
        if number > agent.config.warmup_steps:
            updates = [agent.update() for _ in range(agent.config.updates_per_step)]
            _check_finite(updates[-1], number)

        episode = None
        if terminated or truncated:
            episode = Episode(place.total_reward, place.length)
            place.next_episode()
        yield Step(number, updates, episode)


def retrace(
    env: Env,
    seed: rng.Seed,
    place: Place,
    transitions: Iterable[Transition],
    flatten: Flatten = np.array,
) -> str | None:
    """Bring `env` to `place`, by the actions of its present episode, and set `place.obs`.

    Parameters
    ----------
    env : a new one.
    seed : as given to `learn`.
    transitions : those of the present episode, `place.length` of them.
    flatten : the agent's.

    Returns
    -------
    str or None : what came out otherwise than it had, in words; then the environment can't be
        replayed, and only a new episode can follow.
    """
    obs = _reset(env, flatten, seed, place.episode, f"replayed episode {place.episode + 1}")
    for number, (before, action, reward, after, *_) in enumerate(transitions, start=1):
        where = f"step {number} of episode {place.episode + 1}"
        if other := _other(before, obs):
            return f"the observation before {where}{other}"
        action = action.astype(env.action_space.dtype)
        obs, got, terminated, truncated = _step(env, flatten, action, f"replayed {where}")
        if np.float32(got) != reward:
            return f"the reward of {where} was {reward}, and is now {got}"
        if other := _other(after, obs):
            return f"the observation after {where}{other}"
        if terminated or truncated:
            return f"{where} now ends the episode"
    place.obs = obs
    return None


def _other(stored: np.ndarray, now: np.ndarray) -> str | None:
    """Where an observation is not as it was stored, in words."""
    if now.shape != stored.shape:
        return f" had shape {stored.shape}, and now has {now.shape}"
    changed = np.flatnonzero(now.astype(np.float32) != stored)
    if not len(changed):
        return None
    place = changed[0]
    return f" was {stored[place]} at index {place}, and is now {now[place]}"


def _reset(env: Env, flatten: Flatten, seed: rng.Seed, episode: int, where: str) -> np.ndarray:
    try:
        # A copy: the environment may give the same array again and again, with other values.
        obs = flatten(env.reset(seed=rng.as_integer(rng.child(seed, 0, episode)))[0])
        wrong = np.argwhere(~np.isfinite(obs))
    except UsageError as error:  # of `flatten`
        raise TrainingError(f"{where}: the environment's {error}") from error
    except Exception as error:
        raise _raised(where, "reset", error) from error
    if len(wrong):
        place = wrong[0].tolist()
        raise TrainingError(
            f"{where}: the environment's first observation is {obs[tuple(place)]} at index {place}"
        )
    return obs


def _step(
    env: Env, flatten: Flatten, action: np.ndarray, where: str
) -> tuple[np.ndarray, float, bool, bool]:
    try:
        # Copies: what is stored must not change when the environment writes into its arrays.
        obs, reward, terminated, truncated, _ = env.step(action.copy())
        return flatten(obs), float(reward), terminated, bool(truncated)
    except UsageError as error:
        raise TrainingError(f"{where}: the environment's {error}") from error
    except Exception as error:
        raise _raised(where, "step", error) from error


def _raised(where: str, method: str, error: Exception) -> TrainingError:
    said = " ".join(str(error).split())
    return TrainingError(
        f"{where}: the environment's {method} raised {type(error).__name__}: {said}"
    )


def _explore(agent: DDPG, obs: np.ndarray, number: int) -> np.ndarray:
    try:
        action = agent.explore(obs)
    except UsageError as error:
        raise TrainingError(f"step {number}: the environment's {error}") from error
    if not all(map(math.isfinite, action.tolist())):
        raise _diverged(number, f"the action is {action}")
    return action


def _check_finite(metrics: dict[str, float], step: int) -> None:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise _diverged(step, f"{name} is {value}")


def _diverged(step: int, what: str) -> DivergedError:
    return DivergedError(
        f"step {step}: {what}: the networks diverged; a smaller --critic-lr or --actor-lr may help"
    )
