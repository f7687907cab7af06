import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.networks import LAST_LAYER_RANGE, Actor, Critic

LOW, HIGH = np.array([-1.0, 2.0, 0.0]), np.array([3.0, 2.5, 100.0])


def make_actor(low=LOW, high=HIGH):
    return Actor(4, low, high, (16, 8), np.random.default_rng(0))


def saturate(actor, sign):
    """Push the last bias so far that tanh is at its end."""
    with tg.no_grad():
        actor.mlp[-1].bias.assign_(np.full(actor.mlp[-1].bias.shape, sign * 50, np.float32))


def observations(count=5):
    return tg.Tensor(np.random.default_rng(1).normal(size=(count, 4)).astype(np.float32))


def test_actions_start_near_the_middle_of_each_dimension():
    action = make_actor()(observations()).numpy()
    assert action.shape == (5, 3)
    middle, half_range = (LOW + HIGH) / 2, (HIGH - LOW) / 2
    assert np.abs((action - middle) / half_range).max() < 0.05


@pytest.mark.parametrize(("sign", "bound"), [(1, HIGH), (-1, LOW)])
def test_actions_end_at_the_bounds_of_each_dimension(sign, bound):
    actor = make_actor()
    saturate(actor, sign)
    np.testing.assert_allclose(actor(observations()).numpy(), np.tile(bound, (5, 1)), rtol=1e-6)


def test_bounds_at_the_end_of_float32_do_not_overflow():
    huge = np.full(1, np.finfo(np.float32).max)
    actor = make_actor(-huge, huge)
    saturate(actor, 1)
    assert np.isfinite(actor(observations()).numpy()).all()


def test_saturation_is_the_share_at_a_bound():
    actor = make_actor()
    at_low, at_high, inside = LOW, HIGH, (LOW + HIGH) / 2
    action = tg.Tensor(np.array([at_low, at_high, inside, inside], dtype=np.float32))
    assert actor.saturation(action).item() == 0.5
    assert actor.saturation(actor(observations())).item() == 0.0
    saturate(actor, -1)
    assert actor.saturation(actor(observations())).item() == 1.0


def test_last_layers_start_small_and_the_others_do_not():
    rng = np.random.default_rng(0)
    for network in (make_actor(), Critic(4, 3, (16, 8), rng)):
        weights = [p.numpy() for p in network.parameters()]
        assert all(0 < np.abs(last).max() <= LAST_LAYER_RANGE for last in weights[-2:])
        assert all(np.abs(other).max() > 0.1 for other in weights[:-2])


def test_critic_depends_on_observation_and_action():
    critic, obs = Critic(4, 3, (16, 8), np.random.default_rng(0)), observations()
    action = tg.Tensor(np.zeros((5, 3), np.float32))
    q = critic(obs, action)
    assert q.shape == (5, 1)
    assert not np.array_equal(q.numpy(), critic(obs, action + 1.0).numpy())
    assert not np.array_equal(q.numpy(), critic(obs + 1.0, action).numpy())


def test_parameters_have_pytorch_names_and_shapes_and_bounds_are_none_of_them():
    expected = {
        "mlp.0.weight": (16, 4),
        "mlp.0.bias": (16,),
        "mlp.2.weight": (8, 16),
        "mlp.2.bias": (8,),
        "mlp.4.weight": (3, 8),
        "mlp.4.bias": (3,),
    }
    assert {name: t.shape for name, t in make_actor().state_dict().items()} == expected
