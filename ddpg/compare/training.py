"""What the ways of handling the critic come to when they train: frozen, blocked, joint.

Same task, same seed, same agent but for the actor's step, which is the case's own. On Pendulum no
reward is above 0, so no value is: a mean Q above 0 needs no further proof that the critic is wrong.

    for name, case in TRAINED.items(): curve = train_case(case, STEPS, seed=0)
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import tinygrad_rl as tg
from ddpg import losses, rng
from ddpg.agent import DDPG
from ddpg.compare.cases import Case, Lab
from ddpg.config import DDPGConfig
from ddpg.learn import learn
from ddpg.replay import Batch
from ddpg.run.evaluate import evaluate
from ddpg.spaces import Space, make_env
from tinygrad_rl import optim

ENV_ID = "Pendulum-v1"
WINDOW = 250
"""Updates that the mean Q is averaged over for one point of its curve."""
EVALUATE_EVERY, EPISODES = 500, 10
LEAST_STEPS = DDPGConfig().warmup_steps + EVALUATE_EVERY
"""Shorter runs would have no point on one of the curves."""


class CaseAgent(DDPG):
    """DDPG with the actor's step of one of the cases."""

    def __init__(
        self, case: Case, observations: Space, actions: Space, config: DDPGConfig, seed: rng.Seed
    ) -> None:
        super().__init__(observations, actions, config, seed)
        self.case = case
        (self.critic,) = self.critics
        both = [*self.actor.parameters(), *self.critic.parameters()]
        self.joint_optimizer = optim.Adam(both, lr=config.critic_lr)

    def actor_step(self, batch: Batch) -> dict[str, tg.Tensor]:
        """As the case has it; what it reports is looked at beforehand."""
        with tg.no_grad():
            action = self.actor(batch.obs)
            loss = losses.actor_loss(self.critic, batch.obs, action)
        self.joint_optimizer.zero_grad()
        optimizers = self.actor_optimizer, self.critic_optimizer, self.joint_optimizer
        self.case.update(Lab(self.actor, self.critic, *optimizers, batch.obs))
        return {"actor_loss": loss, "saturation": self.actor.saturation(action)}


@dataclass(frozen=True)
class Curve:
    """How the training of one case went.

    Attributes
    ----------
    steps, returns : environment steps, and the mean return of the evaluation made there.
    updates, mean_q : updates so far, and the critic's mean value of the actor's own actions,
        `Q(s, mu(s))`, on the batches of the last `WINDOW`.
    """

    steps: list[int] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    updates: list[int] = field(default_factory=list)
    mean_q: list[float] = field(default_factory=list)


def train_case(
    case: Case, steps: int, seed: int, on_step: Callable[[], None] = lambda: None
) -> Curve:
    """Train on Pendulum and follow returns and values; the same seed draws the same start.

    `steps` are environment steps, the warm-up among them; `on_step` is called after each.
    """
    env, evaluation_env = make_env(ENV_ID), make_env(ENV_ID)
    agent_seed, env_seed = rng.spawn(seed, 2)
    agent = CaseAgent(case, env.observation_space, env.action_space, DDPGConfig(), agent_seed)
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
