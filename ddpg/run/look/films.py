"""A film of the agent at play with each evaluation of a run, in its folder's videos/.

    prepare_films()                                        # before environments are made
    with filming(config, run_dir, wanted=True) as films:   # before anything is written
        films.begin(log.evaluations)
        films.take(agent.act, step, stop, tell)                  # videos/step-000001000.mp4

It plays in an environment of its own: the run is the same, bit for bit, with films and without. A
film that fails is said, and ends nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ddpg.config import TrainConfig
from ddpg.errors import TrainingError, UsageError, in_one_line
from ddpg.run.disk import folder
from ddpg.run.evaluate import Act
from ddpg.run.process import Stop
from ddpg.spaces import Env


class Films:
    """What films, and where the films go.

    Parameters
    ----------
    env : draws itself.
    videos : the folder; made when there is a film.
    """

    def __init__(self, env: Env, videos: Path) -> None:
        self._env, self._videos = env, videos

    def begin(self, evaluations: Sequence[Mapping[str, float]]) -> None:
        """The run goes on, with these rows: films of other evaluations are of none any more."""
        kept = {self._path(int(row["step"])) for row in evaluations}
        for film in self._videos.glob("step-*.mp4"):
            if film not in kept:
                film.unlink()

    def take(self, act: Act, step: int, stop: Stop, tell: Callable[[str], object]) -> None:
        """Film the first episode of the evaluation after `step`, or tell why there is no film.

        A run that is stopped does not wait for it: drawing without a graphics card takes minutes.
        """
        from ddpg.run.look.video import film

        fps = float(self._env.metadata.get("render_fps") or 30)
        try:
            self._videos.mkdir(exist_ok=True)
            film(self._pictures(act, stop), fps, self._path(step))
        except (TrainingError, OSError) as error:
            tell(f"step {step:,}: no film: {in_one_line(error, longest=300)}")

    def _path(self, step: int) -> Path:
        return self._videos / f"step-{step:09d}.mp4"

    def _pictures(self, act: Act, stop: Stop) -> Iterator[np.ndarray]:
        from ddpg.run.look.play import play

        for _ in play(act, self._env, episodes=1):
            if stop.signal is not None:
                raise TrainingError("the run was stopped")
            try:
                picture: Any = self._env.render()
            except Exception as error:  # it is anybody's code
                raise TrainingError(f"{type(error).__name__}: {error}") from error
            yield picture


def prepare_films() -> None:
    """See that ffmpeg is there, and let environments that are made from now on draw.

    Raises
    ------
    UsageError : with what helps, if it is not.
    """
    from ddpg.run.look.display import prepare_rendering
    from ddpg.run.look.video import check_encoder

    check_encoder()
    prepare_rendering()


@contextmanager
def filming(config: TrainConfig, run_dir: Path, wanted: bool) -> Iterator[Films | None]:
    """The films of a run, which has drawn its environment once; None if they are not wanted.

    Raises
    ------
    UsageError : if there is nothing to film, or the environment can't be drawn.
    """
    if not wanted:
        yield None
        return
    from ddpg.run.look.play import PICTURES, rendered

    if config.eval_every == 0:
        raise UsageError("--video-every-eval films evaluations, and --eval-every 0 makes none")
    with rendered(config, PICTURES) as env:
        yield Films(env, run_dir / folder.VIDEOS)
