"""Whoever watches a run may leave, in every way."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from functools import partial

import pytest

from ddpg.run.disk import folder
from ddpg.run.progress import ProgressConsole
from tests.ddpg.run import environments
from tests.ddpg.run.runs import (
    assert_same_run,
    begin,
    config,
    ended,
    files_of,
    forked,
    go_on,
    place_of,
)

pytestmark = pytest.mark.usefixtures("no_drawing", "happens")


def watched(run_dir, stderr, happens=()):
    """A run in a process of its own, whose standard error is that file."""

    def work():
        sys.stderr = os.fdopen(os.dup(stderr), "w")
        console = ProgressConsole()
        for step, what in dict(happens).items():
            environments.happens[step] = partial(what, console)
        go_on(run_dir, config(), console)

    return forked(work)


@pytest.mark.parametrize("gone", ["reader", "space", "terminal"])
def test_a_run_whose_messages_cannot_be_written_goes_on(tmp_path, gone):
    if gone == "reader":
        other, stderr = os.pipe()
    elif gone == "terminal":
        other, stderr = os.openpty()
    else:
        other, stderr = os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    os.close(other)
    child = watched(tmp_path / "run", stderr)
    os.close(stderr)
    assert ended(child) == 0
    begin(tmp_path / "undisturbed", config())
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def test_a_terminal_that_is_closed_ends_the_run_and_loses_nothing(tmp_path):
    """The system sends SIGHUP to the process that the terminal belongs to."""
    terminal, stderr = os.openpty()
    told, tell = os.pipe()

    def own_it(console):
        os.close(terminal)
        os.setsid()
        fcntl.ioctl(stderr, termios.TIOCSCTTY, 0)
        return None

    def wait_for_the_end(console):
        os.write(tell, b".")
        limit = time.monotonic() + 60
        while not console.quiet and time.monotonic() < limit:
            time.sleep(0.005)
        return None

    child = watched(tmp_path / "run", stderr, {1: own_it, 25: wait_for_the_end})
    os.close(stderr)
    assert os.read(told, 1) == b"."
    os.close(terminal)
    assert ended(child) == 0
    os.close(told), os.close(tell)
    assert place_of(tmp_path / "run")["step"] == 25
    go_on(tmp_path / "run", config())
    begin(tmp_path / "undisturbed", config())
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_signal_while_the_update_is_compiled_loses_nothing(tmp_path):
    """With an empty cache, in processes of their own: as users do it."""
    settings = "--total-timesteps 400 --warmup-steps 300 --eval-every 150 --eval-episodes 1"
    command = [sys.executable, "-m", "ddpg", "train"]
    environment = os.environ | {"TINYGRAD_RL_CACHE": str(tmp_path / "cache")}

    def run(name, how):
        return subprocess.Popen(
            [*command, *how, str(tmp_path / name)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    how = [*settings.split(), "--hidden", "8", "--batch-size", "8", "--run-dir"]
    with run("run", how) as process:
        try:
            limit = time.monotonic() + 120
            while not list((tmp_path / "cache").rglob("jit*step*.py")):
                assert process.poll() is None
                assert time.monotonic() < limit
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 128 + signal.SIGTERM, said
    step = place_of(tmp_path / "run")["step"]
    assert 301 <= step < 400
    assert f"stopped after {step} steps" in said
    for name, rest in {"run": ["--resume"], "undisturbed": how}.items():
        with run(name, rest) as process:
            said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
    one, two = files_of(tmp_path / "run"), files_of(tmp_path / "undisturbed")
    assert [name for name in one if one[name] != two[name]] == []
    assert folder.STATE in one
