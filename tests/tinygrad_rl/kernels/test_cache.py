"""Compiled kernels on disk: shared by processes, verified before they run, rebuilt when damaged."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tinygrad_rl import files
from tinygrad_rl.kernels import cache

SOURCE = """\
from numba import float64, njit, void
from numba.types import Array

@njit(void(Array(float64, 1, "C"), Array(float64, 1, "C")), cache=True)
def kernel(out, x):
    for i in range(out.shape[0]):
        out[i] = 3 * x[i] + 0.25
"""
# Prints what the kernel computes, and whether Numba took its machine code from the cache.
PROGRAM = f"""\
import numpy as np
from tinygrad_rl.kernels.cache import load

kernel = load({SOURCE!r}, "probe").kernel
out = np.empty(2)
kernel(out, np.array([1.0, 2.0]))
print(out.tolist(), sum(kernel.stats.cache_hits.values()))
"""


def start(folder: Path, **environment: str) -> subprocess.Popen:
    env = {**os.environ, "TINYGRAD_RL_CACHE": str(folder), **environment}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[bool, str]:
    """Whether the kernel came from the cache, and what was said on standard error."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    values, hits = out.rsplit(maxsplit=1)
    assert values == "[3.25, 6.25]"
    return hits != "0", err


def run(folder: Path, **environment: str) -> bool:
    return finish(start(folder, **environment))[0]


def again(folder: Path) -> bool:
    """Load the kernel anew in this process; whether it came from the cache."""
    for name in [n for n in sys.modules if n.startswith("probe_")]:
        del sys.modules[name]
    kernel = cache.load(SOURCE, "probe").kernel
    out = np.empty(2)
    kernel(out, np.array([1.0, 2.0]))
    assert out.tolist() == [3.25, 6.25]
    assert next(folder.glob("probe*.py"), None), "it was not loaded from the test's folder"
    return bool(sum(kernel.stats.cache_hits.values()))


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    """The files of a cache in which the kernel is compiled, relative to its folder."""
    folder = tmp_path_factory.mktemp("warm")
    assert run(folder) is False
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture
def folder(
    warm: dict[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of that cache, for this process."""
    for name, data in warm.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(cache, "cache_dir", lambda: tmp_path)
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("probe_")]:
        del sys.modules[name]


def only(folder: Path, pattern: str) -> Path:
    (file,) = folder.rglob(pattern)
    return file


def test_the_second_process_compiles_nothing(folder: Path) -> None:
    assert run(folder) is True


@pytest.mark.parametrize("pattern", ["*.nbc", "*.nbi"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign", "gone"])
def test_a_damaged_file_is_compiled_anew_once(folder: Path, pattern: str, damage: str) -> None:
    file = only(folder, f"probe{pattern}")
    data = file.read_bytes()
    middle = len(data) // 2
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(
            {
                "flipped": data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :],
                "cut": data[:middle],
                "empty": b"",
                "foreign": b"not machine code",
            }[damage]
        )
    assert again(folder) is False
    assert again(folder) is True


@pytest.mark.parametrize("text", ["", "raise SystemExit('foreign code ran')", SOURCE[:80]])
def test_a_foreign_source_is_replaced_and_never_run(folder: Path, text: str) -> None:
    only(folder, "probe*.py").write_text(text)
    again(folder)
    assert only(folder, "probe*.py").read_text() == SOURCE
    assert again(folder) is True


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"a.nbi": "0"}'])
def test_a_damaged_seal_is_renewed(folder: Path, text: str) -> None:
    only(folder, "probe*.seal").write_text(text)
    assert again(folder) is False
    assert again(folder) is True


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


def test_numbas_own_cache_folder_is_verified_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache.numba.config, "CACHE_DIR", str(tmp_path / "numba"))
    assert again(folder) is False
    assert again(folder) is True
    file = only(tmp_path / "numba", "probe*.nbc")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert again(folder) is False
    assert again(folder) is True


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
    assert set(sealed) == {f.name for f in folder.rglob("probe*.nb[ic]")}


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
