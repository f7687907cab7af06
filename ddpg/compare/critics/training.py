"""A variant's training run on Pendulum, with its critic compared with the truth now and then.

course = train_variant(VARIANTS[0], STEPS, seed=0)
course.moments[-1].chosen.gap, course.returns[-1]
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ddpg import rng
from ddpg.agent import DDPG
from ddpg.compare.critics.measure import Moment, look
from ddpg.compare.critics.variants import COMMON, Variant
from ddpg.compare.training import ENV_ID, EPISODES
from ddpg.learn import learn
from ddpg.run.evaluate import evaluate
from ddpg.spaces import make_env

MOMENTS = 10
"""Of a run, at equal distances, the last one at its end."""
STEPS = 6000
LEAST_STEPS = COMMON.warmup_steps + 10 * MOMENTS


@dataclass(frozen=True)
class Course:
    """How the training of one variant went.

    Attributes
    ----------
    steps : environment steps at each moment.
    moments : critic and actor there.
    returns : the mean return of the evaluation made there.
    """

    steps: list[int] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)


def train_variant(
    variant: Variant, steps: int, seed: int, on_step: Callable[[], None] = lambda: None
) -> Course:
    """Train, and look at the critic at `MOMENTS` moments; the same seed draws the same start.

    `steps` are environment steps, the warm-up among them; `on_step` is called after each.
    """
    env, evaluation_env = make_env(ENV_ID), make_env(ENV_ID)
    agent_seed, env_seed, states_seed = rng.spawn(seed, 3)
    agent = DDPG(env.observation_space, env.action_space, variant.config, agent_seed)
    states = rng.generator(states_seed)
    when = np.linspace(variant.config.warmup_steps, steps, MOMENTS + 1).astype(int)[1:].tolist()
    course = Course()
    for step in learn(agent, env, steps, rng.as_integer(env_seed)):
        if step.number in when:
            course.steps.append(step.number)
            course.moments.append(look(agent, states))
            returns = evaluate(agent.act, evaluation_env, EPISODES)
            course.returns.append(float(returns.mean()))
        on_step()
    env.close()
    evaluation_env.close()
    return course
