"""The update that all contenders compute: sizes, starting state, data, and what it costs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

GAMMA = 0.99
TAU = 0.005
LEARNING_RATE = 1e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
TRANSITIONS = 20_000

Layers = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Algorithm:
    """Where TD3 differs from DDPG, under the names that `DDPGConfig` has for it.

    Attributes
    ----------
    critics
        Each learns the same target, the smallest of their targets; the actor follows the first.
    target_noise, target_noise_clip
        Standard deviation and bound of the noise on the target's action, as shares of half the
        action range; here the actions lie between -1 and 1, so that these are also its units.
    actor_every
        Updates in a cycle. All of them move the critics, the last one the actor and the targets.
    """

    critics: int = 1
    target_noise: float = 0.0
    target_noise_clip: float = 0.5
    actor_every: int = 1

    def noise(self, normals: np.ndarray) -> np.ndarray:
        """Return the noise that normally distributed numbers make."""
        clip = self.target_noise_clip
        return np.clip(self.target_noise * normals, -clip, clip)


ALGORITHMS = {"ddpg": Algorithm(), "td3": Algorithm(2, 0.2, 0.5, 2)}


@dataclass(frozen=True)
class Size:
    """Dimensions of one update; written `17/6/256x256@256` (obs/act/hidden@batch)."""

    obs: int
    act: int
    hidden: tuple[int, ...]
    batch: int

    @classmethod
    def parse(cls, text: str) -> "Size":
        """Read the written form; raise ValueError with an example otherwise."""
        match = re.fullmatch(r"(\d+)/(\d+)/(\d+(?:x\d+)*)@(\d+)", text)
        if not match:
            raise ValueError(f"a size is obs/act/hidden@batch, as 17/6/256x256@256; got {text!r}")
        hidden = tuple(int(width) for width in match[3].split("x"))
        return cls(int(match[1]), int(match[2]), hidden, int(match[4]))

    def __str__(self) -> str:
        return f"{self.obs}/{self.act}/{'x'.join(map(str, self.hidden))}@{self.batch}"

    def widths(self, network: str) -> tuple[int, ...]:
        """Return the layer widths, input and output included."""
        if network.endswith("actor"):
            return (self.obs, *self.hidden, self.act)
        return (self.obs + self.act, *self.hidden, 1)

    def cycle_flops(self, algorithm: Algorithm) -> int:
        """Count the multiplications and additions of a cycle's matrix products.

        Pruned as far as the mathematics allows: no gradient for the observations, nothing of the
        critics that the actor does not follow and no gradient of the weights of the one that it
        does in the actor's step, and dQ/dinput only for the action's columns.
        """
        actor = [a * b for a, b in pairwise(self.widths("actor"))]
        critic = [a * b for a, b in pairwise(self.widths("critic"))]
        each_critic = 2 * sum(critic) + sum(critic) + sum(critic[1:])
        critic_step = sum(actor) + algorithm.critics * each_critic
        through_critic = sum(critic[1:]) + self.act * self.hidden[0]
        actor_step = sum(actor) + sum(critic) + through_critic + sum(actor) + sum(actor[1:])
        return 2 * self.batch * (algorithm.actor_every * critic_step + actor_step)


SIZES = {
    name: tuple(map(Size.parse, sizes.split()))
    for name, sizes in {
        "ddpg": "3/1/64x64@64 3/1/64x64x64@100 17/6/256x256@256 17/6/400x300@100 105/8/256x256@256",
        "td3": "3/1/64x64@100 17/6/256x256@256",
    }.items()
}


class Batch(NamedTuple):
    """Transitions, an array each; the first axis counts them."""

    obs: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    terminated: np.ndarray


@dataclass(frozen=True)
class Problem:
    """A starting state, a replay memory and the draws of the first cycle, all float32.

    Attributes
    ----------
    size
        Dimensions.
    algorithm
        Name of the update in `ALGORITHMS`.
    arrays
        `<network>.<layer>.weight` of shape (out, in) and `<network>.<layer>.bias`, for all
        `networks`; `obs`, `action`, `reward`, `next_obs`, `terminated` of the replay
        memory, rows are transitions; `rows`, integers of shape (updates, batch), the
        batches of the first cycle; `normals` of shape (updates, batch, act), from which the
        noise on the target's actions is made. Actions are bounded by -1 and 1.
    """

    size: Size
    algorithm: str
    arrays: dict[str, np.ndarray]

    @classmethod
    def make(cls, size: Size, algorithm: str, seed: int) -> "Problem":
        """Draw everything from `seed`. Nothing is zero: zeros may be multiplied faster."""
        rng = np.random.default_rng(seed)
        arrays: dict[str, np.ndarray] = {}
        for network in networks(ALGORITHMS[algorithm]):
            for i, (fan_in, fan_out) in enumerate(pairwise(size.widths(network))):
                bound = (6 / fan_in) ** 0.5
                arrays[f"{network}.{i}.weight"] = rng.uniform(-bound, bound, (fan_out, fan_in))
                arrays[f"{network}.{i}.bias"] = rng.uniform(-bound, bound, fan_out)
        arrays["obs"] = rng.standard_normal((TRANSITIONS, size.obs))
        arrays["action"] = rng.uniform(-1, 1, (TRANSITIONS, size.act))
        arrays["reward"] = rng.standard_normal(TRANSITIONS)
        arrays["next_obs"] = rng.standard_normal((TRANSITIONS, size.obs))
        arrays["terminated"] = rng.random(TRANSITIONS) < 0.05
        draws = (ALGORITHMS[algorithm].actor_every, size.batch)
        arrays["normals"] = rng.standard_normal((*draws, size.act))
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        arrays["rows"] = rng.integers(0, TRANSITIONS, draws)
        return cls(size, algorithm, arrays)

    def save(self, path: Path) -> None:
        """Write for `load`."""
        np.savez(path, size=str(self.size), algorithm=self.algorithm, **self.arrays)

    @classmethod
    def load(cls, path: Path) -> "Problem":
        """Read what `save` wrote."""
        with np.load(path) as file:
            arrays = dict(file)
        size, algorithm = str(arrays.pop("size")), str(arrays.pop("algorithm"))
        return cls(Size.parse(size), algorithm, arrays)

    @property
    def settings(self) -> Algorithm:
        """Return what the algorithm's name stands for."""
        return ALGORITHMS[self.algorithm]

    def layers(self, network: str) -> Layers:
        """Return [(weight, bias), ...] from input to output."""
        names = (f"{network}.{i}" for i in range(len(self.size.hidden) + 1))
        return [(self.arrays[f"{n}.weight"], self.arrays[f"{n}.bias"]) for n in names]

    def critics(self, prefix: str = "") -> list[Layers]:
        """Return the layers of each critic, with the prefix `target_` of each target."""
        return [self.layers(f"{prefix}critics.{k}") for k in range(self.settings.critics)]

    @property
    def replay(self) -> Batch:
        """Return the whole memory."""
        return Batch(*(self.arrays[name] for name in Batch._fields))

    def cycle(self) -> Iterator[tuple[Batch, np.ndarray]]:
        """Yield the batch and the normals of each update of the first cycle."""
        for rows, normals in zip(self.arrays["rows"], self.arrays["normals"], strict=True):
            yield Batch(*(array[rows] for array in self.replay)), normals


def networks(algorithm: Algorithm) -> list[str]:
    """Return the names of all networks, the targets last."""
    online = ["actor", *(f"critics.{k}" for k in range(algorithm.critics))]
    return online + [f"target_{name}" for name in online]


def named(
    actor: Layers, critics: list[Layers], target_actor: Layers, target_critics: list[Layers]
) -> dict[str, np.ndarray]:
    """Return all parameters under the problem's names."""
    all_layers = {"actor": actor, "target_actor": target_actor}
    all_layers |= {f"critics.{k}": layers for k, layers in enumerate(critics)}
    all_layers |= {f"target_critics.{k}": layers for k, layers in enumerate(target_critics)}
    found: dict[str, np.ndarray] = {}
    for network, layers in all_layers.items():
        for i, (weight, bias) in enumerate(layers):
            found[f"{network}.{i}.weight"] = np.asarray(weight)
            found[f"{network}.{i}.bias"] = np.asarray(bias)
    return found
