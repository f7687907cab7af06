"""A line of code knows which part of it is meant, and is shortened around that part."""

import subprocess
import sys

import pytest

from tinygrad_rl.core import Line


def here():
    return Line.of_frame(sys._getframe(1))


def made(tmp_path, code, part, name="f.py"):
    """A Line in a file of one line, with the part that holds this text."""
    path = tmp_path / name
    path.write_text(code + "\n", "utf-8")
    start = len(code[: code.index(part)].encode())
    return Line(str(path), 1, start, start + len(part.encode()))


def test_the_part_is_the_call():
    first, second = here(), (0, here())[1]
    assert first.part == second.part == "here()"
    assert first.column < second.column
    assert first.code == "first, second = here(), (0, here())[1]"
    assert first.code[slice(*first.marked)] == "here()"


def test_a_part_that_goes_on_in_the_next_line_is_marked_to_the_end():
    def twice(line, _):
        return line

    # fmt: off
    line = twice(here(), 0) or here(
    )
    # fmt: on
    assert line.part == "here()"
    # fmt: off
    cut_off = (0, here(
    ))[1]
    # fmt: on
    assert cut_off.part == "here("
    assert Line(line.file, line.number, line.code.index("twice") + 4, -1).part == line.code[7:]


def test_a_part_that_is_all_there_is_needs_no_mark(tmp_path):
    assert made(tmp_path, "    f(x)", "f(x)").marked == (0, 0)
    assert made(tmp_path, "    f(x)", "f(x)").part == "f(x)"
    assert Line("<nowhere>", 3).part == ""
    assert Line("<nowhere>", 3, 4, 9).excerpt(20) == ("", 0, 0)


def test_columns_are_characters_though_python_counts_bytes(tmp_path):
    line = made(tmp_path, "  größe = 'äöü', f(ß)", "f(ß)")
    assert line.part == "f(ß)"
    assert line.column == "  größe = 'äöü', f(ß)".index("f(") + 1


CODE = "    loss = -lab.critic(lab.observations, lab.actor(lab.observations).detach()).mean() + c_0"
PARTS = ["l", "lab.critic", "lab.actor(lab.observations)", "c_0", CODE.strip()[8:70]]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("width", [20, 31, 48, 60, 75, 90, 100])
def test_an_excerpt_fits_and_keeps_the_part(tmp_path, part, width):
    line = made(tmp_path, CODE, part)
    text, start, end = line.excerpt(width)
    assert len(text) <= width
    if len(part) <= width - 2:
        assert text[start:end] == part
        assert text.strip("…") in CODE
    else:
        head, _, tail = text[start:end].partition("…")
        assert part.startswith(head)
        assert part.endswith(tail)
        assert min(len(head), len(tail)) >= 6
    assert text.startswith("…") or CODE.strip().startswith(text[:4])
    assert text.endswith("…") or CODE.endswith(text[-4:])


def test_an_excerpt_without_a_part_is_the_beginning(tmp_path):
    line = made(tmp_path, CODE, "lab")._replace(start=0, end=0)
    assert line.excerpt(20) == (CODE.strip()[:19] + "…", 0, 0)


def test_python_that_keeps_no_columns():
    code = "import tinygrad_rl.core as c; x = c.Line.at(c.caller()); print(x.marked, x.column)"
    run = [sys.executable, "-X", "no_debug_ranges", "-c", code]
    said = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120).stdout
    assert said.split() == ["(0,", "0)", "0"]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("/tmp/ipykernel_4711/3000868519.py", "cell:7"),
        (r"C:\Temp\ipykernel_4711\3000868519.py", "cell:7"),
        ("/elsewhere/ipykernel/3000868519.py", "3000868519.py:7"),
        ("/elsewhere/lesson.py", "lesson.py:7"),
    ],
)
def test_a_cell_of_a_notebook_is_called_a_cell(file, said):
    line = Line(file, 7)
    assert line.short == str(line) == said
