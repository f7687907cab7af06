"""True values and slopes against rollouts of gymnasium's own Pendulum, with a policy in NumPy."""

import math

import gymnasium
import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.compare.critics import true_q as module
from ddpg.compare.critics.pendulum import MAX_SPEED, observe
from ddpg.compare.critics.true_q import (
    REACH,
    Agreement,
    Truth,
    critic_slope,
    horizon,
    slope_agreement,
    truth,
)
from ddpg.errors import UsageError
from ddpg.networks import Actor, Critic

GAMMA = 0.9
HIDDEN = (8, 8)


def make_actor(seed=0):
    """Its last layer is as large as the others, so that it acts."""
    actor = Actor(3, np.array([-2.0]), np.array([1.5]), HIDDEN, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    with tg.no_grad():
        actor.mlp[-1].weight.assign_(rng.normal(size=(1, 8)).astype(np.float32))
    return actor


def balancing_actor():
    """Holds the pendulum upright once it is near: tanh(-6 sin - 1.5 speed)."""
    bound = np.array([2.0])
    actor = Actor(3, -bound, bound, (), np.random.default_rng(0))
    with tg.no_grad():
        actor.mlp[0].weight.assign_(np.array([[0.0, -6.0, -1.5]], np.float32))
        actor.mlp[0].bias.assign_([0.0])
    return actor


def observations(*states):
    return observe(tg.Tensor(np.array(states))).numpy()


@pytest.fixture
def rows(rng):
    """Observations as a replay has them, and actions, at both bounds and between them."""
    states = np.stack([rng.uniform(-np.pi, np.pi, 12), rng.uniform(-MAX_SPEED, MAX_SPEED, 12)], 1)
    action = rng.uniform(-2, 2, (12, 1))
    action[:4, 0] = -2.0, 2.0, -1.95, 1.95
    return observations(*states).astype(np.float32), action.astype(np.float32)


def in_numpy(actor):
    """The policy in float64, of one observation."""
    *hidden, (weight, bias) = [
        (layer.weight.numpy().astype(float), layer.bias.numpy().astype(float))
        for layer in actor.mlp
        if isinstance(layer, tg.nn.Linear)
    ]

    def policy(obs):
        for w, b in hidden:
            obs = np.maximum(w @ obs + b, 0.0)
        return -0.25 + 1.75 * np.tanh(weight @ obs + bias)

    return policy


def followed(actor, obs, action):
    """Discounted returns, a row at a time, of gymnasium's environment."""
    policy, returns = in_numpy(actor), []
    with gymnasium.make("Pendulum-v1") as env:
        world = env.unwrapped
        for (cosine, sine, speed), a in zip(obs.astype(float), action.astype(float), strict=True):
            world.state = np.array([math.atan2(sine, cosine), speed])
            total = 0.0
            for t in range(66):  # 0.9^65 > 0.001 > 0.9^66
                _, reward, *_ = world.step(a)
                total += GAMMA**t * reward
                angle, speed = world.state
                a = policy(np.array([math.cos(angle), math.sin(angle), speed]))
            returns.append(total)
    return np.array(returns)


def test_policy_of_the_reference_is_the_actor(rows):
    actor = make_actor()
    expected = [in_numpy(actor)(obs) for obs in rows[0]]
    np.testing.assert_allclose(actor(tg.Tensor(rows[0])).numpy(), expected, rtol=0, atol=1e-5)


def test_value_is_the_return_of_an_actor_that_is_followed(rows):
    actor = make_actor()
    expected = followed(actor, *rows)
    assert np.ptp(expected) > 10
    np.testing.assert_allclose(truth(actor, *rows, GAMMA).value, expected, rtol=0, atol=1e-9)


def test_slope_is_the_derivative_of_that_return(rows):
    obs, action = rows
    inside = np.abs(action[:, 0]) < 2.0
    exact = action.astype(float)
    up, down = (followed(make_actor(), obs, exact + sign * 1e-6) for sign in (1, -1))
    slope, expected = truth(make_actor(), obs, action, GAMMA).slope[inside], (up - down) / 2e-6
    assert len(slope) == 10 and np.abs(slope).max() > 1
    np.testing.assert_allclose(slope, expected[inside], rtol=1e-5, atol=1e-6)


def test_differences_end_at_the_bounds(rows):
    obs, action = rows[0], rows[1].astype(float)
    low, high = np.maximum(action - REACH, -2), np.minimum(action + REACH, 2)
    np.testing.assert_allclose((high - low)[:4, 0], [0.1, 0.1, 0.15, 0.15], rtol=1e-6)
    between = followed(make_actor(), obs, high) - followed(make_actor(), obs, low)
    found = truth(make_actor(), obs, action, GAMMA).slope_by_differences
    np.testing.assert_allclose(found, between / (high - low)[:, 0], rtol=1e-9)


def test_no_actor_is_taken_for_another_of_its_shape_and_none_is_traced_anew(rows):
    actors = [make_actor(seed) for seed in (0, 1)]
    truth(actors[0], *rows, GAMMA)
    before = [step.cache_info().traces for step in (module._advance, module._follow)]
    values = [truth(actor, *rows, GAMMA).value for actor in actors]
    for parameter in actors[1].parameters():  # as it is while it learns
        with tg.no_grad():
            parameter.assign_(-parameter)
    values.append(truth(actors[1], *rows, GAMMA).value)
    assert [step.cache_info().traces for step in (module._advance, module._follow)] == before
    for actor, value in zip([actors[0], actors[1]], [values[0], values[2]], strict=True):
        np.testing.assert_allclose(value, followed(actor, *rows), rtol=0, atol=1e-9)
    assert not np.allclose(values[0], values[1])


def test_slopes_are_judged_where_they_hold_and_matter():
    """Swinging twice; kept at the top; and hanging, from where the actor's own push gives way."""
    obs = observations((2.0, 1.0), (1.0, -3.0), (0.0, 0.0), (np.pi, 0.0))
    found = truth(balancing_actor(), obs, np.zeros((4, 1)), 0.99)
    assert found.meaningful.tolist() == [True, True, False, False]
    np.testing.assert_allclose(found.slope[:2], found.slope_by_differences[:2], rtol=1e-2)
    assert abs(found.slope[2]) < 1e-9  # no action is better
    assert abs(found.slope[3]) > 1e20 > 1e3 > abs(found.slope_by_differences[3])


@pytest.mark.parametrize(
    ("slope", "differences", "meaningful"),
    [
        (2.0, 2.2, True),
        (2.0, 2.3, False),  # apart
        (-2.0, -1.8, True),
        (-2.0, 2.0, False),
        (0.1, 0.1, True),
        (0.099, 0.099, False),  # flat
        (1e15, 1e3, False),
        (math.inf, math.inf, False),
        (math.inf, 5.0, False),
        (math.nan, 1.0, False),
    ],
)
def test_meaningful_is_what_agrees_and_matters(slope, differences, meaningful):
    found = module._is_meaningful(np.array([slope]), np.array([differences]))
    assert found.tolist() == [meaningful]


def test_horizon_ends_where_the_discount_is_negligible():
    assert horizon(0.99) == 688
    for gamma in (0.98, 0.9, 0.5, 0.001, 0.0009):
        assert gamma ** horizon(gamma) < 1e-3 <= gamma ** (horizon(gamma) - 1)
    assert horizon(0.0) == 1
    for gamma in (1.0, -0.1, math.nan):
        with pytest.raises(UsageError, match="less than 1"):
            horizon(gamma)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_slope_of_a_critic_is_that_of_its_value_in_the_action(rows, layer_norm):
    obs, action = rows
    critic = Critic(3, 1, HIDDEN, np.random.default_rng(0), layer_norm)
    with tg.no_grad():
        critic.mlp[-1].weight.mul_(300)

    def q(moved):  # float64, so that differences can be taken
        x = np.concatenate([obs.astype(float), moved], axis=1)
        for layer in critic.mlp:
            if isinstance(layer, tg.nn.ReLU):
                x = np.maximum(x, 0)
                continue
            weight, bias = layer.weight.numpy().astype(float), layer.bias.numpy().astype(float)
            if isinstance(layer, tg.nn.LayerNorm):
                x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + layer.eps)
                x = x * weight + bias
            else:
                x = x @ weight.T + bias
        return x[:, 0]

    expected = (q(action.astype(float) + 1e-6) - q(action.astype(float) - 1e-6)) / 2e-6
    slope = critic_slope(critic, obs, action)
    assert slope.dtype == np.float64 and np.abs(slope).max() > 0.1
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)
    assert all(p.grad is None and p.requires_grad for p in critic.parameters())


def agreement(said, meant, meaningful):
    meant = np.array(meant, float)
    return slope_agreement(np.array(said, float), Truth(meant, meant, meant, np.array(meaningful)))


def test_agreement_is_counted_where_the_truth_is_meaningful():
    found = agreement([3, -1, 0, 7], [4, 2, 3, -1e15], [True, True, True, False])
    assert found == Agreement((3 * 4 - 2) / math.sqrt(10 * 29), 1 / 3, 3)
    assert agreement([2, -4], [1, -2], [True, True]) == Agreement(pytest.approx(1.0), 1.0, 2)


def test_agreement_of_nothing_and_of_a_flat_critic():
    nothing = agreement([1.0], [1.0], [False])
    assert nothing.states == 0 and math.isnan(nothing.cosine) and math.isnan(nothing.same_sign)
    assert agreement([0.0, 0.0], [1.0, -2.0], [True, True]) == Agreement(0.0, 0.0, 2)


@pytest.mark.parametrize(
    ("obs", "action", "message"),
    [
        (np.zeros((2, 4)), np.zeros((2, 1)), r"\(2, 4\) and \(2, 1\)"),
        (np.zeros((2, 3)), np.zeros(2), r"got \(2, 3\) and \(2,\)"),
        (np.zeros((2, 3)), np.zeros((3, 1)), r"\(2, 3\) and \(3, 1\)"),
        (np.zeros((2, 3)), np.array([[0.0], [2.5]]), "within 2.0 of 0, got 2.5"),
        (np.zeros((2, 3)), np.array([[0.0], [math.nan]]), "got nan"),
    ],
)
def test_what_is_not_pendulums_is_refused(obs, action, message):
    with pytest.raises(UsageError, match=message):
        truth(make_actor(), obs, action, GAMMA)
