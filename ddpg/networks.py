"""Actor and critic: multilayer perceptrons, ReLU between layers.

    actor = Actor(obs_dim, low, high, hidden=(64, 64), rng=rng)
    critic = Critic(obs_dim, act_dim, hidden=(64, 64), rng=rng)
    q = critic(obs, actor(obs))                              # (B, 1)

Parameters are named as in PyTorch: `mlp.0.weight` is the first layer's, (out, in).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

import tinygrad_rl as tg
from tinygrad_rl import nn

LAST_LAYER_RANGE = 3e-3
"""Last layers start in U(-3e-3, 3e-3) (the paper, section 7): the first actions then lie near the
middle, where tanh is steep, and the first Q values near zero."""

SMALLEST_VARIANCE = 1e-8
"""Added to each variance, so that nothing is divided by zero."""
LIMIT = 10.0
"""Standard deviations from the mean at which a normalised observation is clipped."""


@dataclass(frozen=True)
class ActionRange:
    """Where tanh is carried to, per dimension; no module, so that it is no part of any state dict.

    Attributes
    ----------
    center, half : middle and half width of the range, (act_dim,).
    """

    center: tg.Tensor
    half: tg.Tensor

    def clip(self, action: tg.Tensor) -> tg.Tensor:
        """The nearest actions inside the range."""
        low, high = self.center - self.half, self.center + self.half
        return tg.minimum(tg.maximum(action, low), high)


class Normalizer:
    """Observations in units of those seen so far: `clip((obs - mean) / sqrt(var + 1e-8), -10, 10)`.

    Constants and limits are those of Stable-Baselines3's `VecNormalize`. Until the first
    observation, the mean is 0 and the standard deviation 1.

    Like `ActionRange` no module. What compiled functions hold of it are its two tensors, which
    are written into with each observation.

    Parameters
    ----------
    size : length of an observation.

    Attributes
    ----------
    mean, inverse_std : float32, (size,), of all that was seen; the statistics behind them are
        float64.
    """

    def __init__(self, size: int) -> None:
        self._count, self._mean, self._m2 = 0, np.zeros(size), np.zeros(size)
        self._mean32, self._inverse_std32 = np.zeros(size, np.float32), np.ones(size, np.float32)
        self.mean = tg.from_numpy(self._mean32)
        self.inverse_std = tg.from_numpy(self._inverse_std32)

    def __call__(self, obs: tg.Tensor) -> tg.Tensor:
        """Normalised rows, of the shape of `obs`, (B, size)."""
        # The mean goes first, and alone: folded into a layer's bias, large numbers would meet there
        # whose small difference float32 does not have.
        return tg.clip((obs - self.mean) * self.inverse_std, -LIMIT, LIMIT)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # A target that is a slow copy still sees what its network sees: statistics of its own would
        # stand still.
        return self

    def see(self, rows: np.ndarray) -> None:
        """Count observations in, finite ones of shape (n, size), one after the other.

        So it does not matter how many come at once. (Welford 1962: the sum of squared deviations
        is kept, since a mean of squares would lose a small deviation beside a large mean.)
        """
        for row in rows.astype(np.float64):
            self._count += 1
            deviation = row - self._mean
            self._mean += deviation / self._count
            self._m2 += deviation * (row - self._mean)
        self._write()

    def state_dict(self) -> dict[str, Any]:
        """How many were seen, their mean, and their sum of squared deviations from it, `m2`."""
        return {"count": self._count, "mean": self._mean.copy(), "m2": self._m2.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self._count = state["count"]
        self._mean[:], self._m2[:] = np.asarray(state["mean"]), np.asarray(state["m2"])
        self._write()

    def _write(self) -> None:
        variance = self._m2 / self._count if self._count else 1.0 - SMALLEST_VARIANCE
        self._mean32[:] = self._mean
        self._inverse_std32[:] = 1.0 / np.sqrt(variance + SMALLEST_VARIANCE)


class Actor(nn.Module):
    """The deterministic policy: `mu(s) = center + half * tanh(mlp(s))`, per dimension.

    Parameters
    ----------
    obs_dim : length of an observation.
    low, high : lowest and highest action per dimension, shape (act_dim,); they need not be
        symmetric.
    hidden : units of each hidden layer.
    rng : where the initial weights come from.
    normalizer : what an observation passes first, if there is one.
    """

    def __init__(
        self,
        obs_dim: int,
        low: np.ndarray,
        high: np.ndarray,
        hidden: tuple[int, ...],
        rng: np.random.Generator,
        normalizer: Normalizer | None = None,
    ) -> None:
        super().__init__()
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        self.mlp = _mlp((obs_dim, *hidden, len(low)), rng)
        # Halved before the difference: high - low may overflow.
        self.range = ActionRange(
            center=tg.Tensor((low / 2 + high / 2).astype(np.float32)),
            half=tg.Tensor((high / 2 - low / 2).astype(np.float32)),
        )
        self.normalizer = normalizer

    def forward(self, obs: tg.Tensor) -> tg.Tensor:
        """Actions in the environment's units, (B, act_dim), for observations of (B, obs_dim)."""
        if self.normalizer is not None:
            obs = self.normalizer(obs)
        action = self.range.center + self.range.half * tg.tanh(self.mlp(obs))
        return action  # a variable, whose name the compiled step's listing bears

    def saturation(self, action: tg.Tensor) -> tg.Tensor:
        """Share of `action` within 1 % of half the range of a bound, a scalar.

        There tanh is flat: its slope is below 0.02, and an actor that is saturated everywhere
        learns no more.
        """
        near_a_bound = tg.abs(action - self.range.center) >= 0.99 * self.range.half
        return near_a_bound.astype(np.float32).mean()


class Critic(nn.Module):
    """The value of an action, `Q(s, a)`; the action enters beside the observation.

    Parameters
    ----------
    obs_dim, act_dim : length of an observation and of an action.
    hidden : units of each hidden layer.
    rng : where the initial weights come from.
    layer_norm : whether each hidden layer is normalised before its ReLU: that bounds what Q can
        say far from the data (Ball et al. 2023, section 4.2).
    normalizer : what an observation passes first, if there is one.
    """

    def __init__(
        self,
        obs_dim: int,
        act_dim: int,
        hidden: tuple[int, ...],
        rng: np.random.Generator,
        layer_norm: bool = False,
        normalizer: Normalizer | None = None,
    ) -> None:
        super().__init__()
        self.mlp = _mlp((obs_dim + act_dim, *hidden, 1), rng, layer_norm)
        self.normalizer = normalizer

    def forward(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        """Values, (B, 1), of `obs` (B, obs_dim) and `action` (B, act_dim)."""
        return self.mlp(self._inputs(obs, action))

    def dead_units(self, obs: tg.Tensor, action: tg.Tensor) -> float:
        """Share of the hidden units that are 0 for every row: no gradient moves them."""
        x, dead = self._inputs(obs, action), []
        with tg.no_grad():
            for layer in self.mlp:
                x = layer(x)
                if isinstance(layer, nn.ReLU):
                    dead.append((x.numpy() == 0.0).all(axis=0))
        return float(np.concatenate(dead).mean())

    def _inputs(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        if self.normalizer is not None:
            obs = self.normalizer(obs)
        return tg.concatenate([obs, action], axis=1)


def _mlp(sizes: tuple[int, ...], rng: np.random.Generator, layer_norm: bool = False) -> nn.MLP:
    mlp = nn.MLP(sizes, layer_norm=layer_norm, rng=rng)
    for parameter in mlp[-1].parameters():
        nn.init.uniform_(parameter, -LAST_LAYER_RANGE, LAST_LAYER_RANGE, rng)
    return mlp
