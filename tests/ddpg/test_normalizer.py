"""Observations in units of those seen so far: when statistics move, and what they change."""

import dataclasses
import math
from copy import deepcopy
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig
from ddpg.errors import UsageError
from ddpg.learn import learn
from ddpg.networks import Normalizer
from ddpg.run.evaluate import evaluate, evaluate_agent

OBSERVATIONS, ACTIONS = Box(-np.inf, np.inf, (3,)), Box(-1, 1, (2,))
CONFIG = DDPGConfig(hidden=(16, 16), batch_size=8, buffer_size=100, warmup_steps=5, compile=False)
ON = dataclasses.replace(CONFIG, normalize_observations=True)
SCALE, CENTER = np.array([1e-2, 1.0, 1e4]), np.array([1e3, 0.0, -3e4])


def rows(count=50, seed=0):
    """Observations of unlike sizes, float32 as a replay has them."""
    raw = CENTER + SCALE * np.random.default_rng(seed).normal(size=(count, 3))
    return raw.astype(np.float32)


def filled(config=ON, count=30):
    agent, rng, obs = DDPG(OBSERVATIONS, ACTIONS, config, seed=1), np.random.default_rng(2), rows()
    for number, (before, after) in enumerate(pairwise(obs[: count + 1])):
        action = agent.explore(before)
        agent.replay.add(before, action, rng.normal(), after, number % 9 == 8, False)
    return agent


def by_python(obs, seen):
    """The formula, a number at a time."""
    normalized = []
    for value, column in zip(obs.tolist(), np.asarray(seen, np.float64).T.tolist(), strict=True):
        mean = math.fsum(column) / len(column)
        variance = math.fsum((x - mean) ** 2 for x in column) / len(column)
        normalized.append(min(max((value - mean) / math.sqrt(variance + 1e-8), -10.0), 10.0))
    return normalized


def test_normalized_is_the_formula_with_the_statistics_of_all_that_was_seen():
    normalizer, seen = Normalizer(3), rows(200)
    normalizer.see(seen[:120])
    normalizer.see(seen[120:])
    fresh = rows(20, seed=1)
    fresh[0, 0], fresh[1, 1] = 2e3, -100.0  # clipped
    got = normalizer(tg.from_numpy(fresh)).numpy()
    assert (got[0, 0], got[1, 1]) == (10.0, -10.0)
    # Float32 has the mean 1000 to 3e-5, which is 0.003 of a standard deviation of 0.01.
    np.testing.assert_allclose(got, [by_python(row, seen) for row in fresh], rtol=1e-5, atol=4e-3)
    np.testing.assert_allclose(got[:, 1:], [by_python(row, seen)[1:] for row in fresh], rtol=1e-5)
    state = normalizer.state_dict()
    np.testing.assert_allclose(state["mean"], seen.mean(axis=0, dtype=np.float64), rtol=1e-13)
    np.testing.assert_allclose(
        state["m2"] / state["count"], seen.var(axis=0, dtype=np.float64), rtol=1e-8
    )


def test_nothing_seen_nothing_changed_but_what_is_clipped():
    normalizer = Normalizer(3)
    obs = np.array([[0.5, -3.0, 11.0]], np.float32)
    assert normalizer(tg.from_numpy(obs)).numpy().tolist() == [[0.5, -3.0, 10.0]]
    normalizer.see(obs)
    assert normalizer(tg.from_numpy(obs)).numpy().tolist() == [[0.0, 0.0, 0.0]]


def test_how_many_come_at_once_changes_no_bit():
    one, other, seen = Normalizer(3), Normalizer(3), rows()
    for row in seen:
        one.see(row[None])
    other.see(seen)
    assert repr(one.state_dict()) == repr(other.state_dict())


def test_only_exploring_moves_the_statistics():
    agent = filled()
    before = repr(agent.normalizer.state_dict())
    agent.act(rows()[3])
    agent.act(rows())
    agent.predict(rows()[3])
    agent.update()
    evaluate_agent(agent, Told(), episodes=1)
    assert repr(agent.normalizer.state_dict()) == before
    assert agent.normalizer.state_dict()["count"] == 30
    agent.explore(rows()[0])
    assert agent.normalizer.state_dict()["count"] == 31


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_not_counted_in(value):
    agent = filled()
    before = repr(agent.state_dict())
    with np.errstate(over="ignore"), pytest.raises(UsageError, match="obs must be finite"):
        agent.explore(np.array([0.0, value, 0.0]))
    with pytest.raises(UsageError, match=r"obs must have shape \(3,\)"):
        agent.explore(np.zeros(4))
    assert repr(agent.state_dict()) == before


def test_all_networks_share_one_and_so_do_their_copies():
    agent = filled(count=1)
    networks = [agent.actor, agent.target_actor, *agent.critics, *agent.target_critics]
    assert {id(network.normalizer) for network in networks} == {id(agent.normalizer)}
    assert deepcopy(agent.actor).normalizer is agent.normalizer
    assert "normalizer" not in " ".join(agent.actor.state_dict())


@pytest.mark.parametrize("step", ["critic_step", "actor_step"])
def test_gradients_are_those_of_observations_that_were_normalized_by_hand(step):
    agent, plain = filled(), filled(CONFIG)
    for _ in range(3):
        agent.update()
    state = agent.state_dict()
    del state["normalizer"]
    plain.load_state_dict(state)
    batch = agent.replay.gather(tg.from_numpy(np.arange(20)), CONFIG.gamma)
    mean, inverse_std = agent.normalizer.mean.numpy(), agent.normalizer.inverse_std.numpy()
    by_hand = {
        name: tg.from_numpy(np.clip((getattr(batch, name).numpy() - mean) * inverse_std, -10, 10))
        for name in ("obs", "next_obs")
    }
    critics = [parameter.numpy().copy() for parameter in agent.critics[0].parameters()]
    getattr(agent, step)(batch)
    getattr(plain, step)(batch._replace(**by_hand))
    moved = [agent.actor] if step == "actor_step" else agent.critics
    same = [plain.actor] if step == "actor_step" else plain.critics
    for one, two in zip(moved, same, strict=True):
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            assert np.abs(a.grad.numpy()).max() > 0.0
            np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())
    if step == "actor_step":  # through Q, and nothing of it into Q
        for before, after in zip(critics, agent.critics[0].parameters(), strict=True):
            np.testing.assert_array_equal(before, after.numpy())


def test_compiled_and_eager_are_the_same_while_the_statistics_move():
    agents = [filled(dataclasses.replace(ON, compile=compiled)) for compiled in (False, True)]
    for row in rows(10, seed=4):
        for agent in agents:
            agent.explore(row)
        eager, compiled = (agent.update() for agent in agents)
        assert compiled == pytest.approx(eager, rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(agents[0].act(row), agents[1].act(row), rtol=1e-3, atol=1e-5)
    assert agents[1]._run_step.cache_info().traces == 1
    assert agents[1]._run_policy.cache_info().traces == 1


def test_state_continues_where_it_was_taken(tmp_path):
    agent, other = filled(), filled(count=3)
    tg.save(tmp_path / "a", agent.state_dict())
    other.load_state_dict(tg.load(tmp_path / "a"))
    for row in rows(5, seed=7):
        np.testing.assert_array_equal(agent.explore(row), other.explore(row))
        np.testing.assert_array_equal(agent.act(row), other.act(row))
    assert repr(agent.normalizer.state_dict()) == repr(other.normalizer.state_dict())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("count", -1, "normalizer.count must be a whole number"),
        ("count", 3.0, "normalizer.count must be a whole number"),
        ("m2", np.array([0.0, -1.0, 0.0]), "normalizer.m2 holds -1.0, and a sum of squares"),
        ("m2", np.array([0.0, np.inf, 0.0]), "normalizer.m2 holds NaN or infinity"),
        ("mean", np.array([0.0, np.nan, 0.0]), "normalizer.mean holds NaN or infinity"),
        ("mean", np.array([0.0, 1e300, 0.0]), "normalizer.mean holds .* float32"),
        ("mean", np.zeros(4), r"normalizer.mean is float64 of shape \(4,\)"),
        ("mean", np.zeros(3, np.float32), "normalizer.mean is float32"),
    ],
)
def test_a_state_that_no_statistics_have_is_refused(name, value, message):
    agent = filled()
    before, state = repr(agent.state_dict()), agent.state_dict()
    state["normalizer"] |= {name: value}
    with pytest.raises(UsageError, match=message):
        agent.load_state_dict(state)
    assert repr(agent.state_dict()) == before


def test_states_with_and_without_are_told_apart():
    for one, other in ((filled(), filled(CONFIG)), (filled(CONFIG), filled())):
        with pytest.raises(UsageError, match=r"missing or unknown in the state: \['normalizer'\]"):
            one.load_state_dict(other.state_dict())


class Told(gymnasium.Env):
    """One step an episode: the observation says by a small difference which action is right."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float32)
    action_space = Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.right = self.np_random.choice([-0.8, 0.8], size=2)
        return self.seen(), {}

    def step(self, action):
        return self.seen(), -float(((action - self.right) ** 2).sum()), True, False, {}

    def seen(self):
        return np.array([1000 + self.right[0], 1000 + self.right[1], 1000], np.float32)


@pytest.mark.parametrize("normalized", [True, False])
def test_a_small_difference_of_large_observations_is_learned(normalized):
    config = DDPGConfig(
        hidden=(16,), batch_size=16, warmup_steps=100, noise_std=0.3, compile=False,
        actor_lr=5e-3, critic_lr=5e-3, normalize_observations=normalized,
    )  # fmt: skip
    agent = DDPG(Told.observation_space, Told.action_space, config, seed=0)
    for _ in learn(agent, Told(), 700, seed=0):
        pass
    missed = -evaluate(agent.act, Told(), 40).mean()
    assert missed < 0.1 if normalized else missed > 1.0
