"""One run of TD3, written as each library's users would write it: a program per library.

`benchmarks/whole.py` starts them; all of them have the same flags, and end without output when they
have taken their steps.
"""

import argparse

GAMMA, TAU, LEARNING_RATE, NOISE = 0.99, 0.005, 1e-3, 0.1
"""Settings of all runs; the noise's standard deviation is a share of half the action range."""


def read_flags() -> argparse.Namespace:
    """Return the run that is asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", required=True)
    parser.add_argument("--steps", type=int, required=True, help="of the environment")
    parser.add_argument("--warmup", type=int, required=True, help="steps at random, not learning")
    parser.add_argument("--hidden", type=int, nargs=2, required=True, help="units of both layers")
    parser.add_argument("--batch", type=int, required=True)
    return parser.parse_args()
