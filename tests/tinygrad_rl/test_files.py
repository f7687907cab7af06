"""Files appear whole or not at all, outlive a power cut where asked, and leave nothing else."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from tinygrad_rl import files


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "curve.svg"
    files.write_atomically(path, b"old")
    files.write_atomically(str(path), b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(TypeError):
        files.write_atomically(path, "text")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        files.write_atomically(tmp_path / "none" / "curve.svg", b"")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


class Disk:
    """Records what reaches the disk in which order; a call can be made to fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}  # call -> errno
        fsync, replace = os.fsync, os.replace

        def watched_fsync(handle: int) -> None:
            status = os.fstat(handle)
            self.record("sync folder" if stat.S_ISDIR(status.st_mode) else "sync file")
            fsync(handle)

        def watched_replace(source: Path, target: Path) -> None:
            self.record("replace")
            replace(source, target)

        monkeypatch.setattr(os, "fsync", watched_fsync)
        monkeypatch.setattr(os, "replace", watched_replace)

    def record(self, call: str) -> None:
        self.calls.append(call)
        if call in self.failing:
            raise OSError(self.failing[call], os.strerror(self.failing[call]))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_name_reaches_the_disk_after_what_it_names(tmp_path: Path, disk: Disk) -> None:
    files.write_atomically(tmp_path / "a", b"data", durable=True)
    assert disk.calls == ["sync file", "replace", "sync folder"]
    disk.calls.clear()
    files.write_atomically(tmp_path / "a", b"data")
    assert disk.calls == ["replace"]


@pytest.mark.parametrize("call", ["sync file", "replace"])
def test_a_disk_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, disk: Disk, call: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    disk.failing[call] = errno.ENOSPC
    with pytest.raises(OSError, match="No space left") as raised:
        files.write_atomically(path, b"new", durable=True)
    assert raised.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_that_cannot_sync_folders_is_no_error_but_a_failing_disk_is(
    tmp_path: Path, disk: Disk
) -> None:
    disk.failing["sync folder"] = errno.EINVAL
    files.write_atomically(tmp_path / "a", b"data", durable=True)
    disk.failing["sync folder"] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        files.write_atomically(tmp_path / "a", b"data", durable=True)


def test_parts_of_killed_processes_are_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        patch.setattr(Path, "unlink", lambda *args, **options: None)
        with pytest.raises(KeyboardInterrupt):
            files.write_atomically(tmp_path / "model.safetensors", b"half")
    left = f".model.safetensors.{os.getpid()}.{threading.get_ident()}.part"
    assert [f.name for f in tmp_path.iterdir()] == [left]
    kept = {"model.safetensors", ".notes.part", "a.1.2.part", ".a.1.part", ".a.1.2.part.txt"}
    for name in kept:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / ".a.1.2.part").mkdir()
    files.remove_parts(tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == kept | {".a.1.2.part"}


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # which nobody will ever write into
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        message = f"{path} is a device or a pipe"
        with pytest.raises(ValueError, match=message), files.open_regular(path):
            pass
    with pytest.raises(IsADirectoryError), files.open_regular(tmp_path):
        pass
