"""Actor and critic: multilayer perceptrons, ReLU between layers.

    actor = Actor(obs_dim, low, high, hidden=(64, 64), rng=rng)
    critic = Critic(obs_dim, act_dim, hidden=(64, 64), rng=rng)
    q = critic(obs, actor(obs))                              # (B, 1)

Parameters are named as in PyTorch: `mlp.0.weight` is the first layer's, (out, in).
"""

from dataclasses import dataclass

import numpy as np

import tinygrad_rl as tg
from tinygrad_rl import nn

LAST_LAYER_RANGE = 3e-3
"""Last layers start in U(-3e-3, 3e-3) (the paper, section 7): the first actions then lie near the
middle, where tanh is steep, and the first Q values near zero."""


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


class Actor(nn.Module):
    """The deterministic policy: `mu(s) = center + half * tanh(mlp(s))`, per dimension.

    Parameters
    ----------
    obs_dim : length of an observation.
    low, high : lowest and highest action per dimension, shape (act_dim,); they need not be
        symmetric.
    hidden : units of each hidden layer.
    rng : where the initial weights come from.
    """

    def __init__(
        self,
        obs_dim: int,
        low: np.ndarray,
        high: np.ndarray,
        hidden: tuple[int, ...],
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        self.mlp = _mlp((obs_dim, *hidden, len(low)), rng)
        # Halved before the difference: high - low may overflow.
        self.range = ActionRange(
            center=tg.Tensor((low / 2 + high / 2).astype(np.float32)),
            half=tg.Tensor((high / 2 - low / 2).astype(np.float32)),
        )

    def forward(self, obs: tg.Tensor) -> tg.Tensor:
        """Actions in the environment's units, (B, act_dim), for observations of (B, obs_dim)."""
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
    """

    def __init__(
        self,
        obs_dim: int,
        act_dim: int,
        hidden: tuple[int, ...],
        rng: np.random.Generator,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        self.mlp = _mlp((obs_dim + act_dim, *hidden, 1), rng, layer_norm)

    def forward(self, obs: tg.Tensor, action: tg.Tensor) -> tg.Tensor:
        """Values, (B, 1), of `obs` (B, obs_dim) and `action` (B, act_dim)."""
        return self.mlp(tg.concatenate([obs, action], axis=1))

    def dead_units(self, obs: tg.Tensor, action: tg.Tensor) -> float:
        """Share of the hidden units that are 0 for every row: no gradient moves them."""
        x, dead = tg.concatenate([obs, action], axis=1), []
        with tg.no_grad():
            for layer in self.mlp:
                x = layer(x)
                if isinstance(layer, nn.ReLU):
                    dead.append((x.numpy() == 0.0).all(axis=0))
        return float(np.concatenate(dead).mean())


def _mlp(sizes: tuple[int, ...], rng: np.random.Generator, layer_norm: bool = False) -> nn.MLP:
    mlp = nn.MLP(sizes, layer_norm=layer_norm, rng=rng)
    for parameter in mlp[-1].parameters():
        nn.init.uniform_(parameter, -LAST_LAYER_RANGE, LAST_LAYER_RANGE, rng)
    return mlp
