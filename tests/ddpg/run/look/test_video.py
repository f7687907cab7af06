import gc
import re
import subprocess
import sys

import numpy as np
import pytest

from ddpg import cli
from ddpg.errors import TrainingError, UsageError
from ddpg.run.disk import folder
from ddpg.run.look import display
from ddpg.run.look import play as playing
from ddpg.run.look.video import check_encoder, film
from tests.ddpg.run.look.drawn import GRAY
from tests.ddpg.run.runs import begin, config, without_drawing

encoder = pytest.importorskip("imageio_ffmpeg")
HERE = "tests.ddpg.run.look.drawn"


def seen(path):
    """The film as ffmpeg reads it: its duration in seconds, and the mean gray of each picture."""
    raw = ("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    done = subprocess.run(
        [encoder.get_ffmpeg_exe(), "-i", path, *raw], capture_output=True, check=True
    )
    said = done.stderr.decode()
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said).groups()
    width, height = map(int, re.search(r"Video: .*?, (\d+)x(\d+)", said).groups())
    grays = np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width).mean(axis=(1, 2))
    return float(seconds) + 60 * int(minutes) + 3600 * int(hours), grays


@pytest.fixture
def run(capsys, monkeypatch, tmp_path):
    """A command about a short run in `Drawn`: its status, standard output, standard error."""
    settings = config(total_timesteps=30, eval_every=15)
    settings = type(settings)(**{**vars(settings), "env_id": f"{HERE}:Drawn-v0"})
    with without_drawing():
        begin(tmp_path / "run", settings)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        return end.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("ending", [".mp4", ".gif", ".GIF"])
def test_a_film_has_every_picture_in_its_order_at_its_time(run, tmp_path, ending):
    status, out, err = run("video", "run", "--episodes", "2", "--seed", "7", "-o", f"out{ending}")
    assert (status, err) == (0, "")
    assert out == (
        "seed 7: return 45.0 in 9 steps\nseed 8: return 45.0 in 9 steps\n"
        f"The film is {tmp_path / 'out'}{ending}\n"
    )
    duration, grays = seen(tmp_path / f"out{ending}")
    assert grays == pytest.approx([GRAY * step for step in range(10)] * 2, abs=3)
    assert duration == pytest.approx(2.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"out{ending}", "run"]


def test_the_film_lies_in_the_run_by_default_and_replaces_the_one_before(run, tmp_path):
    (tmp_path / "run/video.mp4").write_bytes(b"before")
    before = sorted((tmp_path / "run").iterdir())
    assert run("video", "run", "--best")[0] == 0
    assert len(seen(tmp_path / "run/video.mp4")[1]) == 10
    assert sorted((tmp_path / "run").iterdir()) == before


def test_a_gif_of_a_fast_environment_leaves_pictures_out(tmp_path):
    pictures = [np.full((8, 8, 3), 10 * i, np.uint8) for i in range(13)]
    film(iter(pictures), 125.0, tmp_path / "a.gif")
    duration, grays = seen(tmp_path / "a.gif")
    assert grays == pytest.approx([0, 30, 60, 90, 120], abs=1)
    assert duration == pytest.approx(13 / 125, abs=0.03)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no run folder"),
        (("run", "--episodes", "0"), "--episodes must be 1 or more, got 0"),
        (("run", "--seed", "-1"), "--seed must be 0 or more, got -1"),
        (("run", "-o", "a.avi"), "a film ends in .mp4 or .gif: call it a.mp4, not a.avi"),
        (("run", "-o", "run"), "is a folder; --output takes a file"),
        (("run", "-o", "no/a.mp4"), "there is no folder"),
    ],
)
def test_what_cannot_be_filmed_is_said_in_one_line_and_nothing_is_written(
    run, tmp_path, arguments, message
):
    status, out, err = run("video", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_missing_encoder_is_said_with_what_brings_it(run, tmp_path, monkeypatch):
    before = sorted((tmp_path / "run").iterdir())
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/bin/false")
    encoder._utils._get_ffmpeg_exe.cache_clear()
    status, _, err = run("video", "run")
    assert status == 2
    assert err.startswith("error: no film without ffmpeg: imageio-ffmpeg finds none that runs")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"pip install 'tinygrad-rl\[video\]'"):
        check_encoder()
    assert sorted((tmp_path / "run").iterdir()) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_encoder_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr("ddpg.run.look.video._FORMS", {".mp4": {"codec": "no such"}})
    (tmp_path / "a.mp4").write_bytes(b"before")
    with pytest.raises(TrainingError, match="ffmpeg could not encode the film: ") as failed:
        film(iter([np.zeros((64, 64, 3), np.uint8)] * 500), 30.0, tmp_path / "a.mp4")
    assert "\n" not in str(failed.value)
    assert (tmp_path / "a.mp4").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1
    del failed
    gc.collect()  # imageio-ffmpeg leaves the pipe to a dead encoder open


def test_an_agent_is_watched_in_a_window_until_it_has_played_or_ctrl_c(run, monkeypatch):
    monkeypatch.setattr(display, "check_display", lambda: None)
    assert run("watch", "run", "--episodes", "2") == (
        0,
        "seed 1000: return 45.0 in 9 steps\nseed 1001: return 45.0 in 9 steps\n",
        "",
    )

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(playing, "play", interrupt)
    assert run("watch", "run") == (0, "closed by Ctrl-C\n", "")


def test_without_a_display_nothing_is_watched(run, monkeypatch):
    monkeypatch.setattr(display, "has_display", lambda: False)
    status, out, err = run("watch", "run")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "there is no display" in err
    assert "ddpg video makes a film without one" in err


def test_the_best_agent_is_asked_for_by_name(run, tmp_path):
    (tmp_path / "run" / folder.BEST).unlink()
    status, _, err = run("video", "run", "--best")
    assert status == 2
    assert "no evaluation was made yet" in err
