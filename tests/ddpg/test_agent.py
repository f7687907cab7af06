import dataclasses

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, Text

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.agent import METRICS
from ddpg.errors import UsageError

OBSERVATIONS = Box(-np.inf, np.inf, (3,))
ACTIONS = Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 0.5], np.float32))
SMALL = DDPGConfig(hidden=(16, 16), batch_size=8, buffer_size=100, warmup_steps=0, compile=False)
# One size for all compiled tests: a size is compiled once and then found on disk.
COMPILED = dataclasses.replace(SMALL, compile=True)
BOTH = pytest.mark.parametrize("config", [SMALL, COMPILED], ids=["eager", "compiled"])


def make(config=SMALL, seed=0, actions=ACTIONS):
    return DDPG(OBSERVATIONS, actions, config, seed)


def fill(agent, count=20, seed=5):
    rng = np.random.default_rng(seed)
    for number in range(count):
        obs, next_obs = rng.normal(size=(2, 3))
        action = rng.uniform(agent._low, agent._high)
        agent.replay.add(obs, action, rng.normal(), next_obs, number % 5 == 0, number % 7 == 0)
    return agent


def parameters(module):
    return np.concatenate([p.numpy().ravel() for p in module.parameters()])


def networks(agent):
    found = {"actor": agent.actor, "target_actor": agent.target_actor}
    for name in ("critic", "target_critic"):
        first, *others = getattr(agent, f"{name}s")
        found |= {name: first} | {f"{name} {n}": critic for n, critic in enumerate(others, 1)}
    return found


def test_example_of_the_documentation():
    config = DDPGConfig(hidden=(16, 16), batch_size=8, buffer_size=100)
    agent = fill(DDPG(OBSERVATIONS, ACTIONS, config, seed=0))
    action = agent.act(np.zeros(3))
    assert action.shape == (2,)
    metrics = agent.update()
    assert all(type(value) is float for value in metrics.values())


def test_defaults_need_no_configuration():
    assert DDPG(OBSERVATIONS, ACTIONS).config == DDPGConfig()


def test_unsupported_spaces_are_refused():
    with pytest.raises(ValueError, match="finite bounds, found Discrete"):
        DDPG(OBSERVATIONS, Discrete(3))
    with pytest.raises(ValueError, match="observation comes from Text"):
        DDPG(Text(3), ACTIONS)


def test_targets_start_as_copies_and_actor_and_critic_are_independent():
    agent = make()
    np.testing.assert_array_equal(parameters(agent.actor), parameters(agent.target_actor))
    np.testing.assert_array_equal(parameters(agent.critics[0]), parameters(agent.target_critics[0]))
    assert not set(map(id, agent.actor.parameters())) & set(map(id, agent.critics[0].parameters()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_belong_to_the_space(dtype):
    # 0.1 and 0.7 are no float32 numbers: rounding alone would carry an action over them.
    low, high = np.array([0.1, -0.7], dtype), np.array([0.7, -0.1], dtype)
    actions = Box(low, high, dtype=dtype)
    config = dataclasses.replace(SMALL, noise_std=5.0, warmup_steps=20)
    agent = make(config, actions=actions)
    bias = agent.actor.mlp[-1].bias
    for sign in (1, -1):
        with tg.no_grad():
            bias.assign_(np.full(2, sign * 50, np.float32))
        assert actions.contains(agent.act(np.ones(3)))
        assert all(map(actions.contains, agent.act(np.ones((4, 3)))))
        for _ in range(40):
            assert actions.contains(agent.explore(np.ones(3)))


@BOTH
def test_act_is_deterministic_and_gives_an_array_of_the_callers_own(config):
    agent, obs = make(config), np.array([0.3, -0.2, 0.9])
    first = agent.act(obs)
    kept = first.copy()
    first[:] = 99
    np.testing.assert_array_equal(agent.act(obs), kept)
    assert not np.array_equal(agent.act(-obs), kept)


def test_act_takes_a_batch():
    agent, rows = make(), np.random.default_rng(0).normal(size=(5, 3))
    actions = agent.act(rows)
    assert actions.shape == (5, 2)
    assert actions.dtype == agent.act(rows[0]).dtype
    np.testing.assert_allclose(actions, [agent.act(row) for row in rows], rtol=1e-5, atol=1e-7)
    assert agent.act(rows[:0]).shape == (0, 2)


def test_predict_is_act_in_the_form_of_stable_baselines3():
    agent, row = make(), np.array([0.3, -0.2, 0.9])
    action, state = agent.predict(row, state=None, episode_start=None, deterministic=True)
    np.testing.assert_array_equal(action, agent.act(row))
    assert state is None


def test_act_refuses_other_shapes_and_shows_a_nan():
    agent = make()
    with pytest.raises(UsageError, match=r"obs must have shape \(3,\), got \(4,\)"):
        agent.act(np.zeros(4))
    with pytest.raises(UsageError, match=r"a batch of obs must have shape \(B, 3\), got \(5, 4\)"):
        agent.act(np.zeros((5, 4)))
    with pytest.raises(UsageError, match=r"obs must have shape \(3,\), got \(5, 3\)"):
        agent.explore(np.zeros((5, 3)))
    assert np.isnan(agent.act(np.array([0, np.nan, 0]))).all()


def test_warmup_is_uniform_then_actions_are_the_policy_with_noise():
    agent = make(dataclasses.replace(SMALL, warmup_steps=2000, noise_std=0.1))
    obs, low, high = np.ones(3), ACTIONS.low, ACTIONS.high
    warmup = np.array([agent.explore(obs) for _ in range(2000)])
    np.testing.assert_allclose(warmup.mean(axis=0), (low + high) / 2, atol=0.05)
    np.testing.assert_allclose(warmup.std(axis=0), (high - low) / np.sqrt(12), rtol=0.05)
    noisy = np.array([agent.explore(obs) for _ in range(2000)])
    np.testing.assert_allclose(noisy.mean(axis=0), agent.act(obs), atol=0.01)
    # A tenth of half the range, in each dimension's own units.
    np.testing.assert_allclose(noisy.std(axis=0), 0.1 * (high - low) / 2, rtol=0.05)


@BOTH
def test_update_moves_the_networks_and_the_targets_by_tau(config):
    agent = fill(make(config))
    before = {name: parameters(network) for name, network in networks(agent).items()}
    metrics = agent.update()
    assert tuple(metrics) == METRICS
    assert all(np.isfinite(value) for value in metrics.values())
    for name in ("actor", "critic"):
        moved = parameters(networks(agent)[name])
        assert (moved != before[name]).mean() > 0.3  # the rest belongs to units that are off
        expected = (1 - SMALL.tau) * before[f"target_{name}"] + SMALL.tau * moved
        target = parameters(networks(agent)[f"target_{name}"])
        np.testing.assert_allclose(target, expected, rtol=1e-5, atol=1e-8)
        assert not np.array_equal(target, before[f"target_{name}"])


def test_actor_step_leaves_the_critic_alone():
    agent = fill(make())
    batch = agent.replay.gather(tg.from_numpy(np.arange(8)), SMALL.gamma)
    agent.critic_step(batch)
    critic = parameters(agent.critics[0])
    gradients = [p.grad.numpy().copy() for p in agent.critics[0].parameters()]
    actor = parameters(agent.actor)
    agent.actor_step(batch)
    np.testing.assert_array_equal(parameters(agent.critics[0]), critic)
    for parameter, gradient in zip(agent.critics[0].parameters(), gradients, strict=True):
        np.testing.assert_array_equal(parameter.grad.numpy(), gradient)
    assert not np.array_equal(parameters(agent.actor), actor)


def test_critic_step_leaves_the_actor_alone():
    agent = fill(make())
    actor = parameters(agent.actor)
    agent.critic_step(agent.replay.gather(tg.from_numpy(np.arange(8)), SMALL.gamma))
    np.testing.assert_array_equal(parameters(agent.actor), actor)
    assert all(p.grad is None for p in agent.actor.parameters())


@BOTH
def test_gradients_that_were_left_behind_do_not_reach_the_next_step(config):
    agent, other = fill(make(config)), fill(make(config))
    for parameter in agent.actor.parameters() + agent.critics[0].parameters():
        parameter.grad = tg.Tensor(np.full(parameter.shape, 1e3, np.float32))
    agent.update()
    other.update()
    np.testing.assert_array_equal(parameters(agent.actor), parameters(other.actor))
    np.testing.assert_array_equal(parameters(agent.critics[0]), parameters(other.critics[0]))


def test_mean_q_is_measured_on_the_batch():
    agent = fill(make(), count=1)
    batch = agent.replay.gather(tg.from_numpy(np.zeros(1, np.int64)), SMALL.gamma)
    q = agent.critics[0](batch.obs, batch.action).item()
    assert agent.update()["mean_q"] == pytest.approx(q, rel=1e-5)


def test_compiled_and_eager_learn_the_same():
    agents = [fill(make(config)) for config in (SMALL, COMPILED)]
    for _ in range(20):
        eager, compiled = (agent.update() for agent in agents)
        assert compiled == pytest.approx(eager, rel=1e-4, abs=1e-6)
    for name in networks(agents[0]):
        eager, compiled = (parameters(networks(agent)[name]) for agent in agents)
        np.testing.assert_allclose(compiled, eager, rtol=1e-3, atol=1e-5, err_msg=name)
    obs = np.array([0.3, -0.2, 0.9])
    np.testing.assert_allclose(agents[0].act(obs), agents[1].act(obs), rtol=1e-3, atol=1e-5)


def test_compiled_update_sees_transitions_and_weights_that_came_after_it_was_compiled():
    agent, other = fill(make(COMPILED), count=5), fill(make(COMPILED, seed=1), count=5)
    agent.update()
    other.update()
    other.load_state_dict(agent.state_dict())
    for each in (agent, other):
        fill(each, count=40, seed=6)
    assert agent.update() == other.update()


def test_compiled_once_for_all_updates():
    agent = fill(make(COMPILED))
    for _ in range(5):
        agent.update()
        agent.act(np.zeros(3))
    for function in (agent._run_step, agent._run_policy):
        assert function.cache_info().traces == 1
        assert function.cache_info().hits == 4


def test_update_of_an_empty_replay_says_so():
    with pytest.raises(UsageError, match="the replay is empty"):
        make().update()


@BOTH
@pytest.mark.parametrize("noise", ["gaussian", "ou"])
def test_seed_decides_everything(noise, config):
    config = dataclasses.replace(config, warmup_steps=3, noise=noise)

    def history(seed):
        agent = fill(make(config, seed))
        actions = [agent.explore(np.ones(3)).tolist() for _ in range(6)]
        return actions, [agent.update() for _ in range(3)]

    assert history(1) == history(1)
    assert history(1) != history(2)


@BOTH
def test_state_continues_where_it_was_taken(config):
    config = dataclasses.replace(config, warmup_steps=2, noise="ou")
    agent, other = fill(make(config, seed=1)), fill(make(config, seed=2))
    for _ in range(3):
        agent.explore(np.ones(3))
        agent.update()
    other.load_state_dict(agent.state_dict())
    for _ in range(3):
        np.testing.assert_array_equal(agent.explore(np.ones(3)), other.explore(np.ones(3)))
        assert agent.update() == other.update()
