"""The update as this project's user calls it: `agent.update()`."""

from itertools import chain

import numpy as np
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig

from .problem import GAMMA, LEARNING_RATE, NETWORKS, TAU, TRANSITIONS, Problem, named


class Compiled:
    """The agent with the compiled step; what it reports of an update is part of the time."""

    compile = True

    def __init__(self, problem: Problem, threads: int):
        size = problem.size
        self.problem = problem
        self.agent = DDPG(
            Box(-np.inf, np.inf, (size.obs,), np.float32),
            Box(-1, 1, (size.act,), np.float32),
            DDPGConfig(
                hidden=size.hidden,
                batch_size=size.batch,
                gamma=GAMMA,
                tau=TAU,
                actor_lr=LEARNING_RATE,
                critic_lr=LEARNING_RATE,
                buffer_size=TRANSITIONS,
                compile=self.compile,
            ),
            seed=0,
        )
        for name in NETWORKS:
            module = getattr(self.agent, name)
            values = map(tg.Tensor, chain.from_iterable(problem.layers(name)))
            module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)))
        for obs, action, reward, next_obs, terminated in zip(*problem.replay, strict=True):
            self.agent.replay.add(obs, action, reward, next_obs, bool(terminated))

    def check_step(self) -> None:
        """Update on the first batch, which takes the place of the rows the replay would draw."""
        replay, draw = self.agent.replay, self.agent.replay.sample_indices
        replay.sample_indices = lambda rng, count: self.problem.arrays["first_batch"]
        try:
            self.agent.update()
        finally:
            replay.sample_indices = draw

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters; in a network's state, weights and biases alternate."""
        found: dict[str, np.ndarray] = {}
        for name in NETWORKS:
            values = [np.array(x) for x in getattr(self.agent, name).state_dict().values()]
            found |= named(name, list(zip(values[::2], values[1::2], strict=True)))
        return found

    def update(self) -> None:
        """Update once."""
        self.agent.update()


class Eager(Compiled):
    """The agent without the compiled step."""

    compile = False
