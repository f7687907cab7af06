"""The command line: ``ddpg train``, ``ddpg evaluate``.

Flags are made from the dataclasses below and in :mod:`ddpg.config`. What a command needs is
imported by the command itself, here and nowhere else in the package, so that help comes at once.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from ddpg.config import TrainConfig, read_config
from ddpg.errors import TrainingError, UsageError

DESCRIPTION = """DDPG on its own autograd engine: learn a task, look at the result.
  ddpg train --env-id Pendulum-v1 --run-dir runs/p1
  ddpg evaluate runs/p1"""

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


@dataclass(frozen=True)
class Train:
    """Learn in an environment and keep the run in a folder.

    What is in the folder afterwards:
    - config.json: every setting
    - metrics.csv: a row per training episode
    - evaluations.csv: a row per evaluation, without noise
    - learning_curve.png: both, drawn
    - model.safetensors: the networks and their optimizers

    Ctrl-C ends the run and keeps what is there.
    """

    run_dir: Annotated[
        Path | None, tyro.conf.arg(help_behavior_hint="(default: runs/ENV_ID-seedSEED)")
    ] = None
    """Folder of the run, which must not hold one yet."""
    config: Annotated[Path | None, tyro.conf.arg(help_behavior_hint="(default: no file)")] = None
    """A config.json of an earlier run to take settings from; flags win over it."""
    settings: Annotated[TrainConfig, tyro.conf.arg(name="")] = field(default_factory=TrainConfig)

    def run(self) -> int:
        """Exit status."""
        from ddpg.train import train

        settings = self.settings
        run_dir = self.run_dir or Path("runs", f"{settings.env_id}-seed{settings.seed}")
        log = train(settings, run_dir)
        reached = f", mean return {log.evaluations[-1]['mean']:,.1f}" if log.evaluations else ""
        end = "interrupted after" if log.interrupted else "finished"
        print(f"{run_dir}: {end} {log.steps:,} steps{reached}")
        return EXIT_INTERRUPTED if log.interrupted else 0


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with the policy of a run, without noise, from fixed start states."""

    run_dir: tyro.conf.Positional[Path]
    """Folder of the run."""
    episodes: int = 100
    """How many episodes; start states differ a lot, so fewer than 100 say little."""
    seed: int = 1000
    """Seed of the first episode's start state; the following ones count up."""
    json: bool = False
    """Print one JSON object: env_id, episodes, mean_return, std_return, returns."""

    def run(self) -> int:
        """Exit status."""
        from ddpg.checkpoint import load_agent
        from ddpg.evaluate import evaluate
        from ddpg.spaces import make_env

        _require(self.episodes >= 1, f"--episodes must be 1 or more, got {self.episodes}")
        _require(self.seed >= 0, f"--seed must be 0 or more, got {self.seed}")
        agent, config = load_agent(self.run_dir)
        env = make_env(config.env_id)
        returns = evaluate(agent.act, env, self.episodes, self.seed)
        env.close()
        mean, std = float(returns.mean()), float(returns.std())
        if self.json:
            result = {
                "env_id": config.env_id,
                "episodes": self.episodes,
                "mean_return": mean,
                "std_return": std,
                "returns": returns.tolist(),
            }
            print(json.dumps(result))
        else:
            print(f"{config.env_id}: return {mean:,.1f} ± {std:,.1f} over {self.episodes} episodes")
        return 0


_COMMANDS: dict[str, Any] = {"train": Train, "evaluate": Evaluate}
_STYLE = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone, tyro.conf.FlagCreatePairsOff)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit.

    The status is 0 when done, 1 when a run failed, 2 when something was asked for that cannot be
    done, 130 when the user interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = _parse(arguments).run()
    except UsageError as error:
        status = _complain(error, EXIT_USAGE)
    except TrainingError as error:
        status = _complain(error, EXIT_FAILED)
    except KeyboardInterrupt:
        status = _complain("interrupted", EXIT_INTERRUPTED)
    sys.exit(status)


def _parse(arguments: list[str]) -> Any:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name not in _COMMANDS:
        # No command to run: help, or an error that names the commands.
        return tyro.extras.subcommand_cli_from_dict(
            _COMMANDS, prog="ddpg", description=DESCRIPTION, args=[name, *rest], config=_STYLE
        )
    command = _COMMANDS[name]
    saved: dict[str, Any] = {}
    if command is Train:
        saved["default"] = Train(settings=_saved_settings(rest))
    return tyro.cli(command, prog=f"ddpg {name}", args=rest, config=_STYLE, **saved)


def _saved_settings(arguments: list[str]) -> TrainConfig:
    """What ``--config`` names, read before the other flags so that they can win over it."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path, nargs="?")
    path = early.parse_known_args(arguments)[0].config
    return TrainConfig() if path is None else read_config(path)


def _complain(message: object, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)
