"""Processes that a test starts: none of them outlives it, however the test ends."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

PATIENCE = 600
"""Seconds that a process may take: no test is about that, and machines may be slow and busy."""
_started: list[subprocess.Popen[str]] = []


def start(command: Sequence[str], cache: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a process with a cache of compiled code of its own, its output in pipes."""
    env = {**os.environ, "TINYGRAD_RL_CACHE": str(cache), **environment}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True)
    _started.append(process)
    return process


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    yield
    while _started:
        process = _started.pop()
        if process.poll() is None:  # the test has failed
            process.kill()
        with process:  # close its pipes, wait for it
            pass
