import io
import re
import time

from rich.console import Console

from ddpg.run.progress import StageProgress, TrainProgress


def show(width, is_terminal):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=is_terminal, color_system=None)
    with TrainProgress(20_000, 0, console) as progress:
        progress.episode(-1234.5)
        progress.evaluation(1000, -567.8, 90.1)
        for step in range(1, 2001):
            progress.step(step)
    return stream.getvalue()


def test_terminal_shows_return_speed_and_time_left_in_one_line_of_80():
    drawn = re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", show(80, True)).replace("\r", "\n")
    last = drawn.rstrip().split("\n")[-1]
    for part in ("2,000/20,000", "return -1,234", "eval -568", "steps/s"):
        assert part in last
    assert len(last) <= 80


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
    assert show(80, False) == "step 1,000: return -567.8 ± 90.1\n"
