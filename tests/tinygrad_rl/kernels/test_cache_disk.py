"""A disk that is full, read-only or gone costs one warning, and never the program."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tinygrad_rl.kernels.cached import SOURCE, again, finish, only, start
from tinygrad_rl.kernels import cache, place, private, seal

KERNELS = 3
"""Different ones that a process loads: one warning is enough for all."""


def load_all() -> None:
    for k in range(KERNELS):
        module = cache.load(SOURCE.replace("0.25", f"{k}.25"), f"probe_{k}")
        out, x = np.zeros(1), np.ones(1)
        module.kernel(out, x)
        assert out == 3 + k + 0.25


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A mounted file system, whose size the test sets."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def limit(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYGRAD_RL_CACHE", str(folder))
    place._configured.cache_clear()


# From what holds not even a file, over what holds the source, the bytecode, the index, to what
# lacks a page for the seal of the last kernel.
FULL = [f"size={4 * pages}k" for pages in (1, 2, 3, 4, 5, 8, 12, 20)]
FULL += [f"nr_inodes={count}" for count in (1, 2, 3, 4, 5, 6, 7, 8, 12)]


@pytest.mark.parametrize("full", FULL)
def test_a_full_disk_costs_one_warning(
    folder: Path, small: Path, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(small, full)
    use(small / "cache", monkeypatch)
    with pytest.warns(RuntimeWarning, match="every process will compile anew") as said:
        load_all()
    assert len(said) == 1
    assert "TINYGRAD_RL_CACHE" in str(said[0].message) and str(small) in str(said[0].message)
    assert not list(small.rglob("*.tmp.*")) and not list(small.rglob("*.part"))


def test_a_full_disk_is_no_matter_to_what_is_compiled(
    folder: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, small / "cache")
    filler = small / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    use(small / "cache", monkeypatch)
    assert again() is True


@pytest.mark.parametrize("filled", [True, False])
def test_a_read_only_disk_costs_one_warning(
    folder: Path, small: Path, filled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filled:
        shutil.copytree(folder, small / "cache")
    limit(small, "ro")
    use(small / "cache", monkeypatch)
    with pytest.warns(RuntimeWarning, match="every process will compile anew"):
        load_all()
    assert cache.cache_dir() == place._temporary()


# Source, bytecode and index are larger than 100, 300 and 1,400 bytes, machine code than 6,000.
@pytest.mark.parametrize("size", [0, 100, 300, 1000, 1400, 6000])
def test_no_file_can_be_written_anywhere(folder: Path, tmp_path: Path, size: int) -> None:
    """Nor in the folder for temporary files: code is compiled in memory."""
    before = f"import resource as r; r.setrlimit(r.RLIMIT_FSIZE, ({size}, {size}))\n"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": ""}
    hit, said = finish(start(folder.parent / "new", before, **environment))
    assert not hit and said.count("RuntimeWarning") == 1 and "File too large" in said
    assert not list(temporary.iterdir())
    assert not [f for f in (folder.parent / "new").rglob("*.nb?") if f.is_file()]


def test_there_is_no_folder_for_temporary_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.chmod(0o777)

    def fail(**options: object) -> str:
        raise FileNotFoundError(errno.ENOENT, "no usable temporary directory")

    monkeypatch.setattr(place.tempfile, "mkdtemp", fail)
    with pytest.warns(RuntimeWarning, match="every process will compile anew") as said:
        load_all()
    assert len(said) == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("moment", ["source", "bytecode", "machine code", "seal", "lock"])
def test_an_error_at_any_moment_costs_one_warning(
    folder: Path, moment: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder)

    def fail(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    where, name = {
        "source": (seal, "write_source"),
        "bytecode": (cache, "write_atomically"),
        "machine code": (cache.numba.core.caching.IndexDataCacheFile, "_save_data"),
        "seal": (seal, "seal"),
        "lock": (cache, "_alone"),
    }[moment]
    monkeypatch.setattr(where, name, fail)
    with pytest.warns(RuntimeWarning, match="every process will compile anew") as said:
        load_all()
    assert len(said) == 1 and os.strerror(code) in str(said[0].message)


def test_a_lock_that_is_not_to_be_had_costs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(cache.fcntl, "flock", fail)
    assert again() is True


def test_where_warnings_are_errors_the_next_call_works(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.chmod(0o777)
    with pytest.raises(RuntimeWarning, match="chmod"):
        again()
    assert again() is True


def test_a_folder_that_is_cleared_while_the_program_runs_is_made_again(folder: Path) -> None:
    assert again() is True
    shutil.rmtree(folder)
    assert again() is False
    assert again() is True
    assert private.read(only(folder, "probe*.py")) == SOURCE.encode()


def test_the_fault_of_a_source_is_reported_once_and_costs_no_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    wrong = SOURCE.replace("x[i]", "y[i]")
    monkeypatch.setattr(cache, "_in_memory", lambda *args: calls.append("in memory"))
    with pytest.raises(cache.NumbaError, match="y"):
        cache.load(wrong, "probe")
    assert not calls and cache.cache_dir() == folder


def test_a_kernel_in_memory_can_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(cache, "cache_dir", fail)
    module = cache.load(SOURCE, "probe")
    assert "3 * x[i]" in cache.linecache.getline(module.__file__, 7, vars(module))
    cache.release(module)
