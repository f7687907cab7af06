"""What is exported: the deterministic policy, as arrays.

    y = observation
    if mean is not None:  y = clip((y - mean) * inverse_std, -10, 10)
    for weight, bias in zip(weights, biases):  y = weight @ y + bias, and ReLU but for the last
    action = clip(center + half * tanh(y), low, high)

This description is all that the formats know. The mean is taken off as the agent does it, and not
folded into the first layer: of observations near 1000, say, there would be little left in float32
when two large sums meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ddpg.agent import DDPG
from ddpg.errors import in_one_line
from ddpg.networks import LIMIT
from ddpg.spaces import Entry
from tinygrad_rl import nn

__all__ = ["LIMIT", "Policy", "describe"]


@dataclass(frozen=True)
class Policy:
    """A deterministic policy; everything is float32, in the environment's units.

    Attributes
    ----------
    env_id : the environment that it was learned in.
    weights, biases : of each layer from the observation on, (out, in) and (out,).
    center, half : middle and half width of the range of actions, (act_dim,).
    low, high : what an action is clipped to, (act_dim,): rounding leaves the range by a bit.
    mean, inverse_std : by which observations are normalised, (obs_dim,); None if they are not.
    layout : what an observation consists of; nothing where the environment gives a row itself.
    """

    env_id: str
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    center: np.ndarray
    half: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray | None = None
    inverse_std: np.ndarray | None = None
    layout: Sequence[Entry] = ()

    @property
    def obs_dim(self) -> int:
        """Length of an observation."""
        return int(self.weights[0].shape[1])

    @property
    def act_dim(self) -> int:
        """Length of an action."""
        return len(self.low)

    def layout_lines(self) -> list[str]:
        """Which elements of an observation are what: `observation[0..2]  position`."""
        lines, start = [], 0
        for name, size, one_hot in self.layout:
            place = f"{start}" if size == 1 else f"{start}..{start + size - 1}"
            said = [f"observation[{place}]", in_one_line(name, longest=40)]
            said += ["(a 1 at what was observed)"] * one_hot
            lines.append("  ".join(filter(None, said)))
            start += size
        return lines

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by the names that they have in every format: `weight_0`, `bias_0`, ..."""
        layers: dict[str, np.ndarray] = {}
        if self.mean is not None and self.inverse_std is not None:
            layers = {"mean": self.mean, "inverse_std": self.inverse_std}
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            layers |= {f"weight_{k}": weight, f"bias_{k}": bias}
        bounds = {"center": self.center, "half": self.half, "low": self.low, "high": self.high}
        return layers | bounds


def describe(agent: DDPG, env_id: str) -> Policy:
    """The policy that `agent.act` follows.

    Parameters
    ----------
    agent : it may go on learning: the arrays are copies.
    env_id : where it learned.
    """
    layers = [list(layer.parameters()) for layer in agent.actor.mlp if isinstance(layer, nn.Linear)]
    reach, normalizer = agent.actor.range, agent.normalizer
    return Policy(
        env_id,
        [weight.numpy().copy() for weight, _ in layers],
        [bias.numpy().copy() for _, bias in layers],
        reach.center.numpy().copy(),
        reach.half.numpy().copy(),
        agent.low.copy(),
        agent.high.copy(),
        None if normalizer is None else normalizer.mean.numpy().copy(),
        None if normalizer is None else normalizer.inverse_std.numpy().copy(),
        () if agent.observations.is_flat else agent.observations.layout,
    )
