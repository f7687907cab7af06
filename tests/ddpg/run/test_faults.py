import errno
import os
import re
import shutil

import pytest

from ddpg.errors import TrainingError, UsageError
from tests.ddpg.run.faults import disk, fail, full, kill, photographed, short
from tests.ddpg.run.runs import (
    QUICKEST,
    assert_can_be_read,
    assert_same_run,
    ended,
    files_of,
    forked,
    go_on,
    killed,
    place_of,
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


pytestmark = pytest.mark.usefixtures("no_drawing")


@pytest.fixture
def undisturbed(tmp_path):
    """A folder, and how much was asked of the disk for it."""
    with disk(tmp_path / "undisturbed") as done:
        go_on(tmp_path / "undisturbed", QUICKEST)
    assert "link" in done  # the best agent was replaced by a better one
    return tmp_path / "undisturbed", len(done)


def carry_out(run_dir, at, how):
    """Go on with a faulty disk; an error is one of those that users are told in one line."""
    if EVERY_WAY[how] is kill:
        with disk(run_dir, at, kill):
            child = forked(lambda: go_on(run_dir, QUICKEST))
        assert ended(child) in (0, 77)
        return
    try:
        with disk(run_dir, at, EVERY_WAY[how]):
            go_on(run_dir, QUICKEST)
    except (OSError, TrainingError, UsageError) as error:
        assert "\n" not in str(error)


def try_each(run_dir, reference, numbers, how, started=None):
    """For each number: go on with the n-th operation faulty, look at the run, and go on."""
    seen = []
    for at in numbers:
        if started is not None:
            shutil.copytree(started, run_dir)
        carry_out(run_dir, at, how)
        look_and_go_on(run_dir, reference, seen, whole=EVERY_WAY[how] is not kill)
        shutil.rmtree(run_dir, ignore_errors=True)
    assert len(seen) > 3 or how == "short write"  # which does no harm


def look_and_go_on(run_dir, reference, seen, whole):
    """Unless one like this was seen before."""
    if (left := without_numbers(files_of(run_dir))) not in seen:
        seen.append(left)
        assert_can_be_read(run_dir, whole)
        go_on(run_dir, QUICKEST)
        assert_same_run(run_dir, reference)


def without_numbers(contents):
    """Parts have the number of the process in their names."""
    return {re.sub(r"\.\d+\.\d+\.part$", ".part", name): contents[name] for name in contents}


def some(count):
    return sorted({round(k * (count - 1) / (ONLY_SO_MANY - 1)) + 1 for k in range(ONLY_SO_MANY)})


@pytest.fixture
def started(tmp_path, undisturbed):
    """A run as a kill leaves it: with rows and parts behind the checkpoint of step 20."""
    started = tmp_path / "started"
    killed(started, QUICKEST, at=33)
    assert place_of(started)["step"] == 20
    (started / ".config.json.1.2.part").write_text("{")
    return started


@pytest.mark.parametrize("how", EVERY_WAY)
def test_a_run_on_a_faulty_disk_can_be_read_and_continued(tmp_path, undisturbed, how):
    reference, count = undisturbed
    try_each(tmp_path / "run", reference, some(count), how)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["input/output error", "disk full"])
def test_whatever_operation_goes_wrong(tmp_path, undisturbed, how):
    reference, count = undisturbed
    try_each(tmp_path / "run", reference, range(1, count + 1), how)


@pytest.mark.slow
def test_whatever_operation_goes_wrong_while_a_run_goes_on(tmp_path, undisturbed, started):
    reference, _ = undisturbed
    shutil.copytree(started, tmp_path / "counted")
    with disk(tmp_path / "counted") as done:
        go_on(tmp_path / "counted", QUICKEST)
    numbers = range(1, len(done) + 1)
    try_each(tmp_path / "run", reference, numbers, "input/output error", started)


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True])
def test_killed_at_whatever_operation(tmp_path, undisturbed, started, begun):
    reference, _ = undisturbed
    run_dir, album, seen = tmp_path / "run", tmp_path / "album", []
    if begun:
        shutil.copytree(started, run_dir)
    else:
        run_dir.mkdir()
    with disk(run_dir, 1, photographed(run_dir, album)) as done:
        go_on(run_dir, QUICKEST)
    assert_same_run(run_dir, reference)
    for number in range(1, len(done) + 1):
        look_and_go_on(album / f"{number}", reference, seen, whole=False)
    assert len(seen) > 20


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
