import numpy as np
import pytest

from ddpg.noise import GaussianNoise, OUNoise, TargetNoise

SCALE = np.array([0.2, 1.5])


def make(kind, seed=3):
    return kind(SCALE, np.random.SeedSequence(seed))


def draw(noise, count):
    return np.concatenate([noise() for _ in range(count)])


def test_gaussian_has_its_scale_per_dimension_and_no_memory():
    drawn = draw(make(GaussianNoise), 20_000)
    np.testing.assert_allclose(drawn.std(axis=0), SCALE, rtol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0) / SCALE, 0, atol=0.02)
    correlation = (drawn[1:] * drawn[:-1]).mean(axis=0) / SCALE**2
    np.testing.assert_allclose(correlation, 0, atol=0.02)


def test_ou_settles_at_the_documented_spread_and_remembers():
    drawn = draw(make(OUNoise), 60_000)
    settled = SCALE / np.sqrt(1 - (1 - OUNoise.theta) ** 2)
    np.testing.assert_allclose(drawn.std(axis=0), settled, rtol=0.05)
    correlation = (drawn[1:] * drawn[:-1]).mean(axis=0) / settled**2
    np.testing.assert_allclose(correlation, 1 - OUNoise.theta, rtol=0.05)


def test_ou_forgets_its_drift_at_an_episode_start():
    noise, fresh = make(OUNoise), make(OUNoise)
    draw(noise, 50)
    noise.reset()
    # The generator goes on, the drift does not: the next value is one kick from zero.
    fresh.load_state_dict({**noise.state_dict(), "x": np.zeros(2)})
    np.testing.assert_array_equal(noise(), fresh())
    assert np.abs(draw(make(OUNoise), 50)[-1]).max() > 0


@pytest.mark.parametrize("kind", [GaussianNoise, OUNoise])
def test_state_continues_the_draws(kind):
    noise, other = make(kind), make(kind, seed=4)
    draw(noise, 5)
    other.load_state_dict(noise.state_dict())
    np.testing.assert_array_equal(draw(noise, 5), draw(other, 5))


@pytest.mark.parametrize("kind", [GaussianNoise, OUNoise])
def test_a_draw_belongs_to_its_caller(kind):
    """Writing into a returned array must not steer the next draw."""
    noise, other = make(kind), make(kind)
    noise()[:] = 1e6
    other()
    np.testing.assert_array_equal(noise(), other())


def test_target_noise_is_clipped_per_dimension():
    limit = np.array([0.3, 0.75])
    noise = TargetNoise(SCALE, limit, 20_000, np.random.SeedSequence(3))
    drawn = noise()
    assert drawn.shape == (20_000, 2)
    assert drawn.dtype == np.float32
    assert (np.abs(drawn) <= limit.astype(np.float32)).all()
    at_the_limit = (np.abs(drawn) == limit.astype(np.float32)).mean(axis=0)
    # P(|N| > 1.5) and P(|N| > 0.5) of the normal distribution.
    np.testing.assert_allclose(at_the_limit, [0.1336, 0.6171], atol=0.01)
    inside = np.abs(drawn[:, 0]) < 0.1
    assert inside.mean() == pytest.approx(0.3829, abs=0.01)  # P(|N| < 0.5)


def test_target_noise_goes_on_from_its_state():
    noise, other = (TargetNoise(SCALE, SCALE, 5, np.random.SeedSequence(n)) for n in (1, 2))
    first = noise()
    other.load_state_dict(noise.state_dict())
    second = noise()
    np.testing.assert_array_equal(other(), second)
    assert not np.array_equal(first, second)


def test_seeds_decide():
    np.testing.assert_array_equal(make(OUNoise)(), make(OUNoise)())
    assert (make(OUNoise)() != make(OUNoise, seed=4)()).all()


@pytest.mark.parametrize("change", [{"x": np.zeros(3)}, {"x": "drift"}, {"rng": [0] * 6}])
def test_ou_is_as_it_was_after_a_state_that_does_not_fit(change):
    noise, other = make(OUNoise), make(OUNoise)
    with pytest.raises(ValueError):
        noise.load_state_dict({**make(OUNoise, seed=4).state_dict(), **change})
    np.testing.assert_array_equal(draw(noise, 3), draw(other, 3))


@pytest.mark.parametrize("kind", [GaussianNoise, OUNoise])
def test_environments_side_by_side_have_noise_of_their_own(kind):
    noise = kind(SCALE, np.random.SeedSequence(3), num_envs=3)
    drawn = np.array([noise() for _ in range(20_000)])
    assert drawn.shape == (20_000, 3, 2)
    between = np.corrcoef(drawn.reshape(20_000, 6).T) - np.eye(6)
    assert np.abs(between).max() < 0.12  # drifting noise settles slowly


def test_a_reset_forgets_the_drift_of_one_environment_only():
    noise, undisturbed = (OUNoise(SCALE, np.random.SeedSequence(3), num_envs=3) for _ in range(2))
    for _ in range(5):
        noise(), undisturbed()
    noise.reset(1)
    one, other = noise(), undisturbed()
    np.testing.assert_array_equal(one[[0, 2]], other[[0, 2]])
    assert (np.abs(one[1] - other[1]) > 1e-6).all()
