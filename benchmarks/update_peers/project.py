"""The update as this project's user calls it: `agent.update()`."""

from dataclasses import asdict
from itertools import chain

import numpy as np
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig

from .problem import GAMMA, LEARNING_RATE, TAU, TRANSITIONS, Layers, Problem, named


class Compiled:
    """The agent with the compiled step; what it reports of an update is part of the time."""

    compile = True

    def __init__(self, problem: Problem, threads: int):
        size = problem.size
        self.problem = problem
        self.agent = agent = DDPG(
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
                **asdict(problem.settings),
            ),
            seed=0,
        )
        load(agent.actor, problem.layers("actor"))
        load(agent.target_actor, problem.layers("target_actor"))
        for prefix, critics in (("", agent.critics), ("target_", agent.target_critics)):
            for critic, layers in zip(critics, problem.critics(prefix), strict=True):
                load(critic, layers)
        for obs, action, reward, next_obs, terminated in zip(*problem.replay, strict=True):
            agent.replay.add(obs, action, reward, next_obs, bool(terminated), False)

    def check_cycle(self) -> None:
        """Update on what the problem prescribes, in the place of the agent's own draws."""
        agent, settings = self.agent, self.problem.settings
        draw_rows, draw_noise = agent.replay.sample_indices, agent.target_noise
        draws = zip(self.problem.arrays["rows"], self.problem.arrays["normals"], strict=True)
        try:
            for rows, normals in draws:
                noise = settings.noise(normals)
                agent.replay.sample_indices = lambda rng, count, rows=rows: rows
                agent.target_noise = lambda noise=noise: noise
                agent.update()
        finally:
            agent.replay.sample_indices, agent.target_noise = draw_rows, draw_noise

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters."""
        agent = self.agent
        return named(
            layers_of(agent.actor),
            list(map(layers_of, agent.critics)),
            layers_of(agent.target_actor),
            list(map(layers_of, agent.target_critics)),
        )

    def cycle(self) -> None:
        """Update as often as a cycle asks for."""
        for _ in range(self.problem.settings.actor_every):
            self.agent.update()


class Eager(Compiled):
    """The agent without the compiled step."""

    compile = False


def load(module: tg.nn.Module, layers: Layers) -> None:
    """Give a network its parameters; in its state, weights and biases alternate."""
    values = map(tg.Tensor, chain.from_iterable(layers))
    module.load_state_dict(dict(zip(module.state_dict(), values, strict=True)))


def layers_of(module: tg.nn.Module) -> Layers:
    """Return copies of all weights and biases."""
    values = [np.array(x) for x in module.state_dict().values()]
    return list(zip(values[::2], values[1::2], strict=True))
