import errno
import functools
import os
import shutil

import pytest

from ddpg.errors import TrainingError, UsageError
from tests.ddpg.run.faults import disk, fail, full, kill, short
from tests.ddpg.run.runs import (
    QUICKEST,
    assert_can_be_read,
    assert_same_run,
    begin,
    ended,
    forked,
    go_on,
    killed,
    place_of,
    without_drawing,
)

ONLY_SO_MANY = 9
"""Operations that fail in the tests which are not slow, spread over the run."""

EVERY_WAY = {
    "no space, once": fail(errno.ENOSPC),
    "input/output error": fail(errno.EIO),
    "short write": short,
    "disk full": full,
    "killed": kill,
}


@pytest.fixture(autouse=True)
def no_drawing():
    with without_drawing():
        yield


@pytest.fixture
def undisturbed(tmp_path):
    """A folder, and what was asked of the disk for it."""
    with disk(tmp_path / "undisturbed") as done:
        begin(tmp_path / "undisturbed", QUICKEST)
    assert "link" in done  # the best agent was replaced by a better one
    return tmp_path / "undisturbed", done


def carry_out(work, run_dir, at, how):
    """`work` on a faulty disk; an error is one of those that users are told in one line."""
    if EVERY_WAY[how] is kill:
        with disk(run_dir, at, kill):
            child = forked(work)
        assert ended(child) in (0, 77)
        return
    try:
        with disk(run_dir, at, EVERY_WAY[how]):
            work()
    except (OSError, TrainingError, UsageError) as error:
        assert "\n" not in str(error)


def try_one(tmp_path, undisturbed, at, how):
    run_dir = tmp_path / f"{at}"
    carry_out(functools.partial(begin, run_dir, QUICKEST), run_dir, at, how)
    assert_can_be_read(run_dir, whole=EVERY_WAY[how] is not kill)
    go_on(run_dir, QUICKEST)
    assert_same_run(run_dir, undisturbed)
    shutil.rmtree(run_dir)


def some(count):
    return sorted({round(k * (count - 1) / (ONLY_SO_MANY - 1)) + 1 for k in range(ONLY_SO_MANY)})


@pytest.mark.parametrize("how", EVERY_WAY)
def test_a_run_on_a_faulty_disk_can_be_read_and_continued(tmp_path, undisturbed, how):
    reference, done = undisturbed
    for at in some(len(done)):
        try_one(tmp_path, reference, at, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["input/output error", "disk full", "killed"])
def test_whatever_operation_goes_wrong(tmp_path, undisturbed, how):
    reference, done = undisturbed
    for at in range(1, len(done) + 1):
        try_one(tmp_path, reference, at, how)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["input/output error", "killed"])
def test_whatever_operation_goes_wrong_while_a_run_goes_on(tmp_path, undisturbed, how):
    """From step 20, of a folder as a kill leaves it: with rows and parts behind what counts."""
    reference, _ = undisturbed
    started = tmp_path / "started"
    killed(started, QUICKEST, at=33)
    (started / ".config.json.1.2.part").write_text("{")
    assert place_of(started)["step"] == 20
    shutil.copytree(started, tmp_path / "counted")
    with disk(tmp_path / "counted") as done:
        go_on(tmp_path / "counted", QUICKEST)
    assert_same_run(tmp_path / "counted", reference)
    for at in range(1, len(done) + 1):
        run_dir = tmp_path / f"{at}"
        shutil.copytree(started, run_dir)
        carry_out(lambda run_dir=run_dir: go_on(run_dir, QUICKEST), run_dir, at, how)
        assert_can_be_read(run_dir, whole=EVERY_WAY[how] is not kill)
        go_on(run_dir, QUICKEST)
        assert_same_run(run_dir, reference)
        shutil.rmtree(run_dir)


def test_the_faulty_disk_is_noticed(tmp_path):
    """Each way does what it says."""
    path = tmp_path / "file"

    def write(text=b"four"):
        with open(path, "wb") as file:
            file.write(text)

    with disk(tmp_path) as done:
        write()
        number = os.open(path, os.O_RDWR)
        os.fsync(number)
        os.close(number)
    assert done == ["open", "write", "close", "open", "fsync", "close"]
    with disk(tmp_path, 2, fail(errno.EIO)), pytest.raises(OSError, match="Input/output"):
        write()
    with disk(tmp_path, 2, short):
        write()
    assert path.read_bytes() == b"four"
    with disk(tmp_path, 2, full), pytest.raises(OSError, match="No space"):
        write()
    assert path.read_bytes() == b"fo"
    with disk(tmp_path, 2, kill):
        child = forked(lambda: write(b"sixsix"))
    assert ended(child) == 77
    assert path.read_bytes() == b"six"
