"""Known mistakes, each a file in docs/cases: it happens, is explained at its line, and is fixed."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

CASES = sorted((Path(__file__).parents[2] / "docs" / "cases").glob("*.py"))
MARK = "# <- culprit"


def culprit(path: Path) -> int:
    marked = [i for i, line in enumerate(path.read_text("utf-8").splitlines(), 1) if MARK in line]
    assert len(marked) == 1, f"{path.name}: one line is marked as the culprit, not {marked}"
    return marked[0]


def test_every_known_case_is_there():
    names = {path.stem for path in CASES}
    assert names >= {
        "exhausted_generator",
        "leaked_gradient",
        "joint_optimizer",
        "detached_action",
        "target_not_stopped",
        "step_before_backward",
        "path_exactly_zero",
        "misspelt_flag",
        "flag_on_the_loss",
        "frozen_too_late",
    }


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_mistake_happens_is_explained_at_its_line_and_the_fix_holds(path):
    case = runpy.run_path(str(path))
    assert case["symptom"]()
    diagnosis = case["diagnosis"]()
    text = diagnosis if isinstance(diagnosis, str) else diagnosis.text(width=300)
    assert re.search(rf"\b{path.name}:{culprit(path)}\b", text), text
    assert case["fix"]()


# What explain says of the marked line: the cause there, or that a gradient comes in there.
SAID = {
    "detached_action": ("actor.0.weight", "detached"),
    "flag_on_the_loss": ("actor.0.weight", "no_grad"),
    "frozen_too_late": ("critic.0.weight", "frozen after the forward"),
    "path_exactly_zero": ("actor.0.weight", "saturated tanh"),
    "exhausted_generator": ("critic.0.weight", None),
    "joint_optimizer": ("critic.0.weight", None),
    "leaked_gradient": ("critic.0.weight", None),
    "target_not_stopped": ("critic.0.weight", None),
}


@pytest.mark.parametrize("path", [p for p in CASES if p.stem in SAID], ids=lambda path: path.stem)
def test_the_right_tensor_has_the_right_cause(path):
    case = runpy.run_path(str(path))
    name, kind = SAID[path.stem]
    leaf = case["diagnosis"]()[name]
    if kind is None:
        assert culprit(path) in [use.line.number for use in leaf.uses]
    else:
        assert (kind, culprit(path)) in [(c.title, c.line.number) for c in leaf.causes]


def test_a_case_runs_as_a_program():
    path = next(p for p in CASES if p.stem == "detached_action")
    run = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    assert "detached" in run.stdout


def words(svg):
    """The texts of a picture, with the digits left out: other machines round differently."""
    return [re.sub(r"[\d.e+-]+", "#", t) for t in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


def test_pictures_of_the_pages_are_those_that_the_script_draws():
    script = runpy.run_path(str(CASES[0].parent.parent / "make_pictures.py"))
    drawn = script["pictures"]()
    files = {path.name: path.read_text("utf-8") for path in script["FOLDER"].glob("*.svg")}
    assert sorted(drawn) == sorted(files)
    for name, svg in drawn.items():
        assert words(svg) == words(files[name]), f"run docs/make_pictures.py: {name} is out of date"
