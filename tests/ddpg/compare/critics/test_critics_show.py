import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from ddpg.compare.critics.measure import Moment, Opinion
from ddpg.compare.critics.show import (
    as_json,
    draw_flattery,
    print_costs,
    print_critics,
    save_picture,
)
from ddpg.compare.critics.training import Course
from ddpg.compare.critics.variants import VARIANTS
from ddpg.compare.measure import Size
from tests.ddpg.compare.critics.made import COSTS, RUNS, made_course
from tests.ddpg.compare.test_show import shown


@pytest.mark.parametrize("width", [80, 120])
def test_table_has_every_number_uncut(width):
    text = shown(print_critics, RUNS, width=width)
    assert "…" not in text
    assert "and 2 seeds" in text
    rows = {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if line}
    numbers = ["+3.0", "+2.0", "70", "%", "0.50", "75", "%", "-180"]
    assert rows["plain DDPG"][2:] == ["-37.0", "-40.0", *numbers]
    assert rows["TD3"][1:4] == ["-47.0", "-40.0", "-7.0"]


def test_every_variant_has_its_sentences():
    text = " ".join(shown(print_critics, RUNS).split())
    for variant in VARIANTS:
        assert f"{variant.name}: {variant.meaning} Q claims" in text


def test_costs_are_compared_with_the_first():
    text = shown(print_costs, COSTS, Size())
    rows = {line.split("  ")[0].strip(): line.split()[-4:] for line in text.splitlines() if line}
    assert f"({Size()})" in " ".join(text.split())
    assert rows["plain DDPG"] == ["1.0", "1.00", "0.50", "1.00"]
    assert rows["TD3"] == ["4.0", "4.00", "2.00", "4.00"]


def test_json_holds_every_number():
    values = json.loads(json.dumps(as_json(RUNS, COSTS, Size(), range(3, 5)), allow_nan=False))
    assert values["seeds"] == [3, 4]
    assert values["settings"]["gamma"] == 0.95
    assert values["size"]["hidden"] == [256, 256]
    assert list(values["variants"]) == [variant.name for variant in VARIANTS]
    twins = values["variants"]["+ twin critics"]
    assert twins["settings"] == {"critics": 2}
    assert twins["cost"] == {"flops": 3e6, "milliseconds": 1.5}
    moment = RUNS["+ twin critics"][1].moments[-1]
    assert twins["runs"][1]["moments"][-1] == asdict(moment)
    assert twins["runs"][1]["returns"][-1] == -180.0


def test_picture_shows_the_runs(tmp_path):
    save_picture(RUNS, tmp_path / "one.png")
    other = {**RUNS, "TD3": [made_course(9.0, 0.9, last_return=-900.0)]}
    save_picture(other, tmp_path / "other.png")
    one, other = (imread(tmp_path / name) for name in ("one.png", "other.png"))
    assert one.std() > 0.1  # not blank
    assert one.shape == other.shape
    assert not np.array_equal(one, other)


def test_shares_below_chance_are_drawn_in_full_with_their_numbers_beside_them():
    course = made_course(1.0)
    course.moments[:] = [
        replace(moment, flattered=0.46, flattered_by_second=0.27) for moment in course.moments
    ]
    axes = Figure().subplots()
    draw_flattery(axes, {"TD3": [course]})
    assert axes.get_xlim() == (20, 100)
    assert {text.get_text(): text.get_position()[0] > 50 for text in axes.texts} == {
        "46 %": True,
        "27 % second critic": True,
    }
    assert [label.get_text() for label in axes.get_xticklabels()][3] == "50\nchance"


def test_picture_stands_moments_without_a_slope(tmp_path):
    nothing = Moment(
        *[Opinion(-1.0, -1.0, None, None, None, 0)] * 2, flattered=0.5, flattered_by_second=None
    )
    course = made_course(1.0)
    course = Course(course.steps, [*course.moments[:-1], nothing], course.returns)
    save_picture({**RUNS, "TD3": [course]}, tmp_path / "gap.png")
    assert (tmp_path / "gap.png").exists()
