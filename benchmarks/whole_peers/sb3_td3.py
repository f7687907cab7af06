"""TD3 of Stable-Baselines3, on PyTorch."""

from stable_baselines3 import TD3

from . import read_flags
from .baselines import options


def main() -> None:
    """Run."""
    flags = read_flags()
    TD3(**options(flags), device="cpu").learn(flags.steps)


if __name__ == "__main__":
    main()
