"""An agent at play where it can be seen: in a window, or as pictures.

    with rendered(config, "rgb_array") as env:
        for moment in play(agent.act, env, episodes=1):
            picture = env.render()

A drawing library that is missing, pictures that are none: each is one line with what helps.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from ddpg.config import TrainConfig
from ddpg.errors import UsageError, counted, in_one_line, kind, shown
from ddpg.run.environments import one
from ddpg.run.evaluate import FIRST_SEED, LONGEST, Act, environment_failed
from ddpg.run.look.display import BACKEND
from ddpg.spaces import Env, begun, make_env, stepped

WINDOW, PICTURES = "human", "rgb_array"
"""Render modes of gymnasium."""
MISSING = "pip install 'tinygrad-rl[video]' brings what is missing"
"""Said of the libraries that draw and encode."""


class Moment(NamedTuple):
    """A state of an episode.

    Attributes
    ----------
    seed : of the episode.
    steps : since its start state, which comes first, with 0.
    total_reward : so far.
    last : whether the episode ends here.
    """

    seed: int
    steps: int
    total_reward: float
    last: bool

    def __str__(self) -> str:
        return f"seed {self.seed}: return {self.total_reward:,.1f} in {counted(self.steps, 'step')}"


def play(
    act: Act, env: Env, episodes: int, first_seed: int = FIRST_SEED, longest: int = LONGEST
) -> Iterator[Moment]:
    """Every state of these episodes, the same ones that `evaluate` plays, as it is reached.

    Parameters
    ----------
    act, env, episodes, first_seed : as in `evaluate`.
    longest : steps after which an episode that has not ended ends.

    Raises
    ------
    TrainingError : if the environment raises, with the episode's seed and the step.
    """
    for seed in range(first_seed, first_seed + episodes):
        steps, total, ended = 0, 0.0, False
        try:
            obs = begun(env.reset(seed=seed))
        except (Exception, SystemExit) as error:
            raise environment_failed(error, 0, seed) from error
        yield Moment(seed, steps, total, ended)
        while not ended:
            try:
                obs, reward, terminated, truncated = stepped(env.step(act(obs)))
                total += reward
            except (Exception, SystemExit) as error:
                raise environment_failed(error, steps + 1, seed) from error
            steps += 1
            ended = terminated or truncated or steps >= longest
            yield Moment(seed, steps, total, ended)


@contextmanager
def rendered(config: TrainConfig, mode: str) -> Iterator[Env]:
    """An environment that draws itself; it has done so once, and is closed at the end.

    Parameters
    ----------
    config : of the run in it.
    mode : `WINDOW` or `PICTURES`.

    Raises
    ------
    UsageError : if it can't be drawn; the message says what is missing.
    """
    with closing(_made(config, mode)) as env:
        with _one_complaint():
            try:
                env.reset(seed=FIRST_SEED)
                problem = _picture_problem(env.render()) if mode == PICTURES else None
            except Exception as error:
                said = in_one_line(f"{type(error).__name__}: {error}", longest=300)
                problem = f"{said}{_way_out(error)}"
        if problem:
            raise UsageError(f"environment {shown(config.env_id)} cannot be drawn: {problem}")
        yield env


def _made(config: TrainConfig, mode: str) -> Env:
    try:
        with one(config) as plain:
            modes = plain.metadata.get("render_modes") or []
        # gymnasium itself opens a window for what gives pictures alone.
        if {mode, PICTURES} & {*modes}:
            return make_env(config.env_id, {**config.env_kwargs, "render_mode": mode})
    except UsageError as error:
        raise UsageError(f"{error}{_way_out(error)}") from error
    known = f"its render modes are {', '.join(map(str, modes))}" if modes else "it has none"
    raise UsageError(f"environment {shown(config.env_id)} has no render mode {mode}: {known}")


@contextmanager
def _one_complaint() -> Iterator[None]:
    """What glfw warns of, and half-made contexts of MuJoCo as they go, is said by the error."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        sys.unraisablehook = hook


def _picture_problem(picture: object) -> str | None:
    if not isinstance(picture, np.ndarray):
        return f"it gives {kind(picture)} for a picture"
    if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3:
        return None
    return f"a picture is (height, width, 3) bytes, and it gives {picture.shape} {picture.dtype}"


def _way_out(error: Exception) -> str:
    """What may help, by what has been loaded so far."""
    if "pygame" in str(error) and find_spec("pygame") is None:
        return f"; {MISSING}"
    if any(name.startswith("mujoco") for name in sys.modules):
        chosen = os.environ.get(BACKEND)
        return (
            f"; MuJoCo draws by {BACKEND}={chosen or 'glfw'} here: egl needs Debian's libegl1 and "
            "libgl1-mesa-dri, osmesa needs libosmesa6, and the other one may work"
        )
    return ""
