"""What is drawn of a study: read off the axes again."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ddpg.run.look.picture import COLORS
from ddpg.run.plots import as_png
from ddpg.study.outcome.panels import (
    MOST_DRAWN,
    draw_environment,
    draw_improvements,
    draw_profiles,
    drawn,
    is_compared,
    said_of_curves,
)
from ddpg.study.outcome.picture import picture
from ddpg.study.outcome.summary import make_summary
from tests.ddpg.study.made import made_result, made_results


@pytest.fixture
def axes():
    return Figure().subplots()


def points(line):
    return list(zip(*(np.asarray(part).tolist() for part in line.get_data()), strict=True))


def test_a_curve_is_the_mean_of_the_runs_of_a_setting_that_neither_failed_nor_diverged(axes):
    setting = {"tau": 0.1}
    results = [
        made_result([1.0, 2.0, 3.0], setting),
        made_result([3.0, 6.0], setting, seed=1, state="unfinished"),
        made_result([99.0, 99.0], setting, seed=2, state="diverged"),
        made_result([99.0], setting, seed=3, state="failed"),
        made_result([99.0], setting, seed=4, state="not begun"),
        made_result([7.0], {"tau": 0.2}, state="failed"),
        made_result([5.0, 5.0], {"tau": 0.3}),
    ]
    draw_environment(axes, make_summary(results), "Pendulum-v1")
    first, second = axes.lines
    assert points(first) == [(1000, 2.0), (2000, 4.0)]
    assert points(second) == [(1000, 5.0), (2000, 5.0)]
    # The color is the setting's, although one between them has no curve.
    assert [line.get_color() for line in axes.lines] == [COLORS[0], COLORS[2]]
    (band,) = axes.collections  # of the one that has two runs
    assert band.get_paths()[0].get_extents().bounds == (1000, 1.0, 1000, 5.0)
    assert axes.get_title() == "Pendulum-v1"


def test_a_curve_is_no_iqm(axes):
    draw_environment(axes, make_summary(made_results({"A-v0": [[0.0, 1.0, 2.0, 97.0]]})), "A-v0")
    assert points(axes.lines[0])[0] == (1000, 25.0)


def test_where_there_is_no_curve_yet_that_is_said(axes):
    draw_environment(axes, make_summary([made_result(1.0, state="not begun")]), "Pendulum-v1")
    assert [text.get_text() for text in axes.texts] == ["no run has come far enough yet"]


def test_runs_without_a_step_in_common_are_no_curve_yet(axes):
    late = made_result(1.0, seed=1)
    late = replace(late, evaluations=[{**row, "step": 7 * row["step"]} for row in late.evaluations])
    late = replace(late, evaluations=late.evaluations[1:])
    draw_environment(axes, make_summary([made_result([1.0]), late]), "Pendulum-v1")
    assert len(axes.lines) == 0


def test_profiles_and_their_bands(axes):
    summary = make_summary(made_results({"A-v0": [[1.0, 2.0, 3.0], [2.0, 2.0, 6.0]]}))
    draw_profiles(axes, summary)
    for line, profile in zip(axes.lines, summary.profiles, strict=True):
        assert points(line) == list(zip(profile.thresholds, profile.share, strict=True))
    assert len(axes.collections) == 2
    assert axes.get_xlabel() == "score"
    several = make_summary(made_results({"A-v0": [[1.0], [2.0]], "B-v0": [[1.0], [2.0]]}))
    draw_profiles(axes, several)
    assert axes.get_xlabel() == "score, from 0 (lowest run) to 1 (highest)"


@pytest.mark.parametrize("unit", [1.0, 10.0, 1e-5])
def test_the_scores_below_profiles_do_not_touch(unit):
    scores = [[-333 * unit, -904 * unit, -542 * unit], [-1714 * unit, -1379 * unit]]
    figure = picture(make_summary(made_results({"A-v0": scores})))
    as_png(figure)
    (axes,) = [axes for axes in figure.axes if axes.get_title() == "Performance profiles"]
    low, high = axes.get_xlim()
    spans = [
        label.get_window_extent()
        for label in axes.get_xticklabels()
        if low <= label.get_position()[0] <= high
    ]
    assert len(spans) >= 3
    assert all(a.x1 + 5 < b.x0 for a, b in pairwise(spans))


def test_of_each_pair_the_likely_better_one_stands_first(axes):
    summary = make_summary(made_results({"A-v0": [[1.0, 2.0], [5.0, 6.0], [3.0, 5.5], [1.0, 2.0]]}))
    draw_improvements(axes, summary)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert sorted(names) == ["A over D", "B over A", "B over C", "B over D", "C over A", "C over D"]
    dots = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "o"}
    for height, name in enumerate(names):
        x, y = ("ABCD".index(letter) for letter in name.split(" over "))
        assert dots[height].get_xdata()[0] == summary.improvements[x, y].value >= 0.5
        assert to_hex(dots[height].get_color()) == COLORS[x]
    values = [dots[height].get_xdata()[0] for height in range(len(names))]
    assert values == sorted(values)
    intervals = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_alpha()]
    assert sorted(tuple(line.get_xdata()) for line in intervals) == sorted(
        (summary.improvements[pair].low, summary.improvements[pair].high)
        for pair in ((0, 3), (1, 0), (1, 2), (1, 3), (2, 0), (2, 3))
    )


def test_one_seed_has_neither_bands_nor_intervals(axes):
    summary = make_summary(made_results({"A-v0": [[1.0], [2.0]]}))
    for draw in (draw_profiles, draw_improvements):
        draw(axes, summary)
    draw_environment(axes, summary, "A-v0")
    assert len(axes.collections) == 0
    assert not any(line.get_alpha() for line in axes.lines)


def test_of_many_settings_the_best_are_drawn():
    rows = [[float((5 * i) % 11), float((5 * i) % 11 + 1)] for i in range(11)]
    summary = make_summary(made_results({"A-v0": rows}))
    best = sorted(range(11), key=lambda i: -rows[i][0])[:MOST_DRAWN]
    assert drawn(summary) == sorted(best)
    assert said_of_curves(summary).startswith(f"The best {MOST_DRAWN} of 11 settings: mean over")
    assert drawn(make_summary(made_results({"A-v0": rows[:3]}))) == [0, 1, 2]


def test_there_is_nothing_to_compare_with_one_setting_or_with_one_that_has_a_score():
    results = made_results({"A-v0": [[1.0, 2.0], [3.0, 4.0]]})
    assert is_compared(make_summary(results))
    assert not is_compared(make_summary(results[:2]))
    assert not is_compared(make_summary([*results[:2], replace(results[2], state="failed")]))
