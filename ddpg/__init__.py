"""DDPG on this repository's own autograd engine.

    from ddpg import DDPG, DDPGConfig

Start reading at `ddpg.losses` (three equations), then `ddpg.agent` (their order).
"""

from typing import TYPE_CHECKING, Any

from ddpg.config import DDPGConfig, TrainConfig

if TYPE_CHECKING:
    from ddpg.agent import DDPG

    __version__: str

__all__ = ["DDPG", "DDPGConfig", "TrainConfig", "__version__"]


def __getattr__(name: str) -> Any:
    # The agent brings the engine with it, half a second; `ddpg --help` does without.
    if name == "DDPG":
        from ddpg.agent import DDPG

        return DDPG
    if name == "__version__":
        from importlib import metadata

        return metadata.version("tinygrad-rl")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
