"""Environments in which runs come to no good end: `tests.ddpg.study.environments:Deadly-v0`."""

import os
import signal
import time

import gymnasium

from tests.ddpg.run.environments import Small


class Deadly(Small):
    """Ends its process in the third step."""

    count = 0

    def step(self, action):
        Deadly.count += 1
        if Deadly.count == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(action)


class Failing(Small):
    """A reward that is no number, in every second episode."""

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, reward if self.np_random.random() < 0.98 else float("nan"), *rest


class Explosive(Small):
    """Rewards beyond everything: networks diverge."""

    def step(self, action):
        obs, reward, *rest = super().step(action)
        return obs, reward * 1e30, *rest


class Hanging(Small):
    """Never comes back from its tenth step."""

    count = 0

    def step(self, action):
        Hanging.count += 1
        if Hanging.count == 10:
            print("hangs", flush=True)
        while Hanging.count == 10:
            time.sleep(0.1)
        return super().step(action)


for kind in (Deadly, Failing, Explosive, Hanging):
    gymnasium.register(f"{kind.__name__}-v0", kind, max_episode_steps=25, disable_env_checker=True)
