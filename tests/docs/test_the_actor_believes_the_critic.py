"""The page's tables and picture are those of docs/critics.json, and its sentences hold there."""

import json
import re
import runpy
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from ddpg.compare.critics import summary
from ddpg.compare.critics.summary import LATER, Quantity, written
from ddpg.compare.critics.training import MOMENTS
from ddpg.compare.critics.variants import COMMON, VARIANTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "the-actor-believes-the-critic.md").read_text("utf-8")
FOUND = json.loads((DOCS / "critics.json").read_text("utf-8"))
SCRIPT = runpy.run_path(str(DOCS / "make_pictures.py"))
RUNS = SCRIPT["runs_of_critics"]()
PLAIN, LAYER_NORM, TWINS, TD3 = RUNS.values()


def with_interval(quantity: Quantity, name: str) -> str:
    mean, low, high = (written(x[0], quantity.shape) for x in quantity.later(RUNS[name]))
    return f"{mean} ({low} to {high})"


def values(name: str) -> str:
    courses = RUNS[name]
    plain = (summary.CLAIMED, summary.REAL)
    cells = [
        *(quantity.text(courses) for quantity in plain),
        with_interval(summary.GAP, name),
        summary.GAP_AT_RANDOM.text(courses),
        with_interval(summary.FLATTERED, name),
        summary.FLATTERED_BY_SECOND.text(courses),
        f"{summary.last_return(courses).mean[0]:.0f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def slopes(name: str) -> str:
    cells = [
        summary.CORRELATION.text(RUNS[name]),
        with_interval(summary.COSINE, name),
        summary.COSINE_AT_RANDOM.text(RUNS[name]),
        with_interval(summary.RIGHT_SIDE, name),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def price(name: str) -> str:
    cost, first = (FOUND["variants"][n]["cost"] for n in (name, "plain DDPG"))
    flops, time = cost["flops"] / first["flops"], cost["milliseconds"] / first["milliseconds"]
    return (
        f"| {name} | {cost['flops'] / 1e6:.1f} | {flops:.2f} "
        f"| {cost['milliseconds']:.1f} | {time:.2f} |"
    )


@pytest.mark.parametrize("row", [values, slopes, price], ids=lambda row: row.__name__)
@pytest.mark.parametrize("name", list(RUNS))
def test_rows_of_the_tables_are_those_of_the_file(row, name):
    assert row(name) in PAGE.splitlines()


def test_the_file_is_of_the_variants_that_there_are():
    assert FOUND["seeds"] == list(range(5))
    assert FOUND["settings"] == json.loads(json.dumps(asdict(COMMON)))
    assert list(FOUND["variants"]) == [variant.name for variant in VARIANTS]
    for variant in VARIANTS:
        found = FOUND["variants"][variant.name]
        assert found["settings"] == dict(variant.settings)
        assert [len(run["moments"]) for run in found["runs"]] == [MOMENTS] * 5
        assert {run["steps"][-1] for run in found["runs"]} == {6000}


def later(quantity: Quantity, courses: list) -> np.ndarray:
    """The later half's mean of each run."""
    return np.array(quantity.over_training(courses))[:, LATER:].mean(axis=1)


def test_what_the_page_says_of_values_holds_in_every_run():
    assert (later(summary.GAP, PLAIN) > 0).all()
    assert (later(summary.GAP, TWINS) < 0).all() and (later(summary.GAP, TD3) < 0).all()
    for courses in (TWINS, TD3):
        followed, other = summary.FLATTERED, summary.FLATTERED_BY_SECOND
        assert (later(followed, courses) > later(other, courses)).all()
    for courses in RUNS.values():
        assert summary.FLATTERED.later(courses).mean[0] > 2 / 3  # "two thirds and more"
    gap = {name: summary.GAP.later(RUNS[name]).mean[0] for name in RUNS}
    assert 0.4 < gap["+ LayerNorm"] / gap["plain DDPG"] < 0.6  # "halves the gap"


def test_what_the_page_says_of_returns_holds():
    returns = {
        name: np.mean([c.returns for c in courses], axis=0) for name, courses in RUNS.items()
    }
    ends = {name: mean[-1] for name, mean in returns.items()}
    assert abs(ends["plain DDPG"] - ends["+ twin critics"]) < 1
    for name in ("+ LayerNorm", "TD3"):
        assert 0 < ends["plain DDPG"] - ends[name] < 10
    assert max(returns, key=lambda name: returns[name][1]) == "+ LayerNorm"
    assert all(min(returns, key=lambda name: returns[name][k]) == "TD3" for k in range(6))


def test_the_collapse_on_the_page_is_that_of_the_run():
    moment, before, after = PLAIN[0].moments[4], *PLAIN[0].returns[3:5]
    said = re.search(
        r"step ([\d,]+), it claims (\d+) too much, and its policy, which had earned (-\d+) "
        r"before, earns (-\d+)",
        " ".join(PAGE.split()),
    )
    assert said is not None
    assert said.groups() == (
        f"{PLAIN[0].steps[4]:,}",
        *(f"{x:.0f}" for x in (moment.chosen.gap, before, after)),
    )


def test_what_the_page_says_of_slopes_holds():
    words = {"six": PLAIN, "sixteen": LAYER_NORM}
    for word, number in (("six", 6), ("sixteen", 16)):
        assert f"one of {word}" in PAGE or f"one state of {word}" in PAGE
        wrong = 1 - summary.RIGHT_SIDE.later(words[word]).mean[0]
        assert round(1 / wrong) == number
    side = {name: summary.RIGHT_SIDE.later(courses).mean[0] for name, courses in RUNS.items()}
    assert max(side["+ twin critics"], side["TD3"]) < side["plain DDPG"]
    assert f"at {summary.CORRELATION.text(PLAIN)}." in PAGE


def test_the_picture_is_that_of_the_file(tmp_path):
    """But for the edges of letters, which other versions of matplotlib draw otherwise."""
    SCRIPT["save_picture"](RUNS, tmp_path / "drawn.png")
    drawn, committed = (
        imread(path) for path in (tmp_path / "drawn.png", DOCS / "pictures" / "critics.png")
    )
    assert drawn.shape == committed.shape
    assert np.abs(drawn - committed).mean() < 0.02, "run docs/make_pictures.py"
