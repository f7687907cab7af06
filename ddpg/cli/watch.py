"""`ddpg watch`: the agent of a run at play, in a window."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ddpg.cli.evaluate import check_episodes


@dataclass(frozen=True)
class Watch:
    """See the policy of a run at play in a window, without noise.

      ddpg watch runs/p1
      ddpg watch runs/p1 --best --episodes 10

    Its episodes are the first ones that ddpg evaluate plays.
    Ctrl-C closes the window.
    """

    run_dir: Path
    """Folder of the run."""
    episodes: int = 1
    """How many episodes, one after the other."""
    seed: int = 1000
    """Seed of the first episode's start state; the following ones count up."""
    best: bool = False
    """Take the model of the best evaluation in training instead of the last one."""

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
        """Exit status; 0 after Ctrl-C too, for the window has no other end."""
        from ddpg.config import read_config
        from ddpg.run.disk import folder
        from ddpg.run.disk.checkpoint import load_agent
        from ddpg.run.disk.saved_spaces import check_spaces
        from ddpg.run.look.display import check_display
        from ddpg.run.look.play import WINDOW, play, rendered

        folder.check_run(self.run_dir)
        config = read_config(self.run_dir, sealed=True)
        check_display()
        agent, _ = load_agent(self.run_dir, self.best)
        try:
            with rendered(config, WINDOW) as env:
                check_spaces(self.run_dir, env)
                for moment in play(agent.act, env, self.episodes, self.seed):
                    if moment.last:
                        print(moment, flush=True)
        except KeyboardInterrupt:
            print("closed by Ctrl-C")
        return 0
