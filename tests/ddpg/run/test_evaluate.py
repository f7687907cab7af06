import gymnasium
import numpy as np

from ddpg.run.evaluate import FIRST_SEED, evaluate
from ddpg.spaces import make_env


class Countdown(gymnasium.Env):
    """Ends after as many steps as its seed says; each step is rewarded with the action."""

    def reset(self, *, seed=None, options=None):
        self.seed, self.left = seed, seed
        return np.zeros(1), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1), action[0], self.left == 0 and self.seed % 2 == 0, self.left == 0, {}


def test_returns_are_sums_over_whole_episodes_with_counted_seeds():
    returns = evaluate(lambda obs: np.array([2.0]), Countdown(), episodes=3, first_seed=5)
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
