import io
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from ddpg import cli
from ddpg.cli.output import steady_output
from ddpg.run.look.curves import LearningCurve
from ddpg.run.look.terminal import print_curves
from tests.ddpg.run.look.made import made_run


def rising(label="", first=-100.0, interval=True, steps=(100, 200, 300, 400)):
    middle = first + np.linspace(0.0, 60.0, len(steps))
    low, high = (middle - 5.0, middle + 5.0) if interval else (None, None)
    names = ("a", "b") if interval else ("a",)
    return LearningCurve(label, names, np.array(steps), middle, low, high, False)


@pytest.fixture
def drawn(monkeypatch):
    """Lines as the command prints them, on an output of this encoding."""

    def call(*curves, width=80, encoding="utf-8"):
        file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", file)
        with steady_output():
            print_curves(curves, "Pendulum-v1", "mean", Console(width=width))
        file.seek(0)
        return file.read().splitlines()

    return call


@pytest.fixture
def plot(capsys, tmp_path, monkeypatch):
    """Run the command in a folder with two runs of one kind and one of another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for seed, critics in ((1, 1), (2, 1), (1, 2)):
        points = {500: -900.0 + seed, 1000: -400.0 * critics + 7 * seed}
        made_run(tmp_path / f"runs/{critics}-{seed}", points, seed=seed, critics=critics)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["plot", *arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def test_a_png_of_all_runs_below_a_folder_lies_here_by_default(plot, tmp_path):
    status, out, err = plot("runs")
    assert (status, err) == (0, "")
    assert out == f"The picture is {tmp_path / 'learning_curves.png'}\n"
    first = (tmp_path / "learning_curves.png").read_bytes()
    assert imread(tmp_path / "learning_curves.png").shape[1] == 910
    assert plot("runs", "-o", "again.png")[0] == 0
    assert (tmp_path / "again.png").read_bytes() == first
    assert plot("runs/1-1", "--output", "other.png")[0] == 0
    assert (tmp_path / "other.png").read_bytes() != first


def test_an_svg_holds_the_legend_as_text_and_is_the_same_each_time(plot, tmp_path):
    for name in ("a.svg", "b.SVG"):
        assert plot("runs", "-o", name)[0] == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.SVG").read_bytes()
    text = "\n".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    for label in (
        "critics 1 (mean of 2 runs, 95 % interval)",
        "critics 2 (one run, 2-1)",
        "Pendulum-v1",
    ):
        assert label in text


def test_in_the_terminal_nothing_is_written_unless_asked_for(plot, tmp_path):
    status, out, err = plot("runs", "--terminal")
    assert (status, err) == (0, "")
    assert not list(tmp_path.glob("*.*"))
    assert "A  critics 1 (mean of 2 runs, 95 % interval): -389.5" in out
    assert "B  critics 2 (one run, 2-1): -793.0 at step 1,000" in out
    assert plot("runs", "--terminal", "-o", "too.png")[1].startswith(out.rstrip())
    assert (tmp_path / "too.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "RUNS is missing"),
        (("nowhere",), "there is no run folder "),
        (("runs", "-o", "."), "is a folder; --output takes a file"),
        (("runs", "-o", "a.pdf"), "a picture ends in .png or .svg: call it a.png, not a.pdf"),
        (("runs", "-o", "no/where.png"), "there is no folder "),
        (("runs", "-o", "/dev/null"), "is a device or a pipe; --output takes a file"),
        (("runs", "-o", "runs/2-1/learning_curve.png"), "is one of the run's own files"),
        (("runs", "--statistic", "median"), "--statistic must be mean or iqm, got 'median'"),
        (("runs", "--terminl"), "there is no flag --terminl; did you mean --terminal?"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(plot, tmp_path, arguments, message):
    status, out, err = plot(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [80, 120])
def test_a_drawing_fits_and_its_encoding_has_all_its_characters(drawn, width, encoding):
    curves = rising("critics 1"), rising("critics 2", -300.0, False)
    lines = drawn(*curves, width=width, encoding=encoding)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert ("⠤" in text or "⠒" in text) == (encoding == "utf-8")
    assert text.isascii() == (encoding == "ascii")


def test_lines_rise_from_the_lowest_to_the_highest_tick_and_end_in_their_letters(drawn):
    lines = drawn(rising("x"), rising("y"), rising("z", -130.0, False, (100, 200)))[1:17]
    assert lines[0].startswith(" -40 ┤")
    assert lines[0].endswith("AB")  # at the same height, side by side
    assert lines[15].startswith("-130 ┤")
    assert sum("C" in line for line in lines) == 1
    rows = [i for i, line in enumerate(lines) if any("⠀" < c <= "⣿" for c in line)]
    assert rows == list(range(16))  # no gap, however steep


def test_a_curve_of_one_point_and_a_flat_one_can_be_drawn(drawn):
    flat = LearningCurve("", ("a",), np.array([7, 9]), np.array([2.0, 2.0]), None, None, True)
    point = LearningCurve("", ("a",), np.array([7]), np.array([2.0]), None, None, True)
    for curve in (flat, point):
        lines = drawn(curve)
        assert lines[0] == "Pendulum-v1: return, last 10 training episodes"
        assert sum("A" in line for line in lines[1:17]) == 1
