"""`ddpg evaluate`: how good the policy of a run is, and whether its Q knows it."""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from ddpg.errors import UsageError, counted


@dataclass(frozen=True)
class Evaluate:
    """Play episodes with a run's policy, from fixed start states.

    ddpg evaluate runs/p1 --episodes 100

    The policy plays without noise.
    Prints the returns, and how far Q was off along them: what it says too
    much, in percent of the discounted return that followed, and whether it puts
    the states in the right order (rank correlation 1).
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
    """Print one JSON object: env_id, episodes, mean_return, std_return, returns, and q_bias,
    q_spread, q_rank, q_tail, dead_units as in a run's evaluations.csv."""

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : for numbers that are not allowed.
        """
        command = cls(**given)
        check_episodes(command.episodes, command.seed)
        return command

    def run(self) -> int:
        """Exit status."""
        from ddpg.run.disk.checkpoint import load_agent
        from ddpg.run.disk.saved_spaces import check_spaces
        from ddpg.run.environments import one
        from ddpg.run.evaluate import evaluate_agent

        agent, config = load_agent(self.run_dir, self.best)
        tell = partial(print, file=sys.stderr)
        with one(config) as env:
            check_spaces(self.run_dir, env)
            evaluation = evaluate_agent(agent, env, self.episodes, self.seed, tell=tell)
        returns, error = evaluation.returns, evaluation.q_error
        mean, std = float(returns.mean()), float(returns.std())
        if self.json:
            result = {"env_id": config.env_id, "episodes": self.episodes, "mean_return": mean}
            q = asdict(error) | {"dead_units": evaluation.dead_units}
            # What is not finite has no spelling in JSON.
            q = {name: value if math.isfinite(value) else None for name, value in q.items()}
            print(json.dumps({**result, "std_return": std, "returns": returns.tolist(), **q}))
        else:
            over = counted(self.episodes, "episode")
            print(f"{config.env_id}: return {mean:,.1f} ± {std:,.1f} over {over}")
            print(f"Q along them: {error}, spread {100 * error.q_spread:,.0f} %")
            if (own := round(100 * error.q_tail)) > 0:
                print(f"(episodes were cut off: {own} % of what followed is Q's own word for it)")
        return 0


def check_episodes(episodes: int, seed: int) -> None:
    """See that there can be so many episodes from this seed on.

    Raises
    ------
    UsageError : if there can't.
    """
    if episodes < 1:
        raise UsageError(f"--episodes must be 1 or more, got {episodes}")
    if seed < 0:
        raise UsageError(f"--seed must be 0 or more, got {seed}")
