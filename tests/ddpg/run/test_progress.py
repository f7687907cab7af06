import dataclasses
import io
import math
import re
import time

import pytest
from rich.console import Console

from ddpg.run.progress import StageProgress, TrainProgress
from ddpg.run.q_error import QError

ERROR = QError(q_bias=0.123, q_spread=0.5, q_rank=0.954, q_tail=0.2)


def show(width, is_terminal, error=ERROR):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=is_terminal, color_system=None)
    with TrainProgress(20_000, 0, console) as progress:
        progress.episode(-1234.5)
        progress.evaluation(1000, -567.8, 90.1, error)
        for step in range(1, 2001):
            progress.step(step)
    return stream.getvalue()


def last_line(width, error):
    drawn = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", show(width, True, error)).replace("\r", "\n")
    return drawn.rstrip().split("\n")[-1]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    ("bias", "shown"),
    [(0.123, "+12 %"), (-0.5, "-50 %"), (1e9, ">999 %"), (-1e9, "<-999 %"), (math.nan, "nan")],
)
def test_terminal_shows_returns_q_speed_and_time_left_in_one_line(width, bias, shown):
    last = last_line(width, dataclasses.replace(ERROR, q_bias=bias))
    for part in ("2,000/20,000", "return -1,234", "eval -568", f"Q {shown}", "steps/s"):
        assert part in last
    assert len(last) <= width


def test_compiling_is_announced_until_the_next_step():
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    with TrainProgress(20_000, 0, console) as progress:
        progress.step(1000)
        progress.note("compiling")
        before = len(stream.getvalue())
        assert "compiling" in stream.getvalue()
        time.sleep(0.25)
        progress.step(1001)
        assert "compiling" not in stream.getvalue()[before:]


def test_stages_are_drawn_on_a_terminal_only():
    drawn = {}
    for is_terminal in (True, False):
        stream = io.StringIO()
        with StageProgress(Console(file=stream, width=80, force_terminal=is_terminal)) as progress:
            progress.stage("first", 2)
            progress.advance()
            progress.stage("second", 5)
        drawn[is_terminal] = stream.getvalue()
    assert "first" in drawn[True]
    assert "50 %" in drawn[True]
    assert "second" in drawn[True]
    assert drawn[False] == ""


def test_log_has_a_line_per_evaluation_and_no_control_codes():
    line = "step 1,000: return -567.8 ± 90.1, Q 12 % too high, rank correlation 0.95\n"
    assert show(80, False) == show(20, False) == line
