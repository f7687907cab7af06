"""The critics that are compared: plain DDPG's, and three remedies, as settings of the one agent.

for variant in VARIANTS: agent = DDPG(observations, actions, variant.config, seed)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ddpg.config import ALGORITHMS, DDPGConfig

COMMON = DDPGConfig(gamma=0.95, tau=0.1, warmup_steps=500, updates_per_step=2)
"""Of all variants. Q starts near 0, far too high on Pendulum, and forgets where it started at a
rate of `(1 - gamma) tau` an update: with these it has done so after some hundred updates, with the
defaults after ten thousand, and until then that would be all one sees. Two updates a step, so that
an actor that moves with every second one moves at every step."""


@dataclass(frozen=True)
class Variant:
    """One kind of critic."""

    name: str  # what the table, the picture and the report call it
    meaning: str  # what is done, in a sentence
    settings: Mapping[str, Any] = field(default_factory=dict)  # where it differs from COMMON

    @property
    def config(self) -> DDPGConfig:
        """All settings of its training run."""
        return replace(COMMON, **self.settings)


VARIANTS = (
    Variant("plain DDPG", "One critic, believed in everything."),
    Variant(
        "+ LayerNorm",
        "Each hidden layer of the critic is normalised, which bounds what it says where it has "
        "no data.",
        {"critic_layer_norm": True},
    ),
    Variant(
        "+ twin critics",
        "Two critics learn one target, which takes the smaller of their two values.",
        {"critics": 2},
    ),
    Variant(
        "TD3",
        "Twin critics; the target's action is blurred by noise, and the actor moves with every "
        "second update.",
        ALGORITHMS["td3"],
    ),
)
"""All of them; the first is what the others are compared with."""
