import json
import subprocess
import sys

import pytest
from gymnasium.spaces import Box

from ddpg import TrainConfig
from ddpg.errors import UsageError
from ddpg.run.disk import folder
from ddpg.run.disk.saved_spaces import Spaces

CONFIGURATION = TrainConfig()
SPACES = Spaces(Box(-1, 1, (3,)), Box(-1, 1, (1,)))


def make(run_dir):
    with folder.locked(run_dir):
        folder.create(run_dir, CONFIGURATION, SPACES)


@pytest.mark.parametrize("held", ["config.json", "metrics.csv", "model.safetensors"])
def test_a_folder_with_a_run_is_refused_and_left_alone(tmp_path, held):
    (tmp_path / held).write_text("mine")
    with pytest.raises(UsageError, match=rf"already holds a run \({held}\).*--resume.*--run-dir"):
        folder.check_new(tmp_path)
    assert (tmp_path / held).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        folder.check_new(tmp_path / "run")
    with pytest.raises(UsageError, match="cannot be used for a run: Not a directory"):
        make(tmp_path / "run" / "below")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
@pytest.mark.parametrize("use", [folder.check_run, make])
def test_a_name_that_no_file_can_have_is_refused(tmp_path, name, use):
    with pytest.raises(UsageError, match=r"cannot be used for a run: |there is no run folder"):
        use(tmp_path / name)


def test_folders_are_made_and_other_peoples_files_are_no_obstacle(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "notes.txt").write_text("mine")
    make(tmp_path / "a")
    make(tmp_path / "b" / "c")
    assert json.loads((tmp_path / "b" / "c" / folder.CONFIG).read_text())["hidden"] == [64, 64]


@pytest.mark.parametrize("name", ["learning_curve.png", "checkpoint/replay.f32"])
def test_a_folder_in_the_place_of_a_file_is_noticed_before_the_work(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    with (
        pytest.raises(UsageError, match=f"{name} is a folder, where a file of this name goes"),
        folder.locked(tmp_path),
    ):
        pass


def test_only_one_process_writes_to_a_run(tmp_path):
    """The lock goes with the process that holds it."""
    hold = "import sys, pathlib; from ddpg.run.disk import folder\n"
    hold += "with folder.locked(pathlib.Path(sys.argv[1])): print('held', flush=True); input()\n"
    make(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", hold, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(UsageError, match=f"another process is writing to {tmp_path}"):
                make(tmp_path)
            with pytest.raises(UsageError, match="another"), folder.locked(tmp_path, to_read=True):
                raise AssertionError("not reached")
        finally:
            other.kill()
    with folder.locked(tmp_path):
        pass


def test_a_copy_is_complete_and_the_original_as_it_was(tmp_path):
    make(tmp_path / "a")
    (tmp_path / "a" / "checkpoint" / "replay.f32").write_bytes(b"1234")
    folder.copy(tmp_path / "a", tmp_path / "below" / "b")
    assert (tmp_path / "below" / "b" / "checkpoint" / "replay.f32").read_bytes() == b"1234"
    assert {p.name for p in (tmp_path / "below").iterdir()} == {"b"}
    with pytest.raises(UsageError, match="exists: name a new folder"):
        folder.copy(tmp_path / "a", tmp_path / "below" / "b")


def test_a_copy_into_itself_or_into_a_file_is_refused(tmp_path):
    make(tmp_path / "a")
    (tmp_path / "file").write_text("mine")
    for target in (
        tmp_path / "a",
        tmp_path / "a" / "below",
        tmp_path / "file",
        tmp_path / "file/x",
    ):
        with pytest.raises(UsageError):
            folder.copy(tmp_path / "a", target)
