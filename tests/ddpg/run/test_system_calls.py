"""As test_faults.py, where the system itself says no: by strace, which can make any call fail."""

import os
import shutil
import signal
import subprocess

import pytest

from ddpg.errors import UsageError
from tests.ddpg.run.runs import (
    QUICKEST,
    assert_can_be_read,
    assert_same_run,
    begin,
    ended,
    forked,
    go_on,
    without_drawing,
)

CALLS = {
    "openat": "error=ENOSPC",
    "pwrite64": "error=ENOSPC",
    "write": "error=EDQUOT",
    "mkdir": "error=EDQUOT",
    "fsync": "error=EIO",
    "rename": "error=EIO",
    "ftruncate": "error=EIO",
    "close": "error=EIO",
    "link": "error=EPERM",
}
KILL = "signal=KILL"
NUMBERS = (1, 2, 3, 5, 8, 13, 21)
"""Which call of its kind it is. All of them have been tried, and test_faults.py tries all."""

pytestmark = [
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
    pytest.mark.usefixtures("no_drawing"),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    with without_drawing():
        begin(run_dir, QUICKEST)
    return run_dir


def traced(work, *options):
    """How a child process that does `work` under strace ended, and what strace wrote."""
    wait, go = os.pipe()
    child = forked(lambda: (os.read(wait, 1), work()))
    command = ["strace", *options, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        try:
            shown = strace.stderr.readline()
            if "attached" not in shown:
                pytest.skip(f"strace cannot attach: {shown}")
            os.write(go, b".")
            status, child = ended(child), 0
            return status, shown + strace.stderr.read()
        finally:
            for pipe in (wait, go):
                os.close(pipe)
            if child:
                os.kill(child, signal.SIGKILL)
                ended(child)
            strace.kill()


def try_call(run_dir, undisturbed, call, number, fault):
    """Whether the run came to this call; in each case it goes on."""

    def work():
        try:
            begin(run_dir, QUICKEST)
        except (OSError, UsageError) as error:
            assert "\n" not in str(error)

    inject = f"inject={call}:{fault}:when={number}"
    status, said = traced(work, "-e", f"trace={call}", "-e", inject)
    assert status == (-9 if fault == KILL and "killed by SIGKILL" in said else 0), said
    assert_can_be_read(run_dir, whole=fault != KILL)
    go_on(run_dir, QUICKEST)
    assert_same_run(run_dir, undisturbed)
    shutil.rmtree(run_dir)
    return "INJECTED" in said or status == -9


def try_calls(run_dir, undisturbed, call, fault):
    came = [try_call(run_dir, undisturbed, call, n, fault) for n in NUMBERS]
    assert came[0]
    assert came == sorted(came, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_a_system_call_that_fails(tmp_path, undisturbed, call):
    try_calls(tmp_path / "run", undisturbed, call, CALLS[call])


@pytest.mark.slow
@pytest.mark.parametrize("call", ["openat", "pwrite64", "write", "fsync", "rename", "unlink"])
def test_a_kill_at_a_system_call(tmp_path, undisturbed, call):
    try_calls(tmp_path / "run", undisturbed, call, KILL)
