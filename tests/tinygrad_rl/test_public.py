"""What a user finds by `dir`, `import *` and the version: public names and nothing else."""

import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import pytest

import tinygrad_rl as tg

ROOMS = [tg, tg.nn, tg.nn.functional, tg.nn.init, tg.optim, tg.files]


@pytest.mark.parametrize("module", ROOMS, ids=lambda m: m.__name__)
def test_public_names_are_there_once_and_are_ours(module: ModuleType) -> None:
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        thing = getattr(module, name)
        assert not name.startswith("_")
        assert isinstance(thing, ModuleType) or thing.__module__.startswith("tinygrad_rl")


@pytest.mark.parametrize("module", ROOMS[:-1], ids=lambda m: m.__name__)
def test_dir_shows_them_and_nothing_else(module: ModuleType) -> None:
    assert dir(module) == sorted(module.__all__)


def test_import_star_brings_no_submodules() -> None:
    code = "from tinygrad_rl import *; print(*sorted(n for n in vars() if n[0] != '_'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == sorted(tg.__all__)


def test_second_names_are_the_same_functions() -> None:
    assert tg.cat is tg.concatenate and tg.unsqueeze is tg.expand_dims and tg.pow is tg.power


def test_the_version_is_that_of_the_package() -> None:
    assert tg.__version__ == version("tinygrad-rl")
