"""What the three ways of handling the critic come to when they train: frozen, blocked, joint.

Same task, same seed, same agent but for the actor's step. On Pendulum no reward is above 0, so no
value is: a mean Q above 0 needs no further proof that the critic is wrong.

    for name, variant in VARIANTS.items(): curve = train_variant(variant, STEPS, seed=0)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_rl as tg
from ddpg import rng
from ddpg.agent import DDPG
from ddpg.config import DDPGConfig
from ddpg.run.evaluate import evaluate
from ddpg.learn import learn
from ddpg.spaces import make_env
from tinygrad_rl import optim

ENV_ID = "Pendulum-v1"
WINDOW = 250
"""Updates that the mean Q is averaged over for one point of its curve."""
EVALUATE_EVERY, EPISODES = 500, 10
LEAST_STEPS = DDPGConfig().warmup_steps + EVALUATE_EVERY
"""Shorter runs would have no point on one of the curves."""


class Frozen(DDPG):
    """The critic is frozen in the actor's step: DDPG as it is meant."""


class Blocked(DDPG):
    """The action is detached before Q: no error, no gradient, an actor that never moves."""

    def actor_loss(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        """The same number, without a way back to the actor."""
        return -self.critic(obs, action.detach()).mean()


class Joint(DDPG):
    """The actor's step has one optimizer for both networks, and nothing is frozen."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        both = [*self.actor.parameters(), *self.critic.parameters()]
        self.actor_optimizer = optim.Adam(both, lr=self.config.critic_lr)

    def actor_loss(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        """The same number, with a gradient that also tells Q's own parameters to raise it."""
        return -self.critic(obs, action).mean()


VARIANTS: dict[str, type[DDPG]] = {"frozen": Frozen, "blocked": Blocked, "joint": Joint}


@dataclass(frozen=True)
class Curve:
    """How one variant's training went.

    Attributes
    ----------
    steps, returns : environment steps, and the mean return of the evaluation made there.
    updates, mean_q : updates so far, and the critic's mean value of the actor's own actions, `Q(s,
        mu(s))`, on the batches of the last `WINDOW`.
    """

    steps: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    updates: list[int] = field(default_factory=list)
    mean_q: list[float] = field(default_factory=list)


def train_variant(
    variant: type[DDPG], steps: int, seed: int, on_step: Callable[[], None] = lambda: None
) -> Curve:
    """Train on Pendulum and follow returns and values; the same seed draws the same start.

    Parameters
    ----------
    variant : one of `VARIANTS`.
    steps : environment steps, the warm-up among them.
    seed : of the agent and the environment.
    on_step : called after each step.
    """
    env, evaluation_env = make_env(ENV_ID), make_env(ENV_ID)
    agent_seed, env_seed = rng.spawn(seed, 2)
    agent = variant(env.observation_space, env.action_space, DDPGConfig(), agent_seed)
    curve, mean_q, updates = Curve(), [], 0
    for step in learn(agent, env, steps, rng.as_integer(env_seed)):
        updates += len(step.updates)
        mean_q += [-metrics["actor_loss"] for metrics in step.updates]
        if len(mean_q) >= WINDOW:
            curve.updates.append(updates)
            curve.mean_q.append(float(np.mean(mean_q)))
            mean_q.clear()
        if step.number % EVALUATE_EVERY == 0:
            curve.steps.append(step.number)
            returns = evaluate(agent.act, evaluation_env, EPISODES)
            curve.returns.append(float(returns.mean()))
        on_step()
    env.close()
    evaluation_env.close()
    return curve
