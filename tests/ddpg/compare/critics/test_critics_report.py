import re
from itertools import pairwise
from pathlib import Path

import pytest

from ddpg import cli
from ddpg.compare.critics.report import render
from ddpg.compare.critics.variants import VARIANTS
from ddpg.compare.measure import Size
from ddpg.compare.report.folder import CRITICS_PAGE, MARK
from tests.ddpg.compare.critics.made import COSTS, RUNS
from tests.ddpg.compare.test_report import run
from tests.ddpg.pages import Page


@pytest.fixture(scope="module")
def html():
    return render(RUNS, COSTS, Size(), range(2))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_variant_has_its_section(page):
    assert {v.name for v in VARIANTS} <= {heading for level, heading in page.headings if level == 3}
    text = " ".join("".join(page.text).split())
    for variant in VARIANTS:
        assert f"{variant.meaning} Q claims" in text
    assert "for 5,500 steps, 2 seeds each" in text
    assert "gamma 0.95, tau 0.1" in text


def test_headings_go_down_one_level_at_a_time(page):
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_four_pictures_with_titles_and_names_of_their_own(html, page):
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(pictures) == 4
    assert all('role="img"' in svg and "<title>" in svg for svg in pictures)
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_nothing_is_loaded_from_anywhere(html, page):
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert str(Path(__file__).parents[4]) not in html
    assert MARK in html


def test_numbers_are_those_of_the_data(page):
    cells = {(row[0], len(row)): row[1:] for row in page.rows if row}
    assert cells["plain DDPG", 7][2] == "+3.0 (+2.5 to +3.5)"
    assert cells["TD3", 7][2:4] == ["−7.0 (−7.5 to −6.5)", "−8.0 (−8.5 to −7.5)"]
    assert cells["TD3", 7][4:] == ["70 % (70 % to 70 %)", "60 % (60 % to 60 %)"]
    assert cells["plain DDPG", 7][5] == "−"
    assert cells["TD3", 3] == ["3.00 (3.00 to 3.00)", "2.00 (2.00 to 2.00)"]
    assert cells["+ twin critics", 5] in (
        ["0.990 (0.990 to 0.990)", *["0.50 (0.50 to 0.50)", "0.25 (0.25 to 0.25)"]]
        + ["75 % (75 % to 75 %)"],
        ["3.0", "3.00", "1.50", "3.00"],
    )
    assert cells["TD3", 2] == ["−180 (−180 to −180)"]


def test_what_makes_no_sense_is_refused_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("compare", "--critics", "--source") == 2
    assert "--source is of the first lesson: leave out --critics" in capsys.readouterr().err
    assert run("compare", "--critics", "--steps", 599) == 2
    assert "--steps must be 600 or more, got 599" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_each_lesson_has_a_picture_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures = [cli.Compare.from_flags({"critics": critics}).picture for critics in (False, True)]
    assert pictures == [tmp_path / "compare.png", tmp_path / "critics.png"]
    given = cli.Compare.from_flags({"critics": True, "picture": tmp_path / "a.png"})
    assert given.picture == tmp_path / "a.png"


@pytest.mark.slow
def test_the_command_writes_tables_picture_and_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = "compare", "--critics", "--report", "out", "--steps", 600, "--seeds", 2
    assert run(*command) == 0
    out = capsys.readouterr().out
    page = tmp_path / "out" / CRITICS_PAGE
    assert f"The report is {page}" in out
    assert (tmp_path / "critics.png").read_bytes().startswith(b"\x89PNG")
    assert "for 600 steps, 2 seeds each" in " ".join("".join(Page(page.read_text()).text).split())
