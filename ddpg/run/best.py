"""The agent with the best evaluation so far, and how a run goes back to an earlier one.

    keep_best(agent, run_dir, before=400)     # a better one than that of step 400
    go_back(run_dir, 400)                     # to the best one that the checkpoint knows
    forget_earlier(run_dir)                   # the checkpoint knows the better one now

A run that goes on from its checkpoint may come to other agents than it did the first time: where it
is made shorter, or its environment can't be replayed. So no best agent that the checkpoint knows is
lost before the next checkpoint: it is set aside under its step.
"""

from pathlib import Path

from ddpg.agent import DDPG
from ddpg.run import folder
from ddpg.run.checkpoint import save_agent
from tinygrad_rl import files


def keep_best(agent: DDPG, run_dir: Path, before: int | None) -> None:
    """Save the agent as the best one, and set the one before aside, that of step `before`."""
    best = run_dir / folder.BEST
    if before is not None and best.exists():
        aside = run_dir / folder.earlier_best(before)
        files.write_atomically(aside, best.read_bytes(), durable=True)
    save_agent(agent, best)


def go_back(run_dir: Path, step: int | None) -> None:
    """Have the best agent of this step again; None if there was no evaluation yet."""
    best = run_dir / folder.BEST
    if step is None:
        best.unlink(missing_ok=True)
    elif (aside := run_dir / folder.earlier_best(step)).exists():
        aside.replace(best)
    forget_earlier(run_dir)


def forget_earlier(run_dir: Path) -> None:
    """Remove what was set aside."""
    for aside in sorted(run_dir.glob(folder.earlier_best("*"))):
        aside.unlink()
