import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg import DDPGConfig
from ddpg.compare.cases import TRAINED
from ddpg.compare.training import WINDOW, CaseAgent, train_case
from ddpg.spaces import make_env


def parameters(module):
    return np.concatenate([p.numpy().ravel() for p in module.parameters()])


def moved_by_the_actor_step(name):
    """Whether actor and critic moved, in this order."""
    env = make_env("Pendulum-v1")
    config = DDPGConfig(hidden=(8, 8), batch_size=4, buffer_size=10, compile=False)
    agent = CaseAgent(TRAINED[name], env.observation_space, env.action_space, config, 0)
    for number in range(10):
        obs = np.array([1.0, -1.0, number])
        agent.replay.add(obs, np.ones(1), -1.0, obs, False, False)
    before = [parameters(agent.actor), parameters(agent.critic)]
    agent.actor_step(agent.replay.gather(tg.from_numpy(np.arange(4)), 0.9))
    after = [parameters(agent.actor), parameters(agent.critic)]
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize(
    ("name", "moved"),
    [("frozen", [True, False]), ("blocked", [False, False]), ("joint", [True, True])],
)
def test_the_cases_are_what_their_names_say(name, moved):
    assert moved_by_the_actor_step(name) == moved


@pytest.mark.slow
def test_joint_training_believes_the_impossible_and_frozen_does_not():
    """Rewards are never above 0 on Pendulum, so no value is."""
    steps = DDPGConfig().warmup_steps + 1500
    counted = []
    curves = {
        name: train_case(TRAINED[name], steps, 0, lambda: counted.append(1))
        for name in ("frozen", "joint")
    }
    assert len(counted) == 2 * steps
    assert curves["joint"].updates == list(range(WINDOW, 1501, WINDOW))
    after_a_thousand = curves["joint"].mean_q[1000 // WINDOW - 1 :]
    assert after_a_thousand[0] > 0
    assert after_a_thousand == sorted(after_a_thousand)
    assert all(q < 0 for q in curves["frozen"].mean_q)
