import sys

import numpy as np
import pytest

from ddpg import TrainConfig, cli
from ddpg.errors import UsageError
from ddpg.run import runs
from ddpg.run.disk import folder
from ddpg.run.look import films, play, video
from ddpg.run.process import Stop
from tests.ddpg.run.look.drawn import GRAY
from tests.ddpg.run.look.test_video import seen
from tests.ddpg.run.runs import config, files_of, killed, quiet

pytest.importorskip("imageio_ffmpeg")
HERE = "tests.ddpg.run.look.drawn"
SHORT = {"total_timesteps": 40, "eval_every": 15, "eval_episodes": 1, "warmup_steps": 30}


pytestmark = pytest.mark.usefixtures("no_drawing")


def settings(kind="Drawn", **changes):
    usual = config(**SHORT | changes)
    return TrainConfig(**{**vars(usual), "env_id": f"{HERE}:{kind}-v0"})


def videos(run_dir):
    return sorted(path.name for path in (run_dir / folder.VIDEOS).iterdir())


def without_films(run_dir):
    found = files_of(run_dir).items()
    return {name: data for name, data in found if not name.startswith(folder.VIDEOS)}


def test_each_evaluation_has_a_film_and_the_run_is_the_same(tmp_path):
    runs.train(settings(), tmp_path / "a", quiet(), films=True)
    runs.train(settings(), tmp_path / "b", quiet())
    assert videos(tmp_path / "a") == [f"step-0000000{step}.mp4" for step in (15, 30, 40)]
    for name in videos(tmp_path / "a"):
        duration, grays = seen(tmp_path / "a" / folder.VIDEOS / name)
        assert grays == pytest.approx([GRAY * step for step in range(10)], abs=3)
        assert duration == pytest.approx(1.0)
    assert without_films(tmp_path / "a") == files_of(tmp_path / "b")


def test_a_film_shows_the_agent_of_its_step(tmp_path, monkeypatch):
    """Its actions, on the first start state of the evaluation."""
    played, acted = [], []
    original = play.play

    def spied(act, env, episodes):
        played.append([act(obs) for obs in np.eye(2)])
        return original(act, env, episodes)

    def evaluated(agent, *_, **__):
        acted.append([agent.act(obs) for obs in np.eye(2)])
        return evaluate_agent(agent, *_, **__)

    evaluate_agent = runs.Loop.__init__.__globals__["evaluate_agent"]
    monkeypatch.setattr(play, "play", spied)
    monkeypatch.setattr("ddpg.run.loop.evaluate_agent", evaluated)
    runs.train(settings(), tmp_path / "a", quiet(), films=True)
    assert len(played) == 3
    assert np.array_equal(played, acted)
    assert not np.array_equal(played[1], played[2])


def test_a_killed_run_that_goes_on_has_the_films_of_its_evaluations(tmp_path):
    killed(tmp_path / "a", settings(checkpoint_every=20), 35)
    place = tmp_path / "a" / folder.VIDEOS
    place.mkdir()
    for step in (15, 30, 34):
        (place / f"step-0000000{step}.mp4").write_bytes(b"before")
    (place / "mine.mp4").write_bytes(b"mine")
    runs.resume(tmp_path / "a", console=quiet(), films=True)
    assert videos(tmp_path / "a")[1:] == [f"step-0000000{step}.mp4" for step in (15, 30, 40)]
    assert (place / "step-000000015.mp4").read_bytes() == b"before"  # of before the checkpoint
    assert len(seen(place / "step-000000030.mp4")[1]) == 10
    assert (place / "mine.mp4").read_bytes() == b"mine"
    # The evaluation at the end was none of a longer run.
    longer = settings(checkpoint_every=20, total_timesteps=50)
    runs.resume(tmp_path / "a", longer, console=quiet(), films=True)
    assert videos(tmp_path / "a")[1:] == [f"step-0000000{step}.mp4" for step in (15, 30, 45, 50)]
    runs.resume(tmp_path / "a", None, tmp_path / "b", quiet(), films=True)
    assert videos(tmp_path / "b") == videos(tmp_path / "a")


def test_a_film_that_fails_ends_no_run(tmp_path, monkeypatch):
    console = quiet()

    def fail(*_):
        raise OSError("no [space]\nleft")

    monkeypatch.setattr(video, "_encode", fail)
    runs.train(settings(), tmp_path / "a", console, films=True)
    runs.train(settings(), tmp_path / "b", quiet())
    lines = [line for line in console.file.getvalue().splitlines() if "film" in line]
    assert lines == [
        f"step {step}: no film: ffmpeg could not encode the film: no [space]"
        for step in (15, 30, 40)
    ]
    assert without_films(tmp_path / "a") == files_of(tmp_path / "b")
    assert videos(tmp_path / "a") == []


def test_an_environment_that_fails_to_draw_later_ends_no_run(tmp_path, monkeypatch):
    console = quiet()
    drawn = []

    def render(self):
        drawn.append(self.count)
        if len(drawn) > 3:
            raise RuntimeError("no canvas")
        return np.zeros((32, 32, 3), np.uint8)

    monkeypatch.setattr("tests.ddpg.run.look.drawn.Drawn.render", render)
    runs.train(settings(), tmp_path / "a", console, films=True)
    assert "step 15: no film: RuntimeError: no canvas\n" in console.file.getvalue()
    assert videos(tmp_path / "a") == []


def test_who_stops_a_run_does_not_wait_for_a_film(tmp_path):
    said, stop = [], Stop()

    def act(obs):
        stop.signal = 2
        return np.zeros(1)

    with films.filming(settings(), tmp_path, wanted=True) as camera:
        camera.take(act, 15, stop, said.append)
    assert said == ["step 15: no film: the run was stopped"]
    assert videos(tmp_path) == []


@pytest.mark.parametrize("flag", ["--every-eval", "--video-every-eval"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--env-id", f"{HERE}:Odd-v0"), "cannot be drawn: a picture is (height, width, 3) bytes"),
        (("--env-id", "tests.ddpg.run.environments:Small-v0"), "has no render mode rgb_array"),
        (("--env-id", f"{HERE}:Drawn-v0", "--eval-every", "0"), "--eval-every 0 makes none"),
    ],
)
def test_what_cannot_be_filmed_is_said_before_anything_is_written(
    tmp_path, monkeypatch, capsys, flag, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", flag, *arguments])
    out, err = capsys.readouterr()
    assert (end.value.code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_cannot_be_filmed_is_not_made(tmp_path):
    runs.train(settings("Odd"), tmp_path / "a", quiet())
    before = files_of(tmp_path / "a")
    for copy in (tmp_path / "b", None):
        with pytest.raises(UsageError, match="cannot be drawn"):
            runs.resume(tmp_path / "a", None, copy, quiet(), films=True)
    assert files_of(tmp_path / "a") == before
    assert not (tmp_path / "b").exists()


def test_a_missing_encoder_is_said_with_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"pip install 'tinygrad-rl\[video\]'"):
        runs.train(settings(), tmp_path / "a", quiet(), films=True)
    assert list(tmp_path.iterdir()) == []
