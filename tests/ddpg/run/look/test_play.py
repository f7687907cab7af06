import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

from ddpg.config import TrainConfig
from ddpg.errors import TrainingError, UsageError
from ddpg.run.evaluate import FIRST_SEED, evaluate
from ddpg.run.look import display
from ddpg.run.look import play as playing
from ddpg.run.look.display import check_display, prepare_rendering
from ddpg.run.look.play import PICTURES, WINDOW, play, rendered
from ddpg.spaces import make_env
from tests.ddpg.run.environments import Small

HERE = "tests.ddpg.run.look.drawn"
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def push(obs):
    return np.full(1, 0.3, np.float32)


@pytest.fixture
def headless(monkeypatch):
    """A machine without a display, on which nobody chose how to draw."""
    for name in (*DISPLAYS, "MUJOCO_GL", "SDL_VIDEODRIVER"):
        monkeypatch.setenv(name, "")  # so that what is set below is taken away afterwards
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "linux")


def test_the_episodes_are_those_of_an_evaluation():
    moments = list(play(push, make_env("Pendulum-v1"), 2))
    assert [(m.seed, m.steps) for m in moments] == [
        (seed, step) for seed in (FIRST_SEED, FIRST_SEED + 1) for step in range(201)
    ]
    ends = [m.total_reward for m in moments if m.last]
    assert ends == pytest.approx(evaluate(push, make_env("Pendulum-v1"), 2).tolist())
    assert str(moments[-1]) == f"seed 1001: return {ends[1]:,.1f} in 200 steps"


def test_an_endless_episode_is_cut_off():
    moments = list(play(push, make_env("Pendulum-v1"), 2, first_seed=3, longest=5))
    assert [(m.seed, m.steps, m.last) for m in moments[4:7]] == [
        (3, 4, False),
        (3, 5, True),
        (4, 0, False),
    ]


def test_an_environment_that_raises_is_named_with_the_place(monkeypatch):
    def fail(self, action):
        raise ValueError("worn\nout")

    monkeypatch.setattr(Small, "step", fail)
    with pytest.raises(TrainingError, match=r"raised ValueError in step 1 of .* seed 7: worn out$"):
        list(play(push, make_env("tests.ddpg.run.environments:Small-v0"), 1, 7))


@pytest.mark.parametrize(
    ("env_id", "mode", "message"),
    [
        ("tests.ddpg.run.environments:Small-v0", PICTURES, "has no render mode rgb_array: it has"),
        (f"{HERE}:Odd-v0", PICTURES, r"\(height, width, 3\) bytes, and it gives \(8, 8\) float64"),
        (f"{HERE}:Raising-v0", PICTURES, r"cannot be drawn: RuntimeError: no \[canvas\] here"),
        ("Nowhere-v0", PICTURES, "unknown environment"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(env_id, mode, message):
    config = TrainConfig(env_id=env_id)
    with pytest.raises(UsageError, match=message) as refused, rendered(config, mode):
        pytest.fail("was let in")
    assert "\n" not in str(refused.value)


def test_a_missing_pygame_is_said_with_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    monkeypatch.setattr(playing, "find_spec", lambda name: None)
    helps = pytest.raises(UsageError, match=r"pip install 'tinygrad-rl\[video\]' brings")
    with helps, rendered(TrainConfig(), PICTURES):
        pytest.fail("was let in")


def test_without_a_display_mujoco_draws_by_egl_unless_somebody_chose(headless, monkeypatch):
    prepare_rendering()
    assert os.environ["MUJOCO_GL"] == "egl"
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    prepare_rendering()
    assert os.environ["MUJOCO_GL"] == "osmesa"
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setenv("DISPLAY", ":0")
    prepare_rendering()
    assert "MUJOCO_GL" not in os.environ


def test_no_display_and_a_dead_one_are_told_apart(headless, monkeypatch):
    with pytest.raises(UsageError, match=r"there is no display .*DISPLAY is set; ddpg video"):
        check_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-7")
    monkeypatch.setattr(display, "_display_answers", lambda: False)
    with pytest.raises(UsageError, match="the display 'wayland-7' does not answer; ddpg video"):
        check_display()
    monkeypatch.setattr(display, "_display_answers", lambda: True)
    check_display()


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_some_systems_always_have_a_display(headless, monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    assert display.has_display()


def test_mujoco_that_cannot_draw_says_what_may_help():
    """In a process of its own: MuJoCo reads the variable once, when it is imported."""
    pytest.importorskip("mujoco")
    program = (
        "from ddpg.config import TrainConfig\n"
        "from ddpg.errors import UsageError\n"
        "from ddpg.run.look.play import rendered\n"
        "try:\n"
        "    with rendered(TrainConfig(env_id='Hopper-v5'), 'rgb_array'): pass\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "none such"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("\n") == 1
    assert "environment 'Hopper-v5' cannot be" in done.stdout
    assert "MUJOCO_GL=egl here: egl needs Debian's libegl1" in done.stdout
    assert done.stderr == ""


def test_a_window_needs_no_picture_beforehand():
    with contextlib.ExitStack() as stack:
        config = TrainConfig(env_id=f"{HERE}:Raising-v0")
        env = stack.enter_context(rendered(config, WINDOW))
        assert env.render_mode == "human"


def test_it_is_the_run_s_environment_that_is_drawn():
    config = TrainConfig(env_kwargs={"g": 3.0, "render_mode": "human", "max_episode_steps": 7})
    with rendered(config, PICTURES) as env:
        assert env.unwrapped.g == 3.0
        assert [m.steps for m in play(lambda obs: np.zeros(1), env, 1)] == list(range(8))
    made = TrainConfig(env_id="python:somewhere.make")
    with (
        pytest.raises(UsageError, match=r"made in Python, by somewhere\.make"),
        rendered(made, WINDOW),
    ):
        pytest.fail("was let in")
