"""What an installation brings, what is said of what it does not, and what is loaded when."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg import cli, run_study
from ddpg.errors import UsageError
from ddpg.spaces import make_env
from tests.house.source import AGENT, ENGINE, Import, Source, read_project

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_DEVELOPERS = {"test", "bench"}
BROUGHT_ALONG = {"llvmlite": "numba", "pygame": "gymnasium", "glfw": "gymnasium"}
"""Module that needs no line of its own -> the package, or one with an extra, that brings it."""


def loaded_by(statement: str) -> set[str]:
    """Top-level names of the modules that a new interpreter has loaded for this statement."""
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"try: {statement}\n"
        "except SystemExit: pass\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before}, file=sys.stderr)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import ddpg",
        "from ddpg import cli; cli.main(['--help'])",
        *(f"from ddpg import cli; cli.main(['{name}', '--help'])" for name in cli.COMMANDS),
    ],
)
def test_import_and_help_load_the_standard_library_alone(statement):
    assert loaded_by(statement) - sys.stdlib_module_names == {AGENT}


def test_what_is_loaded_would_be_seen():
    assert {"numpy", "numba", ENGINE} <= loaded_by("from ddpg import DDPG")


def packages(requirements: Iterable[str]) -> set[str]:
    """Their names, as a module is spelled."""
    names = [re.match(r"[\w.-]+", requirement) for requirement in requirements]
    return {name[0].lower().replace("-", "_") for name in names if name}


def foreign_imports() -> Iterator[tuple[str, Import]]:
    """Imports of what belongs neither to Python nor to this project, and where they stand."""
    for path, text in read_project(ROOT).items():
        if path.partition("/")[0] in (ENGINE, AGENT):
            for i in Source(path, text).imports:
                if i.module.partition(".")[0] not in {*sys.stdlib_module_names, ENGINE, AGENT}:
                    yield f"{path}:{i.line}", i


def package_of(i: Import) -> str:
    name = i.module.partition(".")[0].lower()
    return BROUGHT_ALONG.get(name, name)


def test_an_installation_brings_what_is_imported_and_nothing_else():
    always = packages(PROJECT["dependencies"])
    optional = packages(r for extra in set(EXTRAS) - FOR_DEVELOPERS for r in EXTRAS[extra])
    found = list(foreign_imports())
    assert always - {package_of(i) for _, i in found} == set()
    undeclared = [
        where
        for where, i in found
        if package_of(i) not in (always | optional if i.inside or i.typing else always)
    ]
    assert undeclared == []


def test_each_installation_that_is_recommended_exists():
    """`pip install 'tinygrad-rl[mujoco]'`, in a message or on a page."""
    paths = [*(ROOT / AGENT).rglob("*.py"), *(ROOT / ENGINE).rglob("*.py")]
    paths += [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    texts = (path.read_text("utf-8") for path in paths)
    named = {e for text in texts for e in re.findall(r"'(?:tinygrad-rl|\.)\[([\w,-]+)\]'", text)}
    assert named
    assert {extra for several in named for extra in several.split(",")} <= set(EXTRAS)


@pytest.mark.parametrize(
    ("env_id", "module", "extra"),
    [("HalfCheetah-v5", "mujoco", "mujoco"), ("LunarLanderContinuous-v3", "Box2D", "box2d")],
)
def test_a_simulator_that_is_missing_is_named_with_what_brings_it(
    monkeypatch, env_id, module, extra
):
    for name in list(sys.modules):
        if name.startswith((f"gymnasium.envs.{extra}", module)):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # its import fails as if it were not there
    assert extra in EXTRAS
    with pytest.raises(UsageError) as error:
        make_env(env_id)
    assert str(error.value) == (
        f"environment '{env_id}' needs {module}, which is not installed: "
        f"pip install 'tinygrad-rl[{extra}]'"
    )


def test_a_kernel_that_needs_scipy_says_what_brings_it(monkeypatch):
    def inverse(out, a):
        out[:] = np.linalg.inv(a)

    op = tg.Kernel("inverse", kernel=inverse, shape=lambda a: a.shape)
    monkeypatch.setitem(sys.modules, "scipy.linalg.cython_lapack", None)
    with pytest.raises(ImportError, match=r"'inverse': scipy .*pip install 'tinygrad-rl\[scipy\]'"):
        op(tg.ones((2, 2)))


def test_a_cluster_without_ray_says_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"not installed: pip install 'tinygrad-rl\[ray\]'"):
        run_study("Pendulum-v1", study_dir=tmp_path / "s", ray="10.0.0.5:6379", progress=False)
    assert list(tmp_path.iterdir()) == []
