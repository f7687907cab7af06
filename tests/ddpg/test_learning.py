"""Does it learn? The one test that would notice a wrong sign anywhere."""

import pytest

from ddpg import DDPG, DDPGConfig
from ddpg.learn import learn
from ddpg.run.evaluate import evaluate
from ddpg.spaces import make_env


@pytest.mark.slow
def test_pendulum_is_learned_in_ten_thousand_steps():
    env = make_env("Pendulum-v1")
    agent = DDPG(env.observation_space, env.action_space, DDPGConfig(), seed=0)
    untrained = evaluate(agent.act, make_env("Pendulum-v1"), 20).mean()
    for _ in learn(agent, env, 10_000, seed=0):
        pass
    assert untrained < -900
    assert evaluate(agent.act, make_env("Pendulum-v1"), 20).mean() >= -250
