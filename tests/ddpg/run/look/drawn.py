"""Tasks that draw themselves, rightly and wrongly.

    "tests.ddpg.run.look.drawn:Drawn-v0"

Which picture of an episode it is can be read off its gray.
"""

import gymnasium
import numpy as np

from tests.ddpg.run.environments import Small

GRAY = 8
"""How much brighter each picture is than the one before."""


class Drawn(Small):
    """Nine steps to an episode, at 10 pictures to a second."""

    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 10}

    def __init__(self, render_mode=None):
        self.render_mode, self.count = render_mode, 0

    def reset(self, **arguments):
        self.count = 0
        return super().reset(**arguments)

    def step(self, action):
        self.count += 1
        obs, _, _, _, info = super().step(action)
        return obs, float(self.count), self.count == 9, False, info

    def render(self):
        return np.full((33, 48, 3), GRAY * self.count, np.uint8)


class Fast(Drawn):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 125}


class Odd(Drawn):
    def render(self):
        return np.zeros((8, 8))


class Raising(Drawn):
    def render(self):
        raise RuntimeError("no [canvas]\nhere")


for kind in (Drawn, Fast, Odd, Raising):
    gymnasium.register(f"{kind.__name__}-v0", kind, disable_env_checker=True)
