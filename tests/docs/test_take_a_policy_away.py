"""The page is true beyond its snippets: its commands, its C, its ONNX, and its ten lines."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpg import cli
from ddpg.run.disk.checkpoint import load_agent
from tests.docs.pages import fenced_blocks

PAGE = (Path(__file__).parents[2] / "docs" / "take-a-policy-away.md").read_text("utf-8")
OBS = np.array([0.6, 0.8, -1.0], np.float32)


def blocks(kind: str) -> list[str]:
    return ["\n".join(lines) for info, _, lines in fenced_blocks(PAGE) if info == kind]


def call(command: str) -> None:
    program, *arguments = shlex.split(command, comments=True)
    assert program == "ddpg"
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code in (0, None), command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's first commands were given; that for ONNX is left to its test."""
    here = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for command in blocks("bash")[0].splitlines()[:3]:
            call(command)
    return here


@pytest.fixture
def expected(folder):
    return load_agent(folder / "runs/p1")[0].act(OBS)


def test_numpy_takes_ten_lines():
    (code,) = [block for block in blocks("python") if "def act" in block]
    assert sum(bool(line) for line in code.splitlines()) <= 10
    assert [line for line in code.splitlines() if "import" in line] == ["import numpy as np"]


def test_the_ten_lines_normalize_where_the_agent_does(folder, monkeypatch):
    monkeypatch.chdir(folder)
    call("ddpg train --total-timesteps 1050 --run-dir runs/n --normalize-observations --no-compile")
    call("ddpg export runs/n --to npz")
    (code,) = [block for block in blocks("python") if "def act" in block]
    names: dict[str, Any] = {}
    exec(code.replace("runs/p1", "runs/n"), names)
    agent, _ = load_agent(folder / "runs/n")
    assert "mean" in names["p"]
    for obs in np.random.default_rng(0).uniform(-8, 8, (100, 3)):
        np.testing.assert_allclose(names["act"](obs), agent.act(obs), rtol=0, atol=1e-5)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_c_is_compiled_and_says_what_the_agent_does(folder, expected):
    (main,) = blocks("c")
    (folder / "main.c").write_text(main)
    for command in blocks("bash")[1].splitlines():
        done = subprocess.run(shlex.split(command), cwd=folder, capture_output=True, check=True)
    assert float(done.stdout) == pytest.approx(expected[0], abs=2e-5)


def test_onnx_runs_and_says_what_the_agent_does(folder, expected, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(folder)
    call(blocks("bash")[0].splitlines()[3])
    (code,) = blocks("python no-run")
    names: dict[str, np.ndarray] = {}
    exec(code, names)
    assert names["actions"].shape == (2, 1)
    np.testing.assert_allclose(names["actions"][0], expected, rtol=0, atol=2e-5)
