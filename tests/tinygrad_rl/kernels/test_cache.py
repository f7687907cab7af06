"""Compiled kernels on disk: shared by processes, verified before they run, rebuilt when damaged."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tinygrad_rl.kernels.cached import SOURCE, again, finish, only, run, start
from tinygrad_rl import files
from tinygrad_rl.kernels import cache


def test_the_second_process_compiles_nothing(folder: Path) -> None:
    assert run(folder) is True


DAMAGE = ["flipped", "cut", "empty", "foreign", "gone", "folder", "full folder", "link", "pipe"]


def damage(file: Path, how: str) -> None:
    data = file.read_bytes()
    middle = len(data) // 2
    file.unlink()
    match how:
        case "flipped":
            file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        case "cut":
            file.write_bytes(data[:middle])
        case "empty":
            file.write_bytes(b"")
        case "foreign":
            file.write_bytes(b"not what was here")
        case "folder":
            file.mkdir()
        case "full folder":
            file.mkdir()
            (file / "something").write_bytes(data)
        case "link":
            (file.parent / "elsewhere").write_bytes(data)
            file.symlink_to(file.parent / "elsewhere")
        case "pipe":
            os.mkfifo(file)


@pytest.mark.parametrize("pattern", ["*.py", "*.pyc", "*.nbc", "*.nbi", "*.seal"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_made_anew_once_with_a_warning(
    folder: Path, pattern: str, how: str, recwarn: pytest.WarningsRecorder
) -> None:
    damage(only(folder, f"probe{pattern}"), how)
    # The source is written again; what was compiled from it is known by its text.
    assert again() is (pattern == "*.py")
    said = [str(w.message) for w in recwarn]
    assert len(said) == (how != "gone") and all("compiled anew" in message for message in said)
    assert again() is True
    assert only(folder, "probe*.py").read_text() == SOURCE
    assert len(recwarn) == len(said)


@pytest.mark.parametrize("place", ["file", "link"])
def test_a_damaged_folder_of_code_is_made_anew(folder: Path, place: str) -> None:
    code = folder / "__pycache__"
    code.rename(folder / "elsewhere")
    code.symlink_to(folder / "nowhere") if place == "link" else code.write_bytes(b"")
    assert again() is False
    assert again() is True


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"a.nbi": "0"}', "5", "[" * 100_000])
@pytest.mark.filterwarnings("ignore:files of")
def test_a_damaged_seal_is_renewed(folder: Path, text: str) -> None:
    only(folder, "probe*.seal").write_text(text)
    assert again() is False
    assert again() is True


@pytest.mark.slow
def test_two_processes_at_once_compile_it_once(tmp_path: Path) -> None:
    hits = [finish(p)[0] for p in [start(tmp_path), start(tmp_path), start(tmp_path)]]
    assert sorted(hits) == [False, True, True]
    assert run(tmp_path) is True


@pytest.mark.slow
def test_a_killed_process_leaves_a_cache_that_works(tmp_path: Path) -> None:
    for delay in (0.0, 0.05, 0.1):
        process = start(tmp_path)
        while process.poll() is None and not list(tmp_path.glob("probe*.py")):
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run(tmp_path)
    assert run(tmp_path) is True


def test_a_folder_that_cannot_be_written_is_replaced_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    hit, said = finish(start(tmp_path / "file" / "cache"))
    assert not hit and "TINYGRAD_RL_CACHE" in said and "compile anew" in said


def test_numba_keeps_nothing_elsewhere(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in another folder is not verified."""
    monkeypatch.setattr(cache.numba.config, "CACHE_DIR", str(tmp_path / "numba"))
    assert again() is True
    assert str(tmp_path / "numba") == cache.numba.config.CACHE_DIR
    assert run(folder, NUMBA_CACHE_DIR=str(tmp_path / "numba")) is True
    assert not (tmp_path / "numba").exists()


def test_the_name_depends_on_versions_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    here = cache._environment.__wrapped__()
    monkeypatch.setattr(cache.numba, "__version__", "0.0.1")
    other = cache._environment.__wrapped__()
    monkeypatch.undo()
    monkeypatch.setattr(cache.llvmlite.binding, "get_host_cpu_name", lambda: "z80")
    assert len({here, other, cache._environment.__wrapped__()}) == 3


def test_an_error_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    files.write_atomically(path, b"old")

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(cache.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [f.name for f in tmp_path.iterdir()] == ["state"]


def test_the_seal_lists_every_compiled_file(folder: Path) -> None:
    sealed = json.loads(only(folder, "probe*.seal").read_text())
    assert set(sealed) == {f.name for f in (folder / "__pycache__").iterdir()}
    assert {Path(name).suffix for name in sealed} == {".nbi", ".nbc", ".pyc"}


SCIPY = """
import sys
import numpy as np
import tinygrad_rl as tg
square = tg.jit(lambda x: x @ x)
assert np.array_equal(square(2 * np.eye(3)), 4 * np.eye(3))
assert "scipy.linalg" not in sys.modules
import scipy.linalg, scipy.optimize
from scipy.linalg import cython_blas
from numba import njit
eye = np.eye(2)
assert (njit(lambda a: np.dot(a, a))(eye) == scipy.linalg.inv(eye)).all()
"""


def test_only_a_library_of_scipy_is_loaded_and_the_rest_can_be_later() -> None:
    done = subprocess.run([sys.executable, "-c", SCIPY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_compiles_nothing(tmp_path: Path) -> None:
    code = "import tinygrad_rl, sys; sys.exit('torch' in sys.modules or 'jax' in sys.modules)"
    env = {**os.environ, "TINYGRAD_RL_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []
