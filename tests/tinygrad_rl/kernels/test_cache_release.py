"""Compiled code that nobody needs any more goes from memory and from the disk."""

import gc
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest

from tests.tinygrad_rl.kernels.cached import SOURCE, finish, only, start
from tinygrad_rl.kernels import cache, place


def files(folder: Path) -> list[Path]:
    return [f for f in folder.rglob("*") if f.is_file()]


def test_the_last_user_takes_the_files_along(folder: Path) -> None:
    first = cache.load(SOURCE, "probe")
    assert cache.load(SOURCE, "probe") is first
    cache.release(first)
    assert first.__name__ in sys.modules and len(files(folder)) == 5
    cache.release(first)
    assert first.__name__ not in sys.modules and files(folder) == []
    again = cache.load(SOURCE, "probe")
    assert again is not first and not sum(again.kernel.stats.cache_hits.values())
    for module in (first, again):
        out = np.empty(1)
        module.kernel(out, np.ones(1))
        assert out == 3.25
    cache.release(again)


def test_other_modules_keep_theirs(folder: Path) -> None:
    other = cache.load(SOURCE.replace("3 *", "4 *"), "probe")
    module = cache.load(SOURCE, "probe")
    cache.release(module)
    assert len(files(folder)) == 5 and only(folder, "*.py") == Path(other.__file__)
    cache.release(other)


def test_releasing_once_too_often_does_nothing(folder: Path) -> None:
    module = cache.load(SOURCE, "probe")
    cache.release(module)
    cache.release(module)
    again = cache.load(SOURCE, "probe")
    assert len(files(folder)) == 5
    cache.release(again)
    assert files(folder) == []


def test_what_is_released_is_freed(folder: Path) -> None:
    module = cache.load(SOURCE, "probe")
    alive = weakref.ref(module)
    cache.release(module)
    del module
    gc.collect()
    assert alive() is None


def test_files_that_another_process_loads_stay(folder: Path) -> None:
    module = cache.load(SOURCE, "probe")
    with cache._alone(Path(module.__file__)):  # as it does
        cache.release(module)
    assert module.__name__ not in sys.modules and len(files(folder)) == 5


def test_a_folder_that_is_gone_is_no_matter(folder: Path) -> None:
    module = cache.load(SOURCE, "probe")
    folder.rename(folder.parent / "elsewhere")
    cache.release(module)
    assert module.__name__ not in sys.modules and not folder.exists()


def test_a_foreign_folder_is_left_alone(folder: Path) -> None:
    """The module is in a private folder then, and the files that are deleted are its own."""
    folder.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="chmod"):
        module = cache.load(SOURCE, "probe")
    assert Path(module.__file__).parent == place._temporary()
    cache.release(module)
    assert len(files(folder)) == 5 and files(place._temporary()) == []


def test_nothing_is_deleted_in_a_folder_that_others_can_change_by_now(folder: Path) -> None:
    module = cache.load(SOURCE, "probe")
    folder.chmod(0o777)
    cache.release(module)
    assert module.__name__ not in sys.modules and len(files(folder)) == 5


def test_threads_load_and_release(folder: Path) -> None:
    wrong: list[object] = []

    def work() -> None:
        out = np.empty(1)
        for _ in range(20):
            module = cache.load(SOURCE, "probe")
            module.kernel(out, np.ones(1))
            if out != 3.25:
                wrong.append(out)
            cache.release(module)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and files(folder) == []
    cache.release(cache.load(SOURCE, "probe"))
    assert files(folder) == []


LOOP = """\
import sys
from tinygrad_rl.kernels import cache
from tests.tinygrad_rl.kernels.cached import SOURCE
for _ in range(8):
    cache.release(cache.load(SOURCE, "probe"))
"""


@pytest.mark.slow
def test_processes_that_load_and_release_the_same_do_not_disturb_each_other(folder: Path) -> None:
    """Nothing is loaded that is half deleted, and nobody gives up the folder."""
    for _, said in [finish(p) for p in [start(folder, LOOP) for _ in range(3)]]:
        assert said == ""
