import re
import tomllib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ddpg import cli
from ddpg.compare.cases import CASES, COMPILED, TRAINED
from ddpg.compare.formula import evaluate_formula
from ddpg.compare.lesson import QUESTIONS
from ddpg.compare.measure import Size, measure
from ddpg.compare.report import mistakes
from ddpg.compare.report.curves import bootstrap, draw_values
from ddpg.compare.report.each import difference
from ddpg.compare.report.folder import CRITICS_PAGE, MARK, PAGE, check_folder, write
from ddpg.compare.report.gather import PARTS, gather
from ddpg.compare.report.html import render
from ddpg.compare.report.mistakes import read_mistakes
from ddpg.compare.training import Curve
from ddpg.compare.verdict import verdicts
from ddpg.errors import UsageError
from tests.ddpg.pages import Page

ROOT = Path(__file__).parents[3]
SIZE = Size(3, 2, (8, 8), 16)
STEPS, UPDATES = [1500, 2000], [250, 500, 750, 1000]
RUNS = {
    "frozen": [
        Curve(STEPS, [-1200.0, -300.0], UPDATES, [-10.0, -20.0, -30.0, -40.0]),
        Curve(STEPS, [-1100.0, -200.0], UPDATES, [-10.0, -20.0, -30.0, -60.0]),
    ],
    "blocked": [Curve(STEPS, [-1300.0, -1300.0], UPDATES, [-9.0, -19.0, -29.0, -39.0])] * 2,
    "joint": [
        Curve(STEPS, [-1400.0, -1410.0], UPDATES, [1.0, 20.0, 90.0, 200.0]),
        Curve(STEPS, [-1400.0, -1420.0], UPDATES, [2.0, 30.0, 80.0, 300.0]),
    ],
}


@pytest.fixture(scope="module")
def report():
    counted = []
    rows = list(measure(SIZE, repetitions=1))
    gathered = gather(SIZE, range(2), evaluate_formula(SIZE), rows, RUNS, lambda: counted.append(1))
    assert len(counted) == PARTS
    return gathered


@pytest.fixture(scope="module")
def html(report):
    return render(report)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_case_has_its_section(report, page):
    names = {heading.strip().lower() for level, heading in page.headings if level == 3}
    assert {case.name.lower() for case in CASES} <= names
    text = " ".join("".join(page.text).split())
    for case in CASES:
        assert " ".join(case.code.split()) in text
        headline = report.explanations[case.name].to_dict()["headline"]
        assert text.count(headline) >= 3  # in prose, in the picture, in the whole explanation
        assert " ".join(re.sub("`", "", case.seen).split()) in text
    assert list(report.explanations) == [case.name for case in CASES]
    assert [step.name for step in report.steps] == list(COMPILED)
    assert list(report.runs) == list(TRAINED)
    assert page.tags.count("svg") == len(CASES) + 5  # three side by side, two of curves


def test_questions_come_first_and_the_formula_has_its_numbers(report, page):
    headings = [heading for _, heading in page.headings]
    assert [h.replace("−", "-") for h in headings[1:4]] == [q.asked for q in QUESTIONS]
    cells = {row[0]: row[1:] for row in page.rows if row}
    formula = report.formula
    norms = (formula.dl_dtheta, formula.dq_da, formula.dmu_dtheta)
    assert [cell for cell in cells["norm"] if cell] == [f"{norm:.3g}" for norm in norms]


def test_contents_lists_every_part(page):
    links = [v for tag, name, v in page.attributes if (tag, name) == ("a", "href")]
    parts = [v for tag, name, v in page.attributes if (tag, name) == ("h2", "id")]
    assert len(parts) == 7
    assert links[: len(parts)] == [f"#{part}" for part in parts]


def test_three_ways_are_chosen_without_a_script(page):
    chosen = [v for tag, name, v in page.attributes if (tag, name) == ("input", "type")]
    assert chosen == ["radio"] * len(TRAINED)
    labels = [v for tag, name, v in page.attributes if (tag, name) == ("label", "for")]
    assert labels == [f"show-{name}" for name in TRAINED]


def test_what_differs_in_a_picture_is_what_differs_in_the_explanation(report):
    frozen = report.explanations["frozen"]
    said = {name: difference(found, frozen) for name, found in report.explanations.items()}
    alike = "In its picture the parameters fare as in the frozen case’s."
    assert said["frozen"] == alike
    assert said["chain rule by hand"] == f"{alike} It has a box more, “joined by hand”."
    assert said["blocked Q"].endswith(" It has a box more, “stop_gradient”.")
    assert said["separate optimizers"] == (
        "Of the parameters in its picture, the critic’s get their gradient; in the frozen case’s, "
        "the critic’s are hatched and locked."
    )
    assert "the actor’s get nothing and the critic’s get their gradient" in said["blocked action"]
    assert said["one joint optimizer"] == said["separate optimizers"]


def test_every_known_mistake_is_in_the_page_in_its_own_words(page):
    programs = sorted(Path(__file__).parents[3].joinpath("docs/cases").glob("*.py"))
    mistakes, text = read_mistakes(), " ".join("".join(page.text).split())
    assert [mistake.name for mistake in mistakes] == [path.name for path in programs]
    for mistake in mistakes:
        said = (mistake.title.rstrip("."), mistake.story, mistake.culprit)
        for words in (*said, mistake.symptom, mistake.diagnosis, mistake.fix, mistake.code):
            assert words and " ".join(words.replace("`", "").split()) in text.replace("`", "")


def test_a_wheel_carries_the_mistakes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"] == {"docs/cases": "ddpg/compare/report/cases"}
    assert "docs/cases" in wheel["only-include"]
    assert mistakes.FOLDER in [ROOT / place for pair in wheel["sources"].items() for place in pair]


def test_headings_go_down_one_level_at_a_time(page):
    levels = [level for level, _ in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))


def test_links_and_names_are_of_the_page_and_unique(page):
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = [v for _, name, v in page.attributes if name in ("href", "xlink:href")]
    assert targets and all(v.startswith("#") and v[1:] in ids for v in targets)


def test_nothing_is_loaded_from_anywhere(html, page):
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"url\(\s*['\"]?(?!#)", html)
    assert "@import" not in html
    names = {name for _, name, value in page.attributes if value and "://" in value}
    assert names <= {"xmlns", "xmlns:xlink"}  # names, not addresses


def test_constants_in_a_picture_are_explained(html):
    pictures = " ".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    constants = set(re.findall(r">(actor\.range\.\w+)</text>", pictures))
    assert constants
    for name in constants:
        assert f"<code>{name}</code>" in html


def test_pictures_have_titles(html):
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert all('role="img"' in svg and "<title>" in svg for svg in pictures)


def test_numbers_are_those_of_the_data(report, page):
    cells = {(row[0].lstrip("✓~✗ "), len(row)): row[1:] for row in page.rows if row}
    frozen, *_ = report.rows
    for row in report.rows:
        found = verdicts(row, frozen)
        signs = ["" if cell.verdict is None else f" {cell.verdict.sign}" for cell in found]
        expected = [cell.text + sign for cell, sign in zip(found, signs, strict=True)]
        assert cells[row.name, 7] == expected
    recorded = cells["as autograd runs it, MFLOP", 4]
    assert recorded == [f"{step.recorded_flops / 1e6:.2f}" for step in report.steps]
    # Two seeds: the interval of the mean runs from the one to the other.
    returns = cells["return after training", 4]
    assert (returns[0], returns[2]) == ("−250−300 to −200", "−1,415−1,420 to −1,410")
    promises = cells["mean Q, the promise", 4]
    assert (promises[0], promises[2]) == ("−50 ✓−60 to −40", "250 ✗200 to 300")


def test_the_verdict_on_the_joint_case_follows_the_data(report):
    assert "No policy can earn that." in render(report)
    modest = {**RUNS, "joint": RUNS["blocked"]}
    text = render(replace(report, runs=modest))
    assert "No policy can earn that." not in text
    assert "it is not above 0 yet" in text


def test_lines_that_vanish_are_marked(html):
    saved = re.findall(r'<tr class="saved">(.*?)</tr>', html)
    lost = re.findall(r'<tr class="lost">(.*?)</tr>', html)
    assert saved and all(row.startswith("<td>·</td><td>■</td><td>■</td>") for row in saved)
    assert lost and all(row.startswith("<td>■</td><td>■</td><td>·</td>") for row in lost)
    assert any("d_critic_W2" in row for row in saved)
    assert any("d_actor_W1" in row for row in lost)


def test_text_is_escaped(report):
    rows = [replace(report.rows[0], warning="warning: <b>&"), *report.rows[1:]]
    text = render(replace(report, rows=rows))
    assert "warning: &lt;b&gt;&amp;" in text
    Page(text)


def test_no_path_of_this_machine_is_in_it(html):
    assert str(Path(__file__).parents[3]) not in html


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(3)
    samples = rng.normal(size=(300, 40, 1))
    bands = [bootstrap(runs) for runs in samples]
    covered = np.mean([band.low[0] <= 0 <= band.high[0] for band in bands])
    assert 0.90 <= covered <= 0.98


def test_bootstrap_of_equal_runs_is_a_point():
    band = bootstrap([[1.0, 2.0]] * 3)
    assert band.mean.tolist() == band.low.tolist() == band.high.tolist() == [1.0, 2.0]


def test_the_same_runs_give_the_same_picture():
    assert draw_values(RUNS) == draw_values(RUNS)
    assert draw_values(RUNS) != draw_values({**RUNS, "joint": RUNS["frozen"]})


def test_a_report_replaces_a_report_and_nothing_else(tmp_path):
    folder = tmp_path / "out"
    check_folder(folder)
    page = write(f"<html>{MARK} first</html>", folder, PAGE)
    assert page == folder / PAGE
    other = write(f"<html>{MARK} other</html>", folder, CRITICS_PAGE)
    check_folder(folder)
    write(f"<html>{MARK} second</html>", folder, PAGE)
    assert "second" in page.read_text("utf-8")
    assert "other" in other.read_text("utf-8")
    assert sorted(path.name for path in folder.iterdir()) == [CRITICS_PAGE, PAGE]


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("notes.txt", "mine", "holds something else"),
        (PAGE, "<html>my own page</html>", "is no report"),
        (CRITICS_PAGE, "<html>my own page</html>", "is no report"),
    ],
)
def test_what_somebody_else_wrote_stays(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=complaint):
        check_folder(tmp_path)


def test_a_report_goes_into_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        check_folder(tmp_path / "file")
    with pytest.raises(UsageError, match="there is no folder"):
        check_folder(tmp_path / "a" / "b")
    (tmp_path / "out" / PAGE).mkdir(parents=True)
    with pytest.raises(UsageError, match="is no report"):
        check_folder(tmp_path / "out")


def run(*arguments):
    with pytest.raises(SystemExit) as exit_:
        cli.main([str(a) for a in arguments])
    return exit_.value.code


@pytest.mark.slow
def test_the_command_writes_the_report(tmp_path, capsys):
    folder, picture = tmp_path / "out", tmp_path / "compare.png"
    command = "compare", "--report", folder, "--steps", 1500, "--seeds", 2, "--picture", picture
    assert run(*command) == 0
    out = capsys.readouterr().out
    parts = (QUESTIONS[0].asked, "dL/dtheta", "One actor update", "Three of them", "Q promises")
    places = [out.index(part) for part in parts]
    assert places == sorted(places)
    assert f"The report is {folder / PAGE}" in out
    assert picture.exists()
    page = Page((folder / PAGE).read_text("utf-8"))
    text = " ".join("".join(page.text).split())
    assert "trained on Pendulum-v1 for 1,500 steps, 2 seeds each" in text
    assert "freezing saves 25 %" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--report", ".", "--seeds", 0), "--seeds must be 1 or more, got 0"),
        (("--report", "nowhere/out"), "/nowhere for the report's folder"),
        (("--report", "."), "holds something else (notes.txt): choose an empty folder"),
        (("--source", "--json"), "--source prints text: leave out --json"),
        (("--source", "--report", "out"), "--source prints text: leave out --report"),
        (("--source", "--steps", 2000), "--source trains nothing: leave out --steps"),
        (("--seeds", 3), "--seeds is of the report: leave it out, or add --report FOLDER"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert run("compare", *arguments) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
