"""Noise on actions: that of exploration, and that of the target.

    noise = OUNoise(scale=half_range * 0.2, seed=...)
    noise.reset()             # at the start of each episode
    action = mu + noise()     # (1, act_dim), in the environment's units

    noise = TargetNoise(scale=half_range * 0.2, limit=half_range * 0.5, rows=64, seed=...)
    next_action = target_mu + noise()        # (64, act_dim)

Each owns its generator and saves it with its state, `state_dict()`, after which
`load_state_dict(state)` continues.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ddpg import rng


class GaussianNoise:
    """Independent draws from N(0, scale**2), as in Fujimoto et al. 2018.

    Parameters
    ----------
    scale : standard deviation per action dimension, shape (act_dim,).
    seed : where the draws come from.
    num_envs : environments side by side, each with noise of its own.
    """

    def __init__(self, scale: np.ndarray, seed: np.random.SeedSequence, num_envs: int = 1) -> None:
        self.scale = np.array(scale, dtype=np.float64)
        self._scales = np.tile(self.scale, (num_envs, 1))  # of one shape: NumPy is slow with two
        self._draws = np.empty_like(self._scales)
        self._rng = rng.generator(seed)

    def __call__(self) -> np.ndarray:
        """The next draws, shape (num_envs, act_dim)."""
        self._rng.standard_normal(out=self._draws)
        return self._scales * self._draws

    def reset(self, env: int = 0) -> None:
        """Nothing to forget: draws do not depend on each other."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next draw depends on."""
        return {"rng": rng.get_state(self._rng)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was taken."""
        rng.set_state(self._rng, state["rng"])


class OUNoise:
    """The Ornstein-Uhlenbeck process of the paper: noise with inertia, pulled back to zero.

    `x <- x - theta x dt + scale sqrt(dt) N(0, 1)` with dt = 1 environment step and theta = 0.15
    (Lillicrap et al. 2015, section 7). dt matters: at dt = 1 the process settles within about 20
    steps at a standard deviation of `scale / sqrt(1 - (1 - theta)**2)`, 1.9 times the scale;
    libraries with dt = 0.01 mean something else by the same sigma.

    Parameters
    ----------
    scale : sigma per action dimension, shape (act_dim,).
    seed : where the draws come from.
    num_envs : environments side by side, each with a process of its own.
    """

    theta = 0.15

    def __init__(self, scale: np.ndarray, seed: np.random.SeedSequence, num_envs: int = 1) -> None:
        self._kick = GaussianNoise(scale, seed, num_envs)
        self._x = np.zeros((num_envs, self._kick.scale.size))

    def __call__(self) -> np.ndarray:
        """The next draws, shape (num_envs, act_dim)."""
        self._x = self._x - self.theta * self._x + self._kick()
        return self._x.copy()

    def reset(self, env: int = 0) -> None:
        """Back to zero: the drift of one episode must not leak into the next."""
        self._x[env] = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next draw depends on."""
        return self._kick.state_dict() | {"x": self._x.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was taken."""
        x = np.array(state["x"], dtype=np.float64).reshape(self._x.shape)
        self._kick.load_state_dict(state)  # after what could fail: both change, or neither does
        self._x = x


Noise = GaussianNoise | OUNoise


class TargetNoise:
    """What smooths the target over actions that are alike: N(0, scale**2), clipped.

    Target policy smoothing (Fujimoto et al. 2018, section 5.3).

    Parameters
    ----------
    scale : standard deviation per action dimension, shape (act_dim,).
    limit : what no draw exceeds in size, shape (act_dim,).
    rows : draws at a time.
    seed : where they come from.
    """

    def __init__(
        self, scale: np.ndarray, limit: np.ndarray, rows: int, seed: np.random.SeedSequence
    ) -> None:
        self._scale, self._limit = scale.astype(np.float32), limit.astype(np.float32)
        self._shape = rows, len(scale)
        self._rng = rng.generator(seed)

    def __call__(self) -> np.ndarray:
        """The next draws, float32, shape (rows, act_dim)."""
        noise = self._rng.standard_normal(self._shape, dtype=np.float32)
        noise *= self._scale
        np.maximum(noise, -self._limit, out=noise)  # as `np.clip`, in half its time
        return np.minimum(noise, self._limit, out=noise)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next draws depend on."""
        return {"rng": rng.get_state(self._rng)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was taken."""
        rng.set_state(self._rng, state["rng"])
