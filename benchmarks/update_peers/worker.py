"""The process of one contender; `benchmarks/update.py` starts it."""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

import harness


def main() -> None:
    """Build the contender, write its parameters after one cycle, then be timed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contender", required=True)
    parser.add_argument("--problem", type=Path, required=True)
    parser.add_argument("--parameters", type=Path, required=True, help="file to write")
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    harness.use_cores(arguments.threads)

    def build() -> dict[str, Callable[[], object]]:
        import numpy as np

        from . import CONTENDERS
        from .problem import Problem

        module, name, _ = CONTENDERS[arguments.contender]
        make = getattr(importlib.import_module(f"{__package__}.{module}"), name)
        contender = make(Problem.load(arguments.problem), arguments.threads)
        contender.check_cycle()
        np.savez(arguments.parameters, **contender.parameters())
        return {"": contender.cycle}

    harness.serve(build)


if __name__ == "__main__":
    main()
