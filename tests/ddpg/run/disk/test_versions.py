import io
import shutil
import sys
import types
from importlib import metadata

import numpy as np
import pytest
from rich.console import Console

import tinygrad_rl as tg
from ddpg.run.disk import folder
from ddpg.run.disk.versions import differences, installed
from ddpg.run.runs import resume
from ddpg.spaces import make_env
from tests.ddpg.run.runs import assert_same_run, begin, config

pytestmark = pytest.mark.usefixtures("no_drawing")


def test_packages_the_processor_and_the_environments_home_are_told():
    versions = installed(make_env("tests.ddpg.run.environments:Small-v0"))
    assert versions["numpy"] == np.__version__
    assert {"python", "processor", "tinygrad-rl", "numba", "gymnasium", "tests"} <= versions.keys()
    assert all(isinstance(version, str) for version in versions.values())


@pytest.mark.parametrize("user", ["environment", "a module of its package", "neither"])
def test_a_simulator_is_told_where_the_environment_uses_it(user, monkeypatch):
    """What else has imported one in this process is no matter."""
    simulator = types.ModuleType("mujoco")
    monkeypatch.setitem(sys.modules, "mujoco", simulator)
    for name in ("robots", "robots.arm", "robots.physics", "others"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    names = {"environment": "robots.arm", "a module of its package": "robots.physics"}
    sys.modules[names.get(user, "others")].mujoco = simulator
    arm = type("Arm", (type(make_env("Pendulum-v1").unwrapped),), {"__module__": "robots.arm"})
    versions = installed(arm())
    assert versions["robots"] == "of no version"
    assert ("mujoco" in versions) == (user != "neither")


@pytest.mark.parametrize("env_id, simulator", [("HalfCheetah-v5", "mujoco"), ("Pendulum-v1", None)])
def test_the_simulator_of_gymnasiums_own_environments(env_id, simulator):
    pytest.importorskip("mujoco")
    versions = installed(make_env(env_id))
    assert ("mujoco" in versions) == (simulator == "mujoco")
    assert "builtins" not in versions and "typing" not in versions


def test_what_is_not_installed_is_absent(monkeypatch):
    def version(name, real=metadata.version):
        if name == "scipy":
            raise metadata.PackageNotFoundError
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.delitem(sys.modules, "scipy", raising=False)
    assert installed(make_env("Pendulum-v1"))["scipy"] == "absent"


def test_what_has_changed_come_or_gone_is_named():
    saved, now = {"numpy": "2.0", "mujoco": "3.1", "python": "3.11"}, {"numpy": "2.1", "numba": "1"}
    assert differences(saved, now | {"python": "3.11"}) == [
        "mujoco 3.1 -> absent",
        "numba absent -> 1",
        "numpy 2.0 -> 2.1",
    ]


def test_a_run_that_goes_on_with_another_version_says_so_once_and_what_it_means(tmp_path):
    begin(tmp_path / "run", config(total_timesteps=90))
    state = tg.load(tmp_path / "run" / folder.STATE)
    state["versions"]["numpy"] = "1.0"
    tg.save(tmp_path / "run" / folder.STATE, state)
    said = []
    for steps in (95, 100):
        console = Console(file=io.StringIO(), width=200)
        resume(tmp_path / "run", config(total_timesteps=steps), console=console)
        said.append(console.file.getvalue())
    assert f"other versions (numpy 1.0 -> {np.__version__})" in said[0]
    assert "may differ" in said[0]
    assert "versions" not in said[1]


def test_a_folder_that_was_copied_elsewhere_goes_on_there(tmp_path, monkeypatch):
    """Nothing in it says where it is; a relative name is one when the run begins."""
    begin(tmp_path / "whole", config())
    begin(tmp_path / "run", config(total_timesteps=50))
    shutil.copytree(tmp_path / "run", tmp_path / "other" / "place")
    shutil.rmtree(tmp_path / "run")
    monkeypatch.chdir(tmp_path / "other")
    resume(tmp_path / "other" / "place", config(), console=Console(file=io.StringIO()))
    assert_same_run(tmp_path / "other" / "place", tmp_path / "whole")
