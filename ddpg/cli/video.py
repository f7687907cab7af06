"""`ddpg video`: the agent of a run at play, as a film."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ddpg.cli.evaluate import check_episodes

if TYPE_CHECKING:
    import numpy as np

    from ddpg.run.look.play import Moment
    from ddpg.spaces import Env

FILM = "video.mp4"
PATIENCE = 2.0
"""Seconds after which a bar shows how far the work is."""


@dataclass(frozen=True)
class Video:
    """Make a film of the policy of a run at play, without noise.

      ddpg video runs/p1
      ddpg video runs/p1 --best --episodes 3 -o pendulum.gif

    Its episodes are the first ones that ddpg evaluate plays. No display is needed.
    """

    run_dir: Path
    """Folder of the run."""
    output: Path | None = None
    """Where the film goes, an .mp4 or .gif; video.mp4 in the run's folder by default."""
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
        """Exit status."""
        from ddpg.config import read_config
        from ddpg.run.disk import folder
        from ddpg.run.disk.checkpoint import load_agent
        from ddpg.run.disk.destination import check_destination
        from ddpg.run.disk.saved_spaces import check_spaces
        from ddpg.run.look.display import prepare_rendering
        from ddpg.run.look.play import PICTURES, play, rendered
        from ddpg.run.look.video import ENDINGS, check_encoder, film

        folder.check_run(self.run_dir)
        output = self.output or self.run_dir / FILM
        check_destination(output, "film", ENDINGS)
        check_encoder()
        prepare_rendering()
        config = read_config(self.run_dir, sealed=True)
        with rendered(config, PICTURES) as env, ExitStack() as stack:
            check_spaces(self.run_dir, env)
            agent, _ = load_agent(self.run_dir, self.best)
            moments = play(agent.act, env, self.episodes, self.seed)
            ends: list[Moment] = []
            pictures = self._pictures(moments, env, ends, stack)
            film(pictures, float(env.metadata.get("render_fps") or 30), output)
        print(*ends, f"The film is {output}", sep="\n")
        return 0

    def _pictures(
        self, moments: "Iterator[Moment]", env: "Env", ends: "list[Moment]", stack: ExitStack
    ) -> "Iterator[np.ndarray]":
        """Each moment drawn, the last ones put into `ends`; a bar after two seconds."""
        from ddpg.run.evaluate import LONGEST
        from ddpg.run.progress import ProgressConsole, StageProgress

        limit = env.spec.max_episode_steps if env.spec is not None else None
        left = self.episodes * ((limit or LONGEST) + 1)
        began, progress = time.monotonic(), None
        for moment in moments:
            picture: Any = env.render()
            yield picture
            left -= 1
            if progress is not None:
                progress.advance()
            elif time.monotonic() - began > PATIENCE:
                progress = stack.enter_context(StageProgress(ProgressConsole()))
                progress.stage("playing", left)
            if moment.last:
                ends.append(moment)
