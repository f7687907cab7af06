"""TD3 of sbx, on JAX."""

from sbx import TD3

from . import read_flags
from .baselines import options


def main() -> None:
    """Run."""
    flags = read_flags()
    TD3(**options(flags)).learn(flags.steps)


if __name__ == "__main__":
    main()
