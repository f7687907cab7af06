"""Claims and truths on agents whose Q, actor and truth are known."""

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.compare.critics import measure as module
from ddpg.compare.critics.measure import Moment, Opinion, look, opinion
from ddpg.compare.critics.true_q import Truth
from ddpg.networks import Critic
from ddpg.spaces import make_env


def make_agent(critics=2, states=20, seed=0):
    env = make_env("Pendulum-v1")
    config = DDPGConfig(
        hidden=(2,), critics=critics, gamma=0.5, compile=False, buffer_size=100, batch_size=4
    )
    agent = DDPG(env.observation_space, env.action_space, config, seed)
    rng = np.random.default_rng(seed)
    for angle in rng.uniform(-3, 3, size=states):
        obs = np.array([np.cos(angle), np.sin(angle), 0.0])
        agent.replay.add(obs, rng.uniform(-2, 2, 1), -1.0, obs, False, False)
    env.close()
    return agent


def set_parameters(module_, *arrays):
    with tg.no_grad():
        for parameter, array in zip(module_.parameters(), arrays, strict=True):
            parameter.assign_(np.reshape(array, parameter.shape).astype(np.float32))


def say_of_the_action(critic, slope, constant=0.0):
    """Make it `Q(s, a) = slope a + constant`."""
    reads_action = [[0, 0, 0, 1], [0, 0, 0, -1]]
    set_parameters(critic, reads_action, [0, 0], [slope, -slope], [constant])


def always(agent, action):
    """Make the actor choose it everywhere."""
    set_parameters(agent.actor, np.zeros((2, 3)), [0, 0], [0, 0], [np.arctanh(action / 2)])


def nothing_matters(actor, obs, action, gamma):
    zeros = np.zeros(len(obs))
    return Truth(zeros, zeros + 1.0, zeros + 1.0, zeros == 0.0)


def test_the_flattered_action_is_told_from_a_random_one(monkeypatch):
    """Q is a, in truth nothing matters: each step up is an error in favour of whoever takes it."""
    monkeypatch.setattr(module, "truth", nothing_matters)
    agent = make_agent()
    always(agent, 1.999)
    first, second = agent.critics
    say_of_the_action(first, 1.0)
    say_of_the_action(second, -1.0)
    moment = look(agent, np.random.default_rng(0))
    assert (moment.flattered, moment.flattered_by_second) == (1.0, 0.0)
    assert moment.chosen.claimed == pytest.approx(1.999, rel=1e-4)
    assert moment.chosen.gap == moment.chosen.claimed
    assert abs(moment.at_random.claimed) < 0.3  # the mean of 256 between -2 and 2
    assert moment.promised == moment.chosen.claimed - moment.at_random.claimed
    assert moment.kept == 0.0
    assert moment.chosen.cosine == pytest.approx(1.0)
    assert moment.chosen.same_sign == 1.0


def test_it_is_the_error_that_flatters_and_not_the_value(monkeypatch):
    """Q is a, the truth is 2 a: Q likes high actions, and errs in favour of low ones."""

    def twice_the_action(actor, obs, action, gamma):
        zeros = np.zeros(len(obs))
        return Truth(2.0 * action[:, 0], zeros, zeros, zeros == 1.0)

    monkeypatch.setattr(module, "truth", twice_the_action)
    agent = make_agent(critics=1)
    always(agent, 1.999)
    say_of_the_action(agent.critics[0], 1.0)
    moment = look(agent, np.random.default_rng(0))
    assert (moment.flattered, moment.flattered_by_second) == (0.0, None)
    assert moment.kept == pytest.approx(2.0 * moment.promised, rel=1e-4)
    assert moment.chosen.cosine is None and moment.chosen.same_sign is None


def test_the_truth_is_that_of_the_replays_states():
    """One state, hanging down at rest under an actor that does nothing: -pi^2 a step."""
    agent = make_agent(states=0)
    always(agent, 0.0)
    down = np.array([-1.0, 0.0, 0.0])
    agent.replay.add(down, np.zeros(1), -1.0, down, False, False)
    moment = look(agent, np.random.default_rng(0))
    assert moment.chosen.real == pytest.approx(-(np.pi**2) / (1 - 0.5), rel=2e-3)
    assert moment.at_random.real != moment.chosen.real


def test_an_opinion_is_what_numpy_says():
    rng = np.random.default_rng(1)
    critic = Critic(3, 1, (8,), rng)
    obs, action = rng.normal(size=(30, 3)), rng.uniform(-2, 2, size=(30, 1))
    value, slope = rng.normal(size=30), rng.normal(size=30)
    judged = rng.random(30) < 0.5
    said = opinion(critic, obs, action, Truth(value, slope, slope, judged))

    w1, b1, w2, b2 = (p.numpy().astype(np.float64) for p in critic.parameters())
    z = np.hstack([obs, action]) @ w1.T + b1
    q = (np.maximum(z, 0) @ w2.T + b2)[:, 0]
    dq = ((z > 0) * w2) @ w1[:, 3]
    cosine = dq[judged] @ slope[judged] / np.linalg.norm(dq[judged])
    assert said.claimed == pytest.approx(q.mean(), rel=1e-4)
    assert said.real == pytest.approx(value.mean())
    assert said.correlation == pytest.approx(np.corrcoef(q, value)[0, 1], rel=1e-4)
    assert said.cosine == pytest.approx(cosine / np.linalg.norm(slope[judged]), rel=1e-4)
    assert said.same_sign == np.mean(np.sign(dq[judged]) == np.sign(slope[judged]))
    assert said.states == judged.sum()


def test_equal_values_correlate_with_nothing(monkeypatch):
    monkeypatch.setattr(module, "truth", nothing_matters)
    moment = look(make_agent(), np.random.default_rng(0))
    assert moment.chosen.correlation is None


def test_the_same_generator_looks_at_the_same_states():
    agent = make_agent()
    first, again, other = (look(agent, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert isinstance(first, Moment) and isinstance(first.chosen, Opinion)
