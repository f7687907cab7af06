"""The way back to where a run's environments were: the same seeds, the same actions.

others = retrace(envs, seed, place, histories, "float32")      # {} if all came out as before
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ddpg import rng
from ddpg.learn import Environments, Place, reset
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
    num_envs = envs.num_envs
    begins = [max(place.length) - length for length in place.length]
    ended = [True] * num_envs
    others: dict[int, str] = {}
    obs: np.ndarray | None = None
    for step, of_longest in enumerate(histories[begins.index(0)]):
        # All of them make each step. Whoever's turn comes later makes some that do not count.
        where = f"replayed step {step + 1}: "
        if due := [i for i, begin in enumerate(begins) if begin == step or ended[i]]:
            obs = reset(envs, due, seed, place, where)
        now = [
            history[step - begin] if begin <= step else None
            for history, begin in zip(histories, begins, strict=True)
        ]
        actions = np.array([(t or of_longest).action for t in now]).astype(dtype)
        outcome = envs.step(actions if num_envs > 1 else actions[0], where)
        assert obs is not None  # in the first step all were reset
        answers = [(obs, *outcome)] if num_envs == 1 else zip(obs, *outcome, strict=True)
        for i, (before, *answer) in enumerate(answers):
            transition, ended[i] = now[i], bool(answer[-1] or answer[-2])
            if transition is not None and i not in others:
                name = f"step {step - begins[i] + 1} of episode {place.episode[i] + 1}"
                if other := _other(transition, before, answer, name):
                    others[i] = other
        _, obs, *_ = outcome
    place.obs = obs
    return others


def _other(stored: Transition, obs: np.ndarray, answer: Sequence[Any], where: str) -> str | None:
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


def _other_obs(stored: np.ndarray, now: np.ndarray) -> str | None:
    if now.shape != stored.shape:
        return f" had shape {stored.shape}, and now has {now.shape}"
    changed = np.flatnonzero(now.astype(np.float32) != stored)
    if not len(changed):
        return None
    place = changed[0]
    return f" was {stored[place]} at index {place}, and is now {now[place]}"
