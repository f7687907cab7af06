"""`ddpg evaluate`: how good the policy of a run is."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from ddpg.errors import UsageError


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with the policy of a run, without noise, from fixed start states.

    ddpg evaluate runs/p1 --episodes 100
    """

    run_dir: Path
    """Folder of the run."""
    episodes: int = 100
    """How many episodes; start states differ a lot, so fewer than 100 say little."""
    seed: int = 1000
    """Seed of the first episode's start state; the following ones count up."""
    best: bool = False
    """Take the model of the best evaluation in training. The last one is the default: it is what
    the literature reports, and the best was picked by its luck on the evaluation's start states."""
    json: bool = False
    """Print one JSON object: env_id, episodes, mean_return, std_return, returns."""

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : for numbers that are not allowed.
        """
        command = cls(**given)
        if command.episodes < 1:
            raise UsageError(f"--episodes must be 1 or more, got {command.episodes}")
        if command.seed < 0:
            raise UsageError(f"--seed must be 0 or more, got {command.seed}")
        return command

    def run(self) -> int:
        """Exit status."""
        from ddpg.run.checkpoint import load_agent
        from ddpg.run.evaluate import evaluate
        from ddpg.spaces import make_env

        agent, config = load_agent(self.run_dir, self.best)
        env = make_env(config.env_id)
        tell = partial(print, file=sys.stderr)
        returns = evaluate(agent.act, env, self.episodes, self.seed, tell=tell)
        env.close()
        mean, std = float(returns.mean()), float(returns.std())
        if self.json:
            result = {"env_id": config.env_id, "episodes": self.episodes, "mean_return": mean}
            print(json.dumps({**result, "std_return": std, "returns": returns.tolist()}))
        else:
            print(f"{config.env_id}: return {mean:,.1f} ± {std:,.1f} over {self.episodes} episodes")
        return 0
