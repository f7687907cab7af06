"""The README's first page says what `ddpg compare` says, with the numbers that it measures."""

import runpy
from pathlib import Path

import pytest

from ddpg.compare.formula import evaluate_formula
from ddpg.compare.lesson import QUESTIONS, conclusion, equality, formula_lines, jacobian
from ddpg.compare.measure import Size, measure
from ddpg.compare.verdict import HEADINGS, Verdict, verdicts, worst

ROOT = Path(__file__).parents[2]
PAGE, _, _ = (ROOT / "README.md").read_text("utf-8").partition("## Quick start")
WORDS = " ".join(PAGE.replace("`", "").split())


@pytest.fixture(scope="module")
def formula():
    return evaluate_formula(Size())


def test_questions_are_asked_and_answered():
    for question in QUESTIONS:
        assert f"**{question.asked}** {question.answer}" in WORDS


def test_formula_has_the_measured_numbers(formula):
    assert "\n".join(["```text", *formula_lines(formula), "```"]) in PAGE
    assert jacobian(formula) in WORDS


def test_product_is_autograds_gradient_as_the_page_says(formula):
    verdict, text = equality(formula)
    assert verdict is Verdict.GOOD
    assert "to the last bit" in text and text in WORDS


def test_table_has_the_measured_numbers():
    """All but times, which are those of a machine."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    rows = list(measure(Size(), repetitions=1))
    assert lines[0] == ["how the critic is handled", *HEADINGS[:-1]]
    assert [line[0][2:] for line in lines[1:]] == [row.name for row in rows]
    for (name, *shown), row in zip(lines[1:], rows, strict=True):
        cells = verdicts(row, rows[0])[:-1]
        assert name[:1] == worst(cells).sign
        signs = ["" if v is None else f" {v.sign}" for _, v in cells]
        assert shown == [cell.text + sign for cell, sign in zip(cells, signs, strict=True)]


def test_conclusion_is_that_of_the_picture():
    assert conclusion(runpy.run_path(str(ROOT / "docs/make_pictures.py"))["curves"]()) in WORDS
