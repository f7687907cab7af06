import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.errors import TrainingError
from ddpg.run.evaluate import FIRST_SEED, evaluate, evaluate_agent
from ddpg.spaces import make_env
from tests.ddpg.run.runs import flat


class Countdown(gymnasium.Env):
    """Ends after as many steps as its seed says; each step is rewarded with the action."""

    observation_space = Box(-np.inf, np.inf, (1,), np.float32)
    action_space = Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.seed, self.left = seed, seed
        return np.zeros(1), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1), action[0], self.left == 0 and self.seed % 2 == 0, self.left == 0, {}


def push(obs):
    return np.array([2.0])


@pytest.fixture
def agent():
    env, config = make_env("Pendulum-v1"), DDPGConfig(hidden=(8, 8), compile=False)
    return DDPG(env.observation_space, env.action_space, config, seed=1)


def test_returns_are_sums_over_whole_episodes_with_counted_seeds():
    returns = evaluate(push, Countdown(), episodes=3, first_seed=5)
    assert returns.dtype == np.float64
    assert returns.tolist() == [10.0, 12.0, 14.0]


def test_same_seeds_same_start_states_whatever_the_environment_did_before():
    def do_nothing(obs):
        return np.zeros(1)

    env, used = make_env("Pendulum-v1"), make_env("Pendulum-v1")
    used.reset(seed=3)
    used.step(np.zeros(1))
    first = evaluate(do_nothing, env, 2)
    np.testing.assert_array_equal(first, evaluate(do_nothing, used, 2))
    np.testing.assert_array_equal(first, evaluate(do_nothing, used, 2, FIRST_SEED))
    assert first[0] != first[1]


def test_an_endless_episode_is_cut_off_and_ends_the_evaluation():
    said = []
    returns = evaluate(push, Countdown(), episodes=3, first_seed=5, longest=5, tell=said.append)
    assert returns.tolist() == [10.0, 10.0]
    assert "from seed 6 did not end within 5 steps" in said[0]
    assert "after 2 episodes" in said[0]


def test_what_was_cut_off_by_us_has_a_future_too():
    """Seeds 6 and 8 terminate, 7 is truncated, and so is whatever we cut off."""
    env = Countdown()
    agent = DDPG(env.observation_space, env.action_space, DDPGConfig(hidden=(4,), compile=False))
    terminated = evaluate_agent(agent, env, 1, 6)
    assert terminated.q_error.q_tail == 0.0
    for seed, longest in ((7, 100), (8, 7)):
        cut_off = evaluate_agent(agent, env, 1, seed, longest=longest, tell=str)
        weights = [0.99 ** (7 - t) for t in range(4)]
        assert cut_off.q_error.q_tail == pytest.approx(np.mean(weights))


def test_an_agent_is_as_it_was_to_its_generators_and_its_returns_are_those_of_its_policy(agent):
    env = make_env("Pendulum-v1")
    before = flat(agent.state_dict())
    evaluation = evaluate_agent(agent, env, 2)
    after = flat(agent.state_dict())
    assert sorted(before) == sorted(after)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    np.testing.assert_array_equal(evaluation.returns, evaluate(agent.act, env, 2))
    again = evaluate_agent(agent, env, 2)
    assert (evaluation.q_error, evaluation.dead_units) == (again.q_error, again.dead_units)


def test_dead_units_are_those_of_the_critic_that_the_actor_follows(agent):
    first = agent.critics[0].mlp[0]
    with tg.no_grad():
        first.bias.assign_(np.where(np.arange(8) < 4, -1e3, first.bias.numpy()).astype(np.float32))
    dead = evaluate_agent(agent, make_env("Pendulum-v1"), 1).dead_units
    assert 4 / 16 <= dead < 1.0


@pytest.mark.parametrize("size", [1e20, 1e38])
def test_a_critic_that_overflows_is_evaluated_all_the_same(agent, size):
    with tg.no_grad():
        for parameter in agent.critics[0].parameters():
            parameter.assign_(np.full(parameter.shape, size, np.float32))
    evaluation = evaluate_agent(agent, make_env("Pendulum-v1"), 2)
    assert np.isfinite(evaluation.returns).all()
    assert "not finite" in str(evaluation.q_error)
    assert 0.0 <= evaluation.dead_units <= 1.0


@pytest.mark.parametrize(
    ("failing", "when"), [("reset", "at the beginning"), ("step", "in step 1")], ids=str
)
def test_an_environment_that_fails_is_told_with_the_place(failing, when, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("the robot is gone")

    monkeypatch.setattr(Countdown, failing, fail)
    said = f"raised OSError {when} of the evaluation's episode from seed 5: the robot is gone"
    with pytest.raises(TrainingError, match=said):
        evaluate(push, Countdown(), episodes=3, first_seed=5)
