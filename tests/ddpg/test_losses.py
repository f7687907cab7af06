import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.losses import actor_loss, critic_loss, td_target
from ddpg.networks import Actor, Critic
from ddpg.replay import Batch

GAMMA = 0.9


@pytest.fixture
def networks():
    rng = np.random.default_rng(0)
    bounds = np.array([-2.0, 0.0]), np.array([2.0, 1.0])
    return Actor(3, *bounds, (8, 8), rng), Critic(3, 2, (8, 8), rng)


@pytest.fixture
def batch():
    rng = np.random.default_rng(1)

    def column(width):
        return tg.Tensor(rng.normal(size=(6, width)).astype(np.float32))

    terminated = tg.Tensor(np.array([[0], [1], [0], [1], [0], [0]], np.float32))
    return Batch(column(3), column(2), column(1), column(3), terminated, GAMMA)


def test_target_follows_its_equation_and_stops_at_the_end(networks, batch):
    actor, critic = networks
    target = td_target(actor, [critic], batch).numpy()
    next_q = critic(batch.next_obs, actor(batch.next_obs)).numpy()
    reward, done = batch.reward.numpy(), batch.terminated.numpy().astype(bool)
    assert np.abs(next_q).min() > 0
    np.testing.assert_allclose(target[~done], (reward + GAMMA * next_q)[~done], rtol=1e-6)
    np.testing.assert_array_equal(target[done], reward[done])


def test_target_is_data(networks, batch):
    """Nothing of the target networks, nor of the critic through them, may be trained by it."""
    target = td_target(networks[0], [networks[1]], batch)
    assert not target.requires_grad
    actor, critic = networks
    critic_loss(critic(batch.obs, batch.action), target).backward()
    assert all(p.grad is None for p in actor.parameters())


def test_critic_loss_is_the_mean_square():
    q, target = tg.Tensor([[1.0], [2.0]]), tg.Tensor([[0.0], [5.0]])
    assert critic_loss(q, target).item() == 5.0


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1), ()])
def test_critic_loss_refuses_to_broadcast(shape):
    with pytest.raises(ValueError, match=r"\(4, 1\)") as error:
        critic_loss(tg.Tensor(np.zeros((4, 1))), tg.Tensor(np.zeros(shape)))
    assert str(shape) in str(error.value)


def test_actor_gradient_runs_through_the_critic_and_leaves_none_there(networks, batch):
    actor, critic = networks
    loss = actor_loss(critic, batch.obs, actor(batch.obs))
    loss.backward()
    assert all(p.grad is None for p in critic.parameters())
    assert all(np.abs(p.grad.numpy()).max() > 0 for p in actor.parameters())
    assert all(p.requires_grad for p in critic.parameters())


def test_no_rule_of_the_frozen_critic_is_executed(networks, batch):
    """By count, not by `.grad`: three layers each, so 3 actor layers cost two products, 3 critic
    layers one."""
    actor, critic = networks
    with tg.count_flops() as forward:
        loss = actor_loss(critic, batch.obs, actor(batch.obs))
    with tg.count_flops() as backward:
        loss.backward()
    rows, hidden, obs_dim, act_dim = 6, 8, 3, 2
    actor_sizes = obs_dim * hidden + hidden * hidden + hidden * act_dim
    critic_sizes = (obs_dim + act_dim) * hidden + hidden * hidden + hidden
    assert forward.total == 2 * rows * (actor_sizes + critic_sizes)
    # Weights of each actor layer, inputs of all but its first; inputs of each critic layer.
    expected = 2 * rows * (actor_sizes + actor_sizes - obs_dim * hidden + critic_sizes)
    assert backward.total == expected


def test_actor_gradient_is_the_policy_gradient(networks, batch):
    """dQ/da times dmu/dw, by central differences of the mean Q over one weight at a time."""
    actor, critic = networks
    loss = actor_loss(critic, batch.obs, actor(batch.obs))
    loss.backward()
    bias = actor.mlp[-1].bias
    epsilon = 1e-2

    def mean_q(shift):
        values = bias.numpy().copy()
        values[1] += shift
        with tg.no_grad():
            before = bias.numpy().copy()
            bias.assign_(values)
            mean = critic(batch.obs, actor(batch.obs)).numpy().astype(np.float64).mean()
            bias.assign_(before)
        return mean

    numeric = (mean_q(epsilon) - mean_q(-epsilon)) / (2 * epsilon)
    np.testing.assert_allclose(bias.grad.numpy()[1], -numeric, rtol=1e-3)
