import os
import subprocess
import sys
from pathlib import Path

import pytest

# ASCII only: a locale without more has no other arguments.
PRINTS = r"""
import sys
from ddpg import cli
def show(self):
    from rich.console import Console
    from rich.table import Table
    table = Table("case", "value")
    table.add_row("\u00b1 \u2207 \u2192 \u2014 \u25a0 \u00b7 \u2026", "\u00e9 \u03a9")
    print("return \u22121 \u00b1 2")
    Console().print(table)
    print("\u2207 " * 50_000)
    print("not a character: \udcff", file=sys.stderr)
    return 0
cli.Evaluate.run = show
cli.main(["evaluate", "x"])
"""


def run(program, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "utf-8"},
    ],
    ids=str,
)
def test_no_encoding_refuses_a_character(environment):
    done = run(PRINTS, **environment)
    assert (done.returncode, done.stderr) == (0, b"not a character: \\udcff\n")
    if environment.get("PYTHONIOENCODING") == "utf-8":
        assert "return −1 ± 2".encode() in done.stdout
    else:
        assert b"return -1 " in done.stdout
        assert b"grad grad grad" in done.stdout
        assert b"\\u" not in done.stdout.replace(b"\\u03a9", b"")  # only the letter is escaped
    if environment.get("PYTHONIOENCODING") == "ascii":
        assert b"return -1 +/- 2" in done.stdout
        assert b"+/- grad -> - # . ..." in done.stdout


def test_a_reader_that_has_gone_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(PRINTS, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"not a character: \\udcff\n")


def test_a_reader_may_go_on_both_streams():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        code = subprocess.call([sys.executable, "-c", PRINTS], stdout=writer, stderr=writer)
    finally:
        os.close(writer)
    assert code == 0


def test_a_closed_output_is_no_error():
    done = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -c "$0" >&-', PRINTS],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"not a character: \\udcff\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_result_that_could_not_be_written_is_not_a_success():
    with open("/dev/full", "wb") as full:
        done = run(PRINTS, stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == "error: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_terminal_that_was_closed_stops_nothing():
    leader, follower = os.openpty()
    os.close(leader)
    try:
        code = subprocess.call([sys.executable, "-c", PRINTS], stdout=follower, stderr=follower)
    finally:
        os.close(follower)
    assert code == 0
