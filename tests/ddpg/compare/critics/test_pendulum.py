"""The pendulum in tensors against gymnasium's, step by step, and its derivatives."""

import gymnasium
import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.compare.critics.pendulum import MAX_SPEED, MAX_TORQUE, observe, state_of, step

COUNT = 4000


@pytest.fixture
def world():
    with gymnasium.make("Pendulum-v1") as env:
        yield env.unwrapped


def states_and_actions(rng):
    """Several turns each way, speeds up to the bounds, torques beyond them, and the edges."""
    angle = rng.uniform(-3 * np.pi, 3 * np.pi, COUNT)
    speed = rng.uniform(-MAX_SPEED, MAX_SPEED, COUNT)
    action = rng.uniform(-1.5 * MAX_TORQUE, 1.5 * MAX_TORQUE, COUNT)
    edges = [0.0, np.pi, -np.pi, np.nextafter(np.pi, 4), np.nextafter(-np.pi, -4), 3 * np.pi]
    angle[:60] = np.repeat(edges, 10)
    speed[100:200], speed[200:300] = MAX_SPEED, -MAX_SPEED
    action[50:150], action[250:350] = MAX_TORQUE, -MAX_TORQUE
    return np.stack([angle, speed], axis=1), action[:, None]


def of_gymnasium(world, state, action):
    """Next states, rewards and observations, a row at a time, in float64."""
    after, rewards, observations = [], [], []
    for s, a in zip(state, action, strict=True):
        world.state = s
        obs, reward, *_ = world.step(a)
        after.append(world.state)
        rewards.append(reward)
        observations.append(obs)
    return np.array(after), np.array(rewards), np.array(observations)


def test_steps_are_those_of_gymnasium(world, rng):
    state, action = states_and_actions(rng)
    expected, rewards, observations = of_gymnasium(world, state, action)
    assert (np.abs(expected[:, 1]) == MAX_SPEED).sum() > 100  # else the bound is not tested
    after, reward = step(tg.Tensor(state), tg.Tensor(action))
    assert after.dtype == reward.dtype == np.float64
    np.testing.assert_allclose(after.numpy(), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(reward.numpy()[:, 0], rewards, rtol=0, atol=1e-12)
    # It gives float32.
    np.testing.assert_allclose(observe(after).numpy(), observations, rtol=0, atol=1e-6)


def test_an_episode_stays_with_gymnasium_for_all_its_steps(world, rng):
    world.state = np.array([np.pi, 1.0])
    state = tg.Tensor(world.state[None])
    for action in rng.uniform(-MAX_TORQUE, MAX_TORQUE, (200, 1)):
        _, expected, *_ = world.step(action)
        state, reward = step(state, tg.Tensor(action[None]))
        assert abs(reward.item() - expected) < 1e-9
    np.testing.assert_allclose(state.numpy()[0], world.state, rtol=0, atol=1e-9)


def test_state_of_an_observation_looks_like_it(rng):
    state, _ = states_and_actions(rng)
    obs = observe(tg.Tensor(state)).numpy()
    found = state_of(obs)
    assert (np.abs(found[:, 0]) <= np.pi).all()
    np.testing.assert_allclose(observe(tg.Tensor(found)).numpy(), obs, rtol=0, atol=1e-12)
    assert state_of(obs.astype(np.float32)).dtype == np.float64


def derivatives(state, action):
    """Of (angle, speed, reward) after the step in (angle, speed, action) before it, (3, 3)."""

    def one(x):
        after, reward = step(x[None, :2], x[None, 2:])
        return tg.concatenate([after[0], reward[0]])

    return tg.jacobian(one, tg.Tensor(np.array([*state, action]))).numpy()


@pytest.mark.parametrize("angle", [0.7, np.pi, -np.pi, 4.0, -9.0])
def test_derivatives_are_those_worked_out_by_hand(angle):
    """Where the angle is wrapped, too: no jump is seen."""
    speed, torque = -1.3, 0.4
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    gain = 15 * np.cos(angle) * 0.05
    expected = [
        [1 + gain * 0.05, 0.05, 0.15 * 0.05],
        [gain, 1.0, 0.15],
        [-2 * wrapped, -0.2 * speed, -0.002 * torque],
    ]
    np.testing.assert_allclose(derivatives((angle, speed), torque), expected, rtol=0, atol=1e-12)


def test_beyond_a_bound_nothing_moves():
    torque_cut = derivatives((0.7, 0.0), 2.5)[:, 2]
    assert torque_cut.tolist() == [0.0, 0.0, 0.0]
    speed_cut = derivatives((np.pi / 2, 7.9), 1.0)
    assert speed_cut[1].tolist() == [0.0, 0.0, 0.0]
    assert speed_cut[0].tolist() == [1.0, 0.0, 0.0]  # it falls on, at the highest speed


def test_at_the_bound_of_the_torque_its_derivative_is_that_from_inside():
    """Actors end there: what the action could still do is not nothing."""
    np.testing.assert_allclose(derivatives((0.7, 0.0), MAX_TORQUE)[1, 2], 0.15, rtol=1e-12)
