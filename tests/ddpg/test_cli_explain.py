"""`ddpg explain`: a user's own function, from the command line."""

import json
import os
import sys
import webbrowser
from pathlib import Path

import pytest

from ddpg import cli

SCRIPT = """
import numpy as np
import tinygrad_rl as tg
rng = np.random.default_rng(0)
actor, critic = tg.nn.MLP((3, 8, 2), rng=rng), tg.nn.MLP((5, 8, 1), rng=rng)
obs = tg.Tensor(rng.normal(size=(6, 3)).astype(np.float32))


class Agent:
    def actor_loss(self):
        with tg.frozen(critic):
            return -critic(tg.concatenate([obs, actor(obs)], axis=1)).mean()

    def loss_of(self, batch, weight=1.0):
        return actor(batch).mean() * weight


class Alone:
    def method(self): ...


agent, alone = Agent(), Alone()


def actor_loss():
    return agent.actor_loss()


def blocked_loss():
    print("a word on the way")
    return -critic(tg.concatenate([obs, actor(obs).detach()], axis=1)).mean()


def broken_loss():
    return wrong_sizes()


def wrong_sizes():
    return critic(obs).mean()


def three():
    return 3


def leaving():
    raise SystemExit(4)


if __name__ == "__main__":
    raise AssertionError("this is no program to run")
"""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Run the command in a folder with a script; like a process of its own it leaves nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "80")
    Path("script.py").write_text(SCRIPT, "utf-8")
    Path("folder.py").mkdir()
    before = set(sys.modules)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["explain", *map(str, arguments)])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    yield call
    for name in set(sys.modules) - before:
        if name in ("script", "broken", "package", "package.losses"):
            del sys.modules[name]


@pytest.mark.parametrize("name", ["actor_loss", "agent.actor_loss"])
def test_a_function_of_a_file(run, name):
    status, out, err = run(f"script.py:{name}")
    assert (status, err) == (0, "")
    said = " ".join(out.split())
    assert "reaches actor (4 tensors) and passes through critic, whose 4 tensors are frozen" in said
    assert "script.py:11 with tg.frozen(critic):" in said
    assert max(map(len, out.splitlines())) <= 80


def test_a_function_of_a_module(run, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "losses.py").write_text(SCRIPT, "utf-8")
    status, out, _ = run("package.losses:blocked_loss")
    assert status == 0
    assert "is cut off from actor" in " ".join(out.split())
    assert run("script:actor_loss")[0] == 0


def test_json_is_all_there_is_on_standard_output(run):
    status, out, err = run("script.py:blocked_loss", "--json")
    assert status == 0
    assert json.loads(out)["headline"].startswith("The gradient reaches critic")
    assert err == "a word on the way\n"


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_picture_is_written(run, ending):
    status, out, _ = run("script.py:actor_loss", "--picture", f"a.{ending}", "--detail", "module")
    assert status == 0
    assert f"The picture is {os.getcwd()}/a.{ending}" in out
    assert Path(f"a.{ending}").stat().st_size > 1000


def test_a_picture_is_opened(run, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or len(opened) == 1)
    status, out, _ = run("script.py:actor_loss", "--open")
    (url,) = opened
    path = Path(url.removeprefix("file://"))
    assert path.read_text("utf-8").startswith("<svg")
    assert (status, f"The picture is {path}\n" in out) == (0, True)
    _, out, _ = run("script.py:actor_loss", "--open", "--picture", "b.svg")
    assert opened[1] == f"{Path('b.svg').absolute().as_uri()}"
    assert "b.svg; there is no browser here" in out


def test_colour_on_a_terminal_only(run, monkeypatch):
    assert "\x1b[" not in run("script.py:actor_loss")[1]
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in run("script.py:actor_loss")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run("script.py:actor_loss")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["script.py"], "say which function: FILE.py:NAME or MODULE:NAME, not 'script.py'"),
        (["script.py:"], "say which function"),
        (["scrip.py:actor_loss"], "there is no file scrip.py; did you mean script.py?"),
        (["folder/a.py:f"], "there is no file folder/a.py"),
        (["folder.py:f"], "folder.py is a folder, not a file"),
        (["nowhere:f"], "there is no module 'nowhere'"),
        (["script.py:actor_los"], "has no 'actor_los'; did you mean actor_loss?"),
        (["script.py:zzz"], "has no 'zzz'; there are actor_loss, blocked_loss, broken_loss"),
        (["script.py:agent.actr_loss"], "script.py:agent has no 'actr_loss'; did you mean actor"),
        (["script.py:alone.x"], "script.py:alone has no 'x'; there is method\n"),
        (["script.py:agent.loss_of"], "def example(): return agent.loss_of(batch), and explain"),
        (["script.py:Agent.actor_loss"], "Agent.actor_loss needs self"),
        (["script.py:obs"], "obs is no function"),
        (["script.py:Agent"], "Agent is no function"),
        (["script.py:three"], "it returned an int"),
        (["script.py:actor_loss", "--picture", "a.pdf"], "a picture ends in .svg or .png"),
        (["script.py:actor_loss", "--picture", "."], "is a folder; --picture takes a file"),
        (["script.py:actor_loss", "--detail", "all"], "--detail"),
        ([], "--help explains it"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(run, arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_a_failure_of_the_users_code_shows_his_frames_and_no_others(run):
    status, out, err = run("script.py:broken_loss")
    assert (status, out) == (1, "")
    frames = [line for line in err.splitlines() if line.startswith("  File")]
    assert [f.rpartition(" ")[2] for f in frames] == ["broken_loss", "wrong_sizes"]
    assert err.endswith("does not fit weight (8, 5) (out, in)\n")


def test_a_file_that_fails_or_is_no_python(run):
    Path("broken.py").write_text("import tinygrad_rl\n1 / 0\n", "utf-8")
    status, _, err = run("broken.py:f")
    assert status == 1
    assert err.count("  File") == 1
    assert "broken.py" in err
    assert err.endswith("ZeroDivisionError: division by zero\n")
    Path("broken.py").write_text("def f(:\n", "utf-8")
    status, _, err = run("broken.py:f")
    assert status == 1
    assert "SyntaxError" in err
    Path("broken.py").write_text("import not_installed_at_all\n", "utf-8")
    status, _, err = run("broken.py:f")
    assert status == 1
    assert "No module named 'not_installed_at_all'" in err


def test_a_function_that_ends_the_program_ends_the_command_only(run):
    status, _, err = run("script.py:leaving")
    assert status == 1
    assert err.endswith("SystemExit: 4\n")


def test_help_says_that_the_file_is_executed(run):
    status, out, _ = run("--help")
    assert status == 0
    assert "the file is executed" in " ".join(out.split())
