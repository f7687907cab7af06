"""The training loop: act, store, update.

    for step in learn(agent, env, 10_000, seed=0):
        print(step.number, step.updates, step.episodes)

This is where the agent meets the environment; what is done with the result is the caller's affair.

Every episode starts from a seed of its own, made of the run's seed, the environment's place among
those side by side, and the episode's number. So the place of an environment is known without
looking into it: its episode, and the actions since. A run that goes on elsewhere keeps a `Place`
and finds the way back (`ddpg/run/environments/retrace.py`).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ddpg import rng
from ddpg.agent import DDPG
from ddpg.errors import DivergedError, TrainingError, UsageError, counted
from ddpg.spaces import Env, Observations, begun, check_finite, stepped


class Episode(NamedTuple):
    """A finished training episode, exploration noise included."""

    total_reward: float
    length: int


class Step(NamedTuple):
    """What one step brought.

    Attributes
    ----------
    number : transitions so far: environments side by side make one each.
    updates : what each update reported.
    episodes : those that ended here.
    """

    number: int
    updates: list[dict[str, float]]
    episodes: list[Episode]


Outcome = tuple[Any, np.ndarray, Any, Any]
"""What an environment answered to its action: the reward, the next observation, and whether that is
terminated and truncated; of several, arrays with an entry of each."""


class Environments(Protocol):
    """Environments side by side, numbered from 0, which begin an episode only when they are told.

    Whatever they are given and give has an axis of length `num_envs` in front, if that is not 1,
    and is a copy. An error begins with `where`.

    Attributes
    ----------
    num_envs : how many.
    """

    num_envs: int

    def reset(self, seeds: Mapping[int, int], where: str) -> np.ndarray:
        """Begin an episode in each of these, from its seed; what all of them now observe.

        Raises
        ------
        TrainingError : if one of them fails.
        """

    def step(self, action: np.ndarray, where: str) -> Outcome:
        """Act in all of them.

        Raises
        ------
        TrainingError : if one of them fails.
        """


class One:
    """An environment alone.

    Parameters
    ----------
    env : used by nobody else.
    whose : what an error calls its own.
    """

    num_envs = 1

    def __init__(self, env: Env, whose: str = "the environment's") -> None:
        self._env, self._whose = env, whose
        self._flatten = Observations(env.observation_space).flat

    def reset(self, seeds: Mapping[int, int], where: str) -> np.ndarray:
        """As in `Environments`."""
        try:
            # A copy: the environment may give the same array again and again, with other values.
            obs = self._flatten(begun(self._env.reset(seed=seeds[0])))
            check_finite(obs, "first observation")
        except (Exception, SystemExit) as error:  # it is anybody's code
            raise self._failed(where, "reset", error) from error
        return obs

    def step(self, action: np.ndarray, where: str) -> Outcome:
        """As in `Environments`."""
        try:
            # Copies: what is stored must not change when the environment writes into its arrays.
            obs, reward, terminated, truncated = stepped(self._env.step(action.copy()))
            return reward, self._flatten(obs), terminated, truncated
        except (Exception, SystemExit) as error:
            raise self._failed(where, "step", error) from error

    def _failed(self, where: str, method: str, error: BaseException) -> TrainingError:
        said = " ".join(str(error).split())
        if not isinstance(error, UsageError):  # which says it all, of what was given
            said = f"{method} raised {type(error).__name__}" + (f": {said}" if said else "")
        return TrainingError(f"{where}{self._whose} {said}")


@dataclass
class Place:
    """Where learning is; with the agent, all that `learn` needs to go on.

    Attributes
    ----------
    step : transitions made, by all environments together.
    episode : of each environment, the number of its present episode, from 0.
    length, total_reward : of each, what there is of that episode; undiscounted.
    action : chosen for the next step and not carried out, because an environment failed; or None.
    obs : what is observed now, of no account where an episode has no step yet.
    """

    step: int
    episode: list[int]
    length: list[int]
    total_reward: list[float]
    action: np.ndarray | None
    obs: np.ndarray | None

    @classmethod
    def first(cls, num_envs: int = 1) -> "Place":
        """Where so many environments begin."""
        zeros = [0] * num_envs
        return cls(0, zeros, zeros.copy(), [0.0] * num_envs, None, None)

    def advance(self, outcome: Outcome) -> list[Episode]:
        """All environments made a step; which episodes ended with it."""
        rewards, next_obs, terminated, truncated = outcome
        self.action, self.obs = None, next_obs
        over, ended = terminated | truncated, []
        if len(self.length) == 1:
            rewards, over = (rewards,), (over,)
        for i, reward in enumerate(rewards):
            self.step += 1
            self.length[i] += 1
            self.total_reward[i] += float(reward)
            if over[i]:
                ended.append(Episode(self.total_reward[i], self.length[i]))
                self.next_episode(i)
        return ended

    def next_episode(self, i: int) -> None:
        """The present episode of environment `i` is over."""
        self.episode[i] += 1
        self.length[i], self.total_reward[i] = 0, 0.0

    def give_up(self, i: int) -> None:
        """As if it were over; what was chosen for its last observation is of no use any more."""
        self.next_episode(i)
        self.action = None


def learn(
    agent: DDPG,
    env: Env | Environments,
    total_steps: int,
    seed: rng.Seed,
    place: Place | None = None,
) -> Iterator[Step]:
    """Algorithm 1 of Lillicrap et al. 2015; yields after each step of the environment.

    Parameters
    ----------
    agent : learns; its `warmup_steps` and `updates_per_step` say when.
    env : used by nobody else; or several side by side, as many as the agent was made for, which all
        make a step at a time.
    total_steps : transitions, numbered from 1; several environments may go beyond by less than one
        step of all.
    seed : of the environment; each episode starts from a seed made of this and its number.
    place : where to go on, from the beginning by default; kept up to date.

    Raises
    ------
    UsageError : for an agent made for another number of environments.
    TrainingError : for an environment that raises, or a NaN or infinite observation or reward;
        agent and place are as after the step before, but for `place.action`.
    DivergedError : for a loss or an action that is no longer finite; the agent is lost.
    """
    envs = One(env) if isinstance(env, Env) else env
    if envs.num_envs != agent.num_envs:
        raise UsageError(
            f"the agent was made for {counted(agent.num_envs, 'environment')}, not for "
            f"{envs.num_envs}: "
            "DDPG(..., num_envs=...) says how many"
        )
    place = Place.first(envs.num_envs) if place is None else place
    while place.step < total_steps:
        where = f"step {place.step + envs.num_envs}: "
        if 0 in place.length:
            _begin_episodes(agent, envs, seed, place, where)
        assert place.obs is not None
        if place.action is None:
            place.action = _explore(agent, place.obs, where)
        outcome = envs.step(place.action, where)
        try:
            # Not `terminated or truncated`: a time limit cuts the episode, not the future.
            agent.replay.add(place.obs, place.action, *outcome)
        except ValueError as error:
            raise TrainingError(f"{where}the environment's {error}") from error
        episodes = place.advance(outcome)

        updates = [agent.update() for _ in range(agent.updates_due(place.step))]
        if updates:
            _check_finite(updates[-1], where)
        yield Step(place.step, updates, episodes)


def _begin_episodes(
    agent: DDPG, envs: Environments, seed: rng.Seed, place: Place, where: str
) -> None:
    due = [i for i, length in enumerate(place.length) if length == 0]
    place.obs = reset(envs, due, seed, place, where)
    for i in due:
        agent.replay.begin_episode(i)  # also where the one before was given up
        if place.action is None:  # else the noise has begun the episode already
            agent.noise.reset(i)


def reset(
    envs: Environments, which: Sequence[int], seed: rng.Seed, place: Place, where: str
) -> np.ndarray:
    """Begin the present episodes of these environments; what all of them now observe."""
    return envs.reset(
        {i: rng.as_integer(rng.child(seed, i, place.episode[i])) for i in which}, where
    )


def _explore(agent: DDPG, obs: np.ndarray, where: str) -> np.ndarray:
    try:
        action = agent.explore(obs)
    except UsageError as error:
        raise TrainingError(f"{where}the environment's {error}") from error
    if not all(map(math.isfinite, action.flat)):
        raise _diverged(where, f"the action is {action}")
    return action


def _check_finite(metrics: dict[str, float], where: str) -> None:
    if not all(map(math.isfinite, metrics.values())):
        name, value = next(item for item in metrics.items() if not math.isfinite(item[1]))
        raise _diverged(where, f"{name} is {value}")


def _diverged(where: str, what: str) -> DivergedError:
    return DivergedError(
        f"{where}{what}: the networks diverged; a smaller --critic-lr or --actor-lr may help"
    )
