"""A cache in which the test kernel is compiled."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tinygrad_rl.kernels import cached
from tests.tinygrad_rl.processes import no_process_left  # noqa: F401  (for every test)
from tinygrad_rl.kernels import place


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, bytes]:
    """The files of a cache in which the kernel is compiled, relative to its folder."""
    folder = tmp_path_factory.mktemp("warm")
    assert cached.run(folder, PYTHONDONTWRITEBYTECODE="") is False
    return {f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.fixture
def folder(
    warm: dict[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of that cache, for this process, which has not warned of anything."""
    path = tmp_path / "home" / "cache"
    for name, data in warm.items():
        (path / name).parent.mkdir(exist_ok=True, parents=True)
        (path / name).write_bytes(data)
    monkeypatch.setenv("TINYGRAD_RL_CACHE", str(path))
    monkeypatch.setattr(place, "_given_up", set())
    monkeypatch.setattr(place, "_said", set())
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for folder in (place._configured, place._temporary):
        folder.cache_clear()
    yield path
    for folder in (place._configured, place._temporary):
        folder.cache_clear()
    cached.unload()
