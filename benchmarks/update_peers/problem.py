"""The update that all contenders compute: sizes, starting state, data, and what it costs."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

GAMMA = 0.99
TAU = 0.005
LEARNING_RATE = 1e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
TRANSITIONS = 20_000
NETWORKS = ("actor", "critic", "target_actor", "target_critic")


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

    def flops(self) -> int:
        """Count the multiplications and additions of the update's matrix products.

        Pruned as far as the mathematics allows: no gradient for the observations, none for the
        critic's weights in the actor's step, and dQ/dinput only for the action's columns.
        """
        actor = [a * b for a, b in pairwise(self.widths("actor"))]
        critic = [a * b for a, b in pairwise(self.widths("critic"))]
        critic_step = sum(actor) + 2 * sum(critic) + sum(critic) + sum(critic[1:])
        through_critic = sum(critic[1:]) + self.act * self.hidden[0]
        actor_step = sum(actor) + sum(critic) + through_critic + sum(actor) + sum(actor[1:])
        return 2 * self.batch * (critic_step + actor_step)


SIZES = tuple(
    Size.parse(text)
    for text in (
        "3/1/64x64@64",
        "3/1/64x64x64@100",
        "17/6/256x256@256",
        "17/6/400x300@100",
        "105/8/256x256@256",
    )
)


@dataclass(frozen=True)
class Problem:
    """A starting state, a replay memory and the indices of the first batch, all float32.

    Attributes
    ----------
    size
        Dimensions.
    arrays
        `<network>.<layer>.weight` of shape (out, in) and `<network>.<layer>.bias`, for the four
        networks; `obs`, `action`, `reward`, `next_obs`, `terminated` of the replay
        memory, rows are transitions; `first_batch`, integers of shape (batch,). Actions are
        bounded by -1 and 1.
    """

    size: Size
    arrays: dict[str, np.ndarray]

    @classmethod
    def make(cls, size: Size, seed: int) -> "Problem":
        """Draw everything from `seed`. Nothing is zero: zeros may be multiplied faster."""
        rng = np.random.default_rng(seed)
        arrays: dict[str, np.ndarray] = {}
        for network in NETWORKS:
            for i, (fan_in, fan_out) in enumerate(pairwise(size.widths(network))):
                bound = fan_in**-0.5
                arrays[f"{network}.{i}.weight"] = rng.uniform(-bound, bound, (fan_out, fan_in))
                arrays[f"{network}.{i}.bias"] = rng.uniform(-bound, bound, fan_out)
        arrays["obs"] = rng.standard_normal((TRANSITIONS, size.obs))
        arrays["action"] = rng.uniform(-1, 1, (TRANSITIONS, size.act))
        arrays["reward"] = rng.standard_normal(TRANSITIONS)
        arrays["next_obs"] = rng.standard_normal((TRANSITIONS, size.obs))
        arrays["terminated"] = rng.random(TRANSITIONS) < 0.05
        arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
        arrays["first_batch"] = rng.integers(0, TRANSITIONS, size.batch)
        return cls(size, arrays)

    def save(self, path: Path) -> None:
        """Write for `load`."""
        np.savez(path, size=str(self.size), **self.arrays)

    @classmethod
    def load(cls, path: Path) -> "Problem":
        """Read what `save` wrote."""
        with np.load(path) as file:
            arrays = dict(file)
        return cls(Size.parse(str(arrays.pop("size"))), arrays)

    def layers(self, network: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return [(weight, bias), ...] from input to output."""
        count = len(self.size.hidden) + 1
        names = (f"{network}.{i}" for i in range(count))
        return [(self.arrays[f"{n}.weight"], self.arrays[f"{n}.bias"]) for n in names]

    @property
    def replay(self) -> tuple[np.ndarray, ...]:
        """Return (obs, action, reward, next_obs, terminated)."""
        names = ("obs", "action", "reward", "next_obs", "terminated")
        return tuple(self.arrays[name] for name in names)

    @property
    def batch(self) -> tuple[np.ndarray, ...]:
        """Return the first batch's (obs, action, reward, next_obs, terminated)."""
        return tuple(array[self.arrays["first_batch"]] for array in self.replay)


def named(network: str, layers: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return layers under the problem's names."""
    weights = {f"{network}.{i}.weight": np.asarray(weight) for i, (weight, _) in enumerate(layers)}
    biases = {f"{network}.{i}.bias": np.asarray(bias) for i, (_, bias) in enumerate(layers)}
    return weights | biases
