"""The way back to where a run's environments were: the same seeds, the same actions.

others = retrace(envs, seed, place, histories, "float32")      # {} if all came out as before
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ddpg import rng
from ddpg.learn import Environments, Place, reset, side_by_side
from ddpg.replay import Transition


def retrace(
    envs: Environments,
    seed: rng.Seed,
    place: Place,
    histories: Sequence[Sequence[Transition]],
    dtype: DTypeLike,
) -> dict[int, str]:
    """Bring environments to `place`, by the actions of their present episodes, and set its `obs`.

    Parameters
    ----------
    envs : new ones.
    seed : as given to `learn`.
    histories : of each environment, the transitions of its present episode, `place.length` of them.
    dtype : of an action; the transitions have what it was as float32.

    Returns
    -------
    dict : of each environment that can't be replayed, what came out otherwise than it had, in
        words; there only a new episode can follow.
    """
    begins = [max(place.length) - length for length in place.length]
    obs: list[np.ndarray | None] = [None] * envs.num_envs
    ended = [True] * envs.num_envs
    others: dict[int, str] = {}
    for step, of_longest in enumerate(histories[begins.index(0)]):
        # All of them make each step. Whoever's turn comes later makes some that do not count.
        due = [i for i, begin in enumerate(begins) if begin == step or ended[i]]
        if due:
            where = f"replayed step {step + 1}"
            for i, first in zip(due, reset(envs, due, seed, place, where), strict=True):
                obs[i] = first
        now = [
            history[step - begin] if begin <= step else None
            for history, begin in zip(histories, begins, strict=True)
        ]
        actions = [(t or of_longest).action.astype(dtype) for t in now]
        outcome = envs.step(side_by_side(actions), f"replayed step {step + 1}")
        for i, transition in enumerate(now):
            if transition is not None and i not in others:
                answer = [answers[i] for answers in outcome]
                name = f"step {step - begins[i] + 1} of episode {place.episode[i] + 1}"
                if other := _other(transition, obs[i], answer, name):
                    others[i] = other
            ended[i] = bool(outcome.terminated[i] or outcome.truncated[i])
        obs = [*outcome.next_obs]
    for i, length in enumerate(place.length):
        place.obs[i] = obs[i] if length > 0 and i not in others else None
    return others


def _other(
    stored: Transition, obs: np.ndarray | None, answer: Sequence[Any], where: str
) -> str | None:
    """What is not as it was stored, in words."""
    reward, next_obs, terminated, truncated = answer
    if changed := _other_obs(stored.obs, obs):
        return f"the observation before {where}{changed}"
    if np.float32(reward) != stored.reward:
        return f"the reward of {where} was {stored.reward}, and is now {reward}"
    if changed := _other_obs(stored.next_obs, next_obs):
        return f"the observation after {where}{changed}"
    if terminated or truncated:
        return f"{where} now ends the episode"
    return None


def _other_obs(stored: np.ndarray, now: np.ndarray | None) -> str | None:
    assert now is not None
    if now.shape != stored.shape:
        return f" had shape {stored.shape}, and now has {now.shape}"
    changed = np.flatnonzero(now.astype(np.float32) != stored)
    if not len(changed):
        return None
    place = changed[0]
    return f" was {stored[place]} at index {place}, and is now {now[place]}"
