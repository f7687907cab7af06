"""What Stable-Baselines3 and sbx, its sister on JAX, are told alike."""

import argparse
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3.common.noise import NormalActionNoise

from . import GAMMA, LEARNING_RATE, NOISE, TAU


def options(flags: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of either's `TD3`; the other defaults are the paper's."""
    act = gymnasium.make(flags.env_id).action_space.shape
    return {
        "policy": "MlpPolicy",
        "env": flags.env_id,
        "policy_kwargs": {"net_arch": flags.hidden},
        "learning_rate": LEARNING_RATE,
        "gamma": GAMMA,
        "tau": TAU,
        "batch_size": flags.batch,
        "buffer_size": flags.steps,
        "learning_starts": flags.warmup,
        # Of actions that are scaled to -1 and 1.
        "action_noise": NormalActionNoise(np.zeros(act), np.full(act, NOISE)),
        "seed": 0,
    }
