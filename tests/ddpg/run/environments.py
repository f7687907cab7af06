"""A small task for tests of runs, and the ways in which environments are difficult.

    TrainConfig(env_id="tests.ddpg.run.environments:Small-v0")

What happens at which step of a process, whatever the episode, a test puts into `happens`.
"""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

happens: dict[int, Callable[[], float | None]] = {}
"""Called in the step of this number; what it returns is the reward."""
steps = 0
"""Done by all environments here since a test began."""


class Small(gymnasium.Env[Any, Any]):
    """A point that shakes; to be held in the middle. It flies away now and then."""

    dtype: type = np.float32
    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.normal(size=2)
        return self.seen(), {}

    def step(self, action):
        global steps
        steps += 1
        reward = happens[steps]() if steps in happens else None
        self.x = 0.9 * self.x + 0.1 * self.np_random.normal(size=2)
        self.x[0] += 0.5 * float(action[0])
        if reward is None:
            reward = float(1.0 - self.x @ self.x)
        return self.seen(), reward, bool(self.np_random.random() < 0.03), False, {}

    def seen(self):
        return self.x.astype(self.dtype)


class Double(Small):
    """Observations and actions in float64, bounds that float32 does not have."""

    dtype = np.float64
    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-0.1, 0.7, (1,), np.float64)


class OneBuffer(Small):
    """Gives the same array again and again."""

    def seen(self):
        if not hasattr(self, "buffer"):
            self.buffer = np.zeros(2, np.float32)
        self.buffer[:] = self.x
        return self.buffer


class Overwriting(Small):
    """Spoils what it gave before, and the action that it gets."""

    given: np.ndarray | None = None

    def step(self, action):
        result = super().step(action)
        action *= 100
        return result

    def seen(self):
        if self.given is not None:
            self.given[:] = 77
        self.given = self.x.astype(np.float32)
        return self.given


class Unrepeatable(Small):
    """Draws from the system what nobody can draw again."""

    def step(self, action):
        self.x += 0.01 * np.random.default_rng().normal(size=2)
        return super().step(action)


class Parts(Small):
    """Observes a dict, in which what stands in `lost` is missing."""

    observation_space = Dict(
        {"x": Box(-np.inf, np.inf, (2,), np.float64), "right": Discrete(2, start=1)}
    )
    lost: tuple[str, ...] = ()

    def seen(self):
        obs = {"x": self.x.astype(np.float64), "right": 1 + int(self.x[0] > 0)}
        return {name: value for name, value in obs.items() if name not in Parts.lost}


for kind in (Small, Double, OneBuffer, Overwriting, Unrepeatable, Parts):
    gymnasium.register(f"{kind.__name__}-v0", kind, max_episode_steps=25, disable_env_checker=True)
