"""Environments in which runs come to no good end: `tests.ddpg.study.environments:Deadly-v0`."""

import os
import signal
import threading
import time

import gymnasium

from tests.ddpg.run.environments import Small

LONG = 600.0
"""Seconds that no test waits for."""


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


class Stopped(Small):
    """Whoever looks after the machine ends its process at the same place again and again."""

    count = 0

    def step(self, action):
        Stopped.count += 1
        if Stopped.count == 10:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().step(action)


class Asking(Small):
    """Wants an answer from whoever is at the terminal."""

    def step(self, action):
        input("go on? ")
        return super().step(action)


class Forking(Small):
    """Leaves a process and a thread behind that outlive the run by far."""

    child = 0

    def step(self, action):
        if not Forking.child:
            Forking.child = os.fork()
            if Forking.child == 0:
                time.sleep(LONG)
                os._exit(0)
            print(f"child {Forking.child}")
            threading.Thread(target=time.sleep, args=(LONG,)).start()
        return super().step(action)


for kind in (Deadly, Failing, Explosive, Hanging, Stopped, Asking, Forking):
    gymnasium.register(f"{kind.__name__}-v0", kind, max_episode_steps=25, disable_env_checker=True)
