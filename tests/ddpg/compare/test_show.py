import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from ddpg.cli.output import READABLE
from ddpg.compare.formula import Formula
from ddpg.compare.lesson import QUESTIONS, conclusion, equality, formula_lines
from ddpg.compare.measure import Measurement, Size
from ddpg.compare.show import (
    as_json,
    print_formula,
    print_questions,
    print_table,
    print_training,
    save_picture,
)
from ddpg.compare.training import Curve
from ddpg.compare.verdict import Verdict, verdicts, worst

BOTH = ["a.weight", "a.bias"]
ROWS = [
    Measurement("frozen", "As it is meant.", 3.682e-3, 0.0, [], 0.0, 107_610_112, 5.678, ""),
    Measurement("by hand", "Another way.", 3.682e-3, 3.2e-8, [], 0.0, 107_610_112, 5.7, ""),
    Measurement("blocked", "Cut.", None, None, BOTH, 0.0, 0, 1.2, "error: [no] path"),
    Measurement("joint", "All.", 3.682e-3, 0.0, BOTH, 1e-3, 144_310_272, 9.9, ""),
]
FORMULA = Formula(256, 6, 71_942, 1.6e-4, 115.0, 3.7e-3, differing=0, difference=0.0)
CURVES = {
    "frozen": Curve([500, 1000], [-1300.0, -160.0], [250, 500], [-10.0, -70.0]),
    "blocked": Curve([500, 1000], [-1300.0, -1310.0], [250, 500], [-10.0, -120.0]),
    "joint": Curve([500, 1000], [-1300.0, -1400.0], [250, 500], [0.5, 180.25]),
}


def cells_of(text):
    """The cells of each line, by the first of them."""
    lines = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {first: rest for first, *rest in lines if rest}


def shown(print_it, *arguments, width=80):
    stream = io.StringIO()
    print_it(*arguments, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_table_has_every_number_uncut(width):
    text = shown(print_table, ROWS, Size(), width=width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    cells = cells_of(text)
    norm, kept = "0.00368 ✓", ["none ✓", "no ✓"]
    assert cells["✓ frozen"] == [norm, "no bit ✓", *kept, "1.00", "1.00"]
    assert cells["✓ by hand"] == [norm, "3e-08 ✓", *kept, "1.00", "1.00"]
    assert cells["✗ blocked"] == ["none ✗", "-", "2 ~", "no ✓", "0.00", "0.21"]
    assert cells["✗ joint"] == [norm, "no bit ✓", "2 ~", "1e-03 ✗", "1.34 ~", "1.74"]


def test_a_case_is_as_good_as_its_worst_number():
    wasteful = replace(ROWS[0], name="wasteful", backward_flops=144_310_272)
    assert worst(verdicts(wasteful, ROWS[0])) is Verdict.WASTEFUL
    off = replace(ROWS[0], name="off", difference=1e-3)
    assert worst(verdicts(off, ROWS[0])) is Verdict.WRONG


def test_good_and_bad_have_colors_of_their_own():
    stream = io.StringIO()
    print_table(ROWS, Size(), Console(file=stream, width=80, force_terminal=True, no_color=False))
    colors = {sign: re.findall(rf"\x1b\[([\d;]+)m{sign}", stream.getvalue()) for sign in "✓~✗"}
    assert all(len(set(found)) == 1 for found in colors.values())
    assert len({found[0] for found in colors.values()}) == 3


def test_signs_are_readable_in_ascii():
    signs = [READABLE.get(verdict.sign, verdict.sign) for verdict in Verdict]
    assert "".join(signs).isascii() and len(set(signs)) == 3


def test_remarks_are_shown_as_they_were_said():
    """Square brackets are rich's markup; an error message has them too."""
    assert "→ error: [no] path" in shown(print_table, ROWS, Size())


def test_training_table_says_what_cannot_be_true():
    lines = shown(print_training, CURVES).splitlines()
    last = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert last["frozen"] == ["-160", "-70.0", "yes", "✓"]
    assert last["joint"] == ["-1,400", "180.2", "no", "✗"]


def test_conclusion_is_one_sentence_made_of_the_numbers():
    said = conclusion(CURVES)
    assert said.startswith("Freeze Q's parameters, and the policy earns -160;")
    assert "block the gradient, and it earns -1,310 (before any update -1,300)" in said
    assert "Q promises 180, more than any policy can earn, while the policy earns -1,400" in said
    assert said.count(".") == 1 and said.endswith(".")
    assert said in " ".join(shown(print_training, CURVES).split())


def test_conclusion_of_a_short_training_claims_nothing():
    said = conclusion({**CURVES, "frozen": CURVES["joint"], "joint": CURVES["frozen"]})
    assert said.startswith("Too few steps to tell: freeze")
    assert "more than any policy can earn" not in said


def test_first_screen_asks_answers_and_shows_the_formula():
    text = shown(print_questions, QUESTIONS) + shown(print_formula, FORMULA)
    assert [line for line in text.splitlines() if line.endswith("?")] == [
        question.asked for question in QUESTIONS
    ]
    words = " ".join(text.split())
    assert all(question.answer in words for question in QUESTIONS)
    assert all(line in text for line in formula_lines(FORMULA))
    assert f"✓ {equality(FORMULA)[1]}" in words
    assert len(text.splitlines()) < 24, "the first screen of a small terminal"


def test_json_holds_every_number(tmp_path):
    path = tmp_path / "c.png"
    values = json.loads(json.dumps(as_json(FORMULA, ROWS, CURVES, Size(), 3, path)))
    assert values["seed"] == 3
    assert values["size"] == {
        "obs_dim": 17,
        "act_dim": 6,
        "hidden": [256, 256],
        "batch_size": 256,
    }
    assert values["formula"]["dmu_dtheta"] == 115.0
    assert values["cases"][2]["critic_tensors"] == ["a.weight", "a.bias"]
    assert values["cases"][0]["backward_flops"] == 107_610_112
    assert values["training"]["variants"]["joint"]["mean_q"] == [0.5, 180.25]
    assert values["picture"] == str(path)


def test_picture_shows_the_curves(tmp_path):
    save_picture(CURVES, tmp_path / "all.png")
    save_picture({"frozen": CURVES["frozen"]}, tmp_path / "one.png")
    everything, one = imread(tmp_path / "all.png"), imread(tmp_path / "one.png")
    assert everything.shape == one.shape
    assert not np.array_equal(everything, one)
