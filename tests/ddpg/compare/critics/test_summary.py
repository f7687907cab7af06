import math
from dataclasses import replace

import numpy as np
import pytest

from ddpg.compare.critics import summary
from ddpg.compare.critics.summary import LATER, sentence
from ddpg.compare.critics.training import Course
from tests.ddpg.compare.critics.made import RUNS, made_course


def test_numbers_are_of_the_later_half_and_of_all_runs():
    early, late = made_course(100.0), made_course(3.0)
    course = Course(late.steps, early.moments[:LATER] + late.moments[LATER:], late.returns)
    band = summary.GAP.later([course, made_course(5.0)])
    assert band.mean == pytest.approx([4.0])
    assert band.low == pytest.approx([3.0])
    assert band.high == pytest.approx([5.0])


def test_over_training_has_a_row_for_each_run():
    rows = np.array(summary.GAP_AT_RANDOM.over_training(RUNS["plain DDPG"]))
    assert rows == pytest.approx(np.array([[1.5] * 10, [2.5] * 10]))


def test_moments_without_a_number_do_not_count():
    some = made_course(1.0)
    gone = replace(some.moments[0], chosen=replace(some.moments[0].chosen, cosine=None))
    partly = Course(some.steps, [*some.moments[:-1], gone], some.returns)
    assert summary.COSINE.later([partly]).mean == pytest.approx([0.5])
    wholly = Course(some.steps, [gone] * 10, some.returns)
    assert math.isnan(summary.COSINE.later([wholly]).mean[0])
    assert summary.COSINE.text([wholly]) == "-"


def test_quantities_are_what_their_names_say():
    runs = RUNS["TD3"]
    got = {
        name: getattr(summary, name).later(runs).mean[0]
        for name in ("CLAIMED", "REAL", "PROMISED", "KEPT", "FLATTERED", "FLATTERED_BY_SECOND")
    }
    assert got == pytest.approx(
        {
            "CLAIMED": -47.0,
            "REAL": -40.0,
            "PROMISED": 3.0,
            "KEPT": 2.0,
            "FLATTERED": 0.7,
            "FLATTERED_BY_SECOND": 0.6,
        }
    )
    assert summary.last_return(runs).mean == pytest.approx([-180.0])


def test_the_sentence_follows_the_data():
    assert sentence(RUNS["plain DDPG"]) == (
        "Q claims 3.0 too much, and flatters the actor's choice in 70 % of the states; its slope "
        "points to the right side in 75 %."
    )
    assert "7.0 too little" in sentence(RUNS["TD3"])
    assert "(the critic it does not follow: in 60 %)" in sentence(RUNS["TD3"])


def test_conclusion_names_the_best_of_each():
    made = {"plain": [made_course(3.0)], "+ remedy": [made_course(-1.0)]}
    assert summary.conclusion(made) == (
        "Nearest to the truth is Q with remedy (off by -1.0; plain: +3.0), and its slope points to "
        "the right side most often with plain (75 %; plain: 75 %)."
    )
