"""The picture, the page, and all that is written."""

import io
import re
from dataclasses import replace
from itertools import pairwise

import matplotlib.image
import pytest

from ddpg.run.look.picture import COLORS
from ddpg.study.outcome.output import write_all
from ddpg.study.outcome.page import MOST_LISTED, render
from ddpg.study.outcome.picture import save_picture
from ddpg.study.outcome.summary import make_summary
from tests.ddpg.pages import Page
from tests.ddpg.study.made import made_result, made_results

SCORES = {"A-v0": [[1.0, 3.0], [4.0, 9.0]], "B-v0": [[70.0, 20.0], [30.0, 120.0]]}


def mixed():
    results = made_results(SCORES)
    results[0] = replace(results[0], state="failed", message="no space left <b>&")
    results[1] = replace(results[1], state="not begun", evaluations=[], steps=0)
    results.append(made_result(2.0, results[0].setting, 2, "A-v0"))
    return results


@pytest.fixture(scope="module")
def html():
    return render(make_summary(mixed()), "ddpg study --env-ids A-v0 B-v0 <x>", {"numpy": "2.4"})


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def text_of(page):
    return " ".join("".join(page.text).split())


def test_it_says_what_was_run(page):
    text = text_of(page)
    assert page.headings[0] == (1, "A study of 2 settings on A-v0 and B-v0")
    assert "9 runs: 7 finished, 1 failed, 1 not begun." in text
    assert "ddpg study --env-ids A-v0 B-v0 <x>" in text
    assert "With numpy 2.4." in text
    assert text.count("A critic_lr 0.001") > 2


def test_numbers_are_those_of_the_data(page):
    rows = [row for row in page.rows if row and row[0].startswith("A critic_lr")]
    assert rows[0][1:] == ["1 of 3", "2.00 (-)", "2.00 (-)"]
    assert rows[1][1:] == ["2 of 2", "45.0 (20.0 to 70.0)", "45.0 (20.0 to 70.0)"]
    # A: (2 - 2) / 7; B: 50 and 0 hundredths
    assert rows[2][1:] == ["0.17 (-)"]
    chances = [row for row in page.rows if row[0] == "B"]
    assert chances[0][1:] == ["88 % (-)", ""]  # all of A's, three of B's four
    (row,) = Page(
        render(make_summary(made_results({"A-v0": [[0.0, 1.0, 2.0, 97.0]]})), "", {})
    ).rows[1:2]
    assert [cell.split(" (")[0] for cell in row] == ["A-v0", "4 of 4", "1.5", "25.0"]
    negative = Page(render(make_summary([made_result(-150.0)]), "", {}))
    assert ["Pendulum-v1", "1 of 1", "−150 (-)", "−150 (-)"] in negative.rows


def test_runs_that_went_wrong_come_first_and_link_to_their_folders(page):
    runs = [row for row in page.rows if row and ", seed " in row[0]]
    assert runs[0] == ["A-v0, A, seed 0", "failed", "4,000 of 4,000", "", "no space left <b>&"]
    assert runs[1][:4] == ["A-v0, A, seed 1", "not begun", "0 of 4,000", ""]
    assert len(runs) == 9
    assert {row[1] for row in runs[2:]} == {"finished"}
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert "runs/A-v0/critic_lr%3D0.001/seed-0/" in links
    assert "runs/A-v0/critic_lr%3D0.001/seed-1/" not in links  # there may be no such folder
    assert {"study.csv", "summary.csv"} <= set(links)


def test_it_stands_alone(html, page):
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert "@import" not in html
    names = {name for _, name, value in page.attributes if value and "://" in value}
    assert names <= {"xmlns", "xmlns:xlink"}  # names, not addresses


def test_pictures_are_four_and_have_titles_and_names_of_their_own(html, page):
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    titles = [re.search("<title>(.*?)</title>", svg)[1] for svg in pictures]
    environments = ["Learning curves on A-v0", "Learning curves on B-v0"]
    assert titles == [*environments, "Performance profiles", "Probabilities of improvement"]
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_headings_go_down_one_level_at_a_time(page):
    levels = [level for level, _ in page.headings]
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_colors_are_told(html):
    assert f'background: {COLORS[0]}"></span><strong>A</strong> critic_lr 0.001' in html
    rows = [[float(i)] for i in range(10)]
    many = render(make_summary(made_results({"A-v0": rows})), "", {})
    assert many.count("background: transparent") == 2 * 2  # the worst two are not drawn


def test_one_run_has_a_page_without_comparisons():
    html = render(make_summary([made_result(1.5)]), "", {})
    page = Page(html)
    assert page.headings[0] == (1, "A study on Pendulum-v1")
    assert "Which setting is better" not in html
    assert html.count("<svg") == 1
    assert "an interval takes two" in html
    assert "With " not in text_of(page)


def test_what_cannot_be_compared_has_a_page():
    results = [
        made_result(1.0, {"tau": tau}, 0, env, state="not begun")
        for env in ("A-v0", "B-v0")
        for tau in (0.1, 0.2)
    ]
    page = Page(render(make_summary(results), "", {}))
    assert ["A tau 0.1", "0 of 1", "-", "-"] in page.rows
    assert '"-": no run with a score.' in text_of(page)


def test_long_names_stand_in_the_key_alone():
    results = [made_result(1.0, {"n" * 40: i}) for i in range(2)]
    page = Page(render(make_summary(results), "", {}))
    assert ["A", "1 of 1", "1.00 (-)", "1.00 (-)"] in page.rows
    assert "A " + "n" * 40 + " 0" in text_of(page)


def test_of_very_many_runs_the_worst_are_listed():
    results = [made_result(1.0, seed=i) for i in range(MOST_LISTED + 5)]
    results[-1] = replace(results[-1], state="failed", message="last of all")
    page = Page(render(make_summary(results), "", {}))
    runs = [row for row in page.rows if row and ", seed " in row[0]]
    assert len(runs) == MOST_LISTED
    assert runs[0][4] == "last of all"
    assert "And 5 more, in study.csv." in text_of(page)


def picture(results, tmp_path):
    save_picture(make_summary(results), tmp_path / "study.png")
    return matplotlib.image.imread(io.BytesIO((tmp_path / "study.png").read_bytes()))


@pytest.mark.parametrize("environments", [1, 2, 4, 5, 7])
def test_every_number_of_environments_has_its_layout(environments, tmp_path):
    """A layout that does not fit is a warning of matplotlib's, and so an error here."""
    names = [f"InvertedDoublePendulum-v{i}" for i in range(environments)]
    picture([made_result(1.0, env_id=name) for name in names], tmp_path)


def test_what_is_compared_stands_below_and_a_long_key_has_room(tmp_path):
    results = made_results({"A-v0": [[1.0, 2.0]]})
    alone = picture(results, tmp_path)
    compared = picture(made_results({"A-v0": [[1.0, 2.0]] * 3}), tmp_path)
    long = picture(made_results({"A-v0": [[1.0, 2.0]] * 3}, axis="x" * 300), tmp_path)
    assert alone.shape[0] * 1.6 < compared.shape[0] < long.shape[0]
    assert compared.shape[1] == long.shape[1]


def test_dollars_are_no_mathematics(tmp_path):
    results = [made_result(1.0, {"a": f"${i}$ ^_{{"}, env_id="$x^{$-v0") for i in range(2)]
    picture(results, tmp_path)
    assert "$0$ ^_{" in render(make_summary(results), "", {})


def test_the_same_runs_give_the_same_files(tmp_path):
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        summary = write_all(mixed(), folder, "ddpg study", {"numpy": "2.4"})
        assert summary.labels == ("critic_lr 0.001", "critic_lr 0.0001")
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert (
        list(map(sorted, written)) == [["study.csv", "study.html", "study.png", "summary.csv"]] * 2
    )
    assert written[0] == written[1]
