"""A run on disk: its configuration, its tables, its networks.

    runs/p1/
      config.json           every setting, flat, named as the flags are
      metrics.csv           a row per training episode
      evaluations.csv       a row per evaluation
      learning_curve.png    both, drawn
      model.safetensors     the agent's state, without the replay

Whole files are written by the engine's `write_atomically` and `save`: a reader finds the old one or
the new one and never half of one, and a model that was damaged on disk is noticed. Tables grow by
whole lines. Nothing is pickled.
"""

from pathlib import Path

import tinygrad_rl as tg
from ddpg.agent import DDPG
from ddpg.config import TrainConfig, config_text, read_config
from ddpg.errors import UsageError
from ddpg.spaces import make_env
from tinygrad_rl import files

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
    files.write_atomically(run_dir / CONFIG, config_text(config).encode())


def save_agent(agent: DDPG, run_dir: Path) -> None:
    """Write the agent's state; other programs find `actor.mlp.0.weight` and so on in it."""
    tg.save(run_dir / MODEL, agent.state_dict())


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
        state = tg.load(path)
    except FileNotFoundError as error:
        raise UsageError(f"{path} does not exist: the run ended before its first save") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"the model cannot be loaded: {error}") from error
    try:
        agent.load_state_dict(state)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} does not fit {CONFIG}: {error.args[0]}") from error
    return agent, config
