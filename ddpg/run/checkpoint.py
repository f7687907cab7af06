"""A run on disk: its configuration, its tables, its networks.

    runs/p1/
      config.json           every setting, flat, named as the flags are
      metrics.csv           a row per training episode
      evaluations.csv       a row per evaluation
      learning_curve.png    both, drawn
      model.safetensors     the agent's state, without the replay

Whole files are written beside their place and then moved into it, so that a reader finds the old
one or the new one and never half of one. Tables grow by whole lines. Nothing is pickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from ddpg.agent import DDPG
from ddpg.config import TrainConfig, config_to_dict, read_config
from ddpg.errors import UsageError
from ddpg.run.files import write_atomically
from ddpg.spaces import make_env

CONFIG = "config.json"
METRICS_TABLE = "metrics.csv"
EVALUATIONS_TABLE = "evaluations.csv"
CURVE = "learning_curve.png"
MODEL = "model.safetensors"


def create_run(run_dir: Path, config: TrainConfig) -> None:
    """Make the folder and put the configuration into it.

    Raises
    ------
    UsageError : if it already holds a run, or is no folder.
    """
    if run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"{run_dir} is a file, not a folder for a run")
    held = [n for n in (CONFIG, METRICS_TABLE, EVALUATIONS_TABLE, MODEL) if (run_dir / n).exists()]
    if held:
        raise UsageError(
            f"{run_dir} already holds a run ({held[0]}); name another folder with --run-dir, "
            "or remove this one"
        )
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {run_dir} cannot be made: {error.strerror}") from error
    text = json.dumps(config_to_dict(config), indent=2) + "\n"
    write_atomically(run_dir / CONFIG, lambda path: path.write_text(text, encoding="utf-8"))


def save_agent(agent: DDPG, run_dir: Path) -> None:
    """Write the agent's state, as safetensors: names are paths such as `actor.mlp.0.weight`."""
    # As bytes, because the package's own save_file lets nobody but the owner read the file.
    model = safetensors.numpy.save(flatten(agent.state_dict()))
    write_atomically(run_dir / MODEL, lambda path: path.write_bytes(model))


def load_agent(run_dir: Path) -> tuple[DDPG, TrainConfig]:
    """The agent that a run folder holds, without its replay, and the run's configuration.

    Raises
    ------
    UsageError : if the folder or one of its files is missing, damaged, or of another network size.
    """
    if not run_dir.is_dir():
        raise UsageError(f"there is no run folder {run_dir}")
    config = read_config(run_dir / CONFIG)
    env = make_env(config.env_id)
    agent = DDPG(env.observation_space, env.action_space, config.ddpg, config.seed)
    env.close()
    path = run_dir / MODEL
    try:
        arrays = safetensors.numpy.load_file(path)
        agent.load_state_dict(unflatten(arrays, like=agent.state_dict()))
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist: the run ended before its first save") from error
    except KeyError as error:
        raise UsageError(f"{path} does not fit {CONFIG}: it has no entry {error}") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise UsageError(f"{path} cannot be loaded: {error}") from error
    return agent, config


def flatten(state: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Nested dicts and lists as one dict, with dotted names; values become arrays."""
    if not isinstance(state, (Mapping, list)):
        return {prefix: np.array(state, order="C")}
    items = state.items() if isinstance(state, Mapping) else enumerate(state)
    flat: dict[str, np.ndarray] = {}
    for name, value in items:
        flat |= flatten(value, f"{prefix}.{name}" if prefix else str(name))
    return flat


def unflatten(arrays: Mapping[str, np.ndarray], like: Any, prefix: str = "") -> Any:
    """Inverse of `flatten`: the arrays in the nesting of `like`.

    Raises
    ------
    KeyError : naming an entry of `like` that is missing.
    """
    if isinstance(like, Mapping):
        return {
            name: unflatten(arrays, value, f"{prefix}.{name}" if prefix else name)
            for name, value in like.items()
        }
    if isinstance(like, list):
        return [unflatten(arrays, v, f"{prefix}.{i}") for i, v in enumerate(like)]
    return arrays[prefix]
