from dataclasses import replace

import numpy as np
import pytest

from ddpg.study.outcome.scores import on_common_scale, score
from ddpg.study.outcome.statistics import Estimate, estimate, improvement, profile
from ddpg.study.outcome.summary import MOST_PAIRED, make_summary
from tests.ddpg.study.made import made_result, made_results

SCORES = {"A-v0": [[1.0, 3.0, 2.0], [4.0, 5.0, 9.0]], "B-v0": [[70.0, 20.0], [30.0, 120.0, 50.0]]}


def arrays(rows):
    return [np.array(row) for row in rows]


@pytest.mark.parametrize(
    ("count", "last"),
    [(1, 1), (3, 1), (4, 1), (5, 2), (8, 2), (9, 3), (36, 9), (37, 10), (41, 10), (400, 10)],
)
def test_a_score_is_of_the_last_ten_evaluations_but_of_a_quarter_at_most(count, last):
    means = [float(i**2) for i in range(count)]
    assert score(made_result(means)) == pytest.approx(sum(means[-last:]) / last)


@pytest.mark.parametrize("state", ["diverged", "failed", "unfinished", "not begun"])
def test_only_a_finished_run_has_a_score(state):
    assert score(made_result(3.0, state=state)) is None
    assert score(replace(made_result(3.0), evaluations=[])) is None


def test_the_common_scale_is_that_of_the_runs_of_all_settings():
    scaled = on_common_scale(arrays([[10.0, 30.0], [], [20.0, 50.0]]))
    assert [runs.tolist() for runs in scaled] == [[0.0, 0.5], [], [0.25, 1.0]]
    same = on_common_scale(arrays([[7.0], [7.0, 7.0]]))
    assert [runs.tolist() for runs in same] == [[0.5], [0.5, 0.5]]
    assert [runs.tolist() for runs in on_common_scale(arrays([[], []]))] == [[], []]


def test_outcomes_are_those_of_the_finished_runs_and_say_how_many_they_are():
    results = made_results({"A-v0": [[1.0, 2.0, 9.0, 4.0, 8.0, 30.0]]})
    results[2] = replace(results[2], state="diverged")
    results[4] = replace(results[4], state="unfinished")
    summary = make_summary(results)
    outcome = summary.outcomes["A-v0", 0]
    assert (outcome.scores, list(outcome.runs)) == ((1.0, 2.0, 4.0, 30.0), results)
    assert (outcome.mean.value, outcome.iqm.value) == (37 / 4, 3.0)
    assert outcome.mean == estimate(arrays([outcome.scores]), "mean")
    assert outcome.iqm == estimate(arrays([outcome.scores]), "iqm")


def test_environments_and_settings_come_in_their_order_however_runs_are_mixed():
    results = made_results(SCORES)
    mixed = sorted(results, key=lambda result: result.seed)  # as a study makes them
    summary = make_summary(mixed)
    assert summary.env_ids == ("A-v0", "B-v0")
    assert summary.settings == ({"critic_lr": 1e-3}, {"critic_lr": 1e-4})
    assert summary.labels == ("critic_lr 0.001", "critic_lr 0.0001")
    for env_id, rows in SCORES.items():
        assert [list(summary.outcomes[env_id, i].scores) for i in range(2)] == rows


def test_over_all_environments_scores_are_on_the_common_scale():
    summary = make_summary(made_results(SCORES))
    first = arrays([[0.0, 2 / 8, 1 / 8], [0.5, 0.0]])
    second = arrays([[3 / 8, 4 / 8, 1.0], [0.1, 1.0, 0.3]])
    assert summary.overall == (estimate(first, "iqm"), estimate(second, "iqm"))
    thresholds = np.linspace(0, 1, 101)
    for found, scores in zip(summary.profiles, (first, second), strict=True):
        wanted = profile(scores, thresholds)
        for name in ("thresholds", "share", "low", "high"):
            assert np.array_equal(getattr(found, name), getattr(wanted, name)), name


def test_improvements_are_those_of_each_ordered_pair():
    summary = make_summary(made_results(SCORES))
    (a1, a2), (b1, b2) = map(arrays, SCORES.values())
    assert summary.opponents == (0, 1)
    assert summary.improvements[0, 1] == improvement([a1, b1], [a2, b2])
    turned = improvement([a2, b2], [a1, b1])
    assert summary.improvements[1, 0].value == pytest.approx(turned.value)
    # Drawn in another order: the ends agree to what 2000 draws know.
    assert summary.improvements[1, 0].low == pytest.approx(turned.low, abs=0.03)
    assert summary.improvements[1, 0].high == pytest.approx(turned.high, abs=0.03)
    assert summary.improvements_in["A-v0"][0, 1] == improvement([a1], [a2])
    assert summary.improvements_in["B-v0"][0, 1] == improvement([b1], [b2])


def test_one_environment_keeps_its_own_scale():
    summary = make_summary(made_results({"A-v0": SCORES["A-v0"]}))
    assert summary.overall == ()
    first, _ = summary.profiles
    assert (first.thresholds[0], first.thresholds[-1]) == (1.0, 9.0)
    assert first.share[0] == pytest.approx(2 / 3)
    assert summary.improvements == summary.improvements_in["A-v0"]


def test_what_has_no_finished_run_somewhere_is_not_compared_over_all():
    results = made_results(SCORES)
    results = [
        replace(r, state="failed") if (r.env_id, r.setting["critic_lr"]) == ("B-v0", 1e-3) else r
        for r in results
    ]
    summary = make_summary(results)
    assert summary.outcomes["B-v0", 0].iqm is None
    assert summary.overall[0] is None and summary.profiles[0] is None
    assert summary.ranking == (1, 0)
    assert isinstance(summary.overall[1], Estimate) and summary.profiles[1] is not None
    assert summary.improvements == {}
    assert list(summary.improvements_in["A-v0"]) == [(0, 1), (1, 0)]
    assert summary.improvements_in["B-v0"] == {}


@pytest.mark.parametrize("state", ["not begun", "failed"])
def test_a_study_without_a_finished_run_has_a_summary(state):
    results = [
        made_result(1.0, {"tau": tau}, env_id=env_id, state=state)
        for env_id in ("A-v0", "B-v0")
        for tau in (0.1, 0.2)
    ]
    summary = make_summary(results)
    assert {(o.iqm, o.mean, len(o.runs)) for o in summary.outcomes.values()} == {(None, None, 1)}
    assert summary.overall == summary.profiles == (None, None)
    assert summary.improvements == {}


def test_one_setting_and_one_seed_have_a_summary():
    summary = make_summary([made_result(-150.0)])
    assert summary.labels == ("",)
    assert summary.outcomes["Pendulum-v1", 0].iqm == Estimate(-150.0, None, None)
    assert summary.improvements == {}


def test_of_many_settings_each_is_compared_with_the_best():
    count = MOST_PAIRED + 1
    rows = [[float(10 * (i % 6) + seed + (i > 5)) for seed in range(2)] for i in range(count)]
    summary = make_summary(made_results({"A-v0": rows}))
    assert summary.ranking == (5, 4, 3, 8, 2, 7, 1, 6, 0)
    assert summary.opponents == (5,)
    assert list(summary.improvements) == [(i, 5) for i in range(count) if i != 5]
    assert summary.improvements[4, 5].value == 0.0
    fewer = make_summary(made_results({"A-v0": rows[:MOST_PAIRED]}))
    assert len(fewer.improvements) == MOST_PAIRED * (MOST_PAIRED - 1)


def test_a_setting_that_changes_nothing_has_a_name_among_others():
    settings = [{}, {"tau": 0.1, "hidden": [64, 64]}]
    summary = make_summary([made_result(1.0, setting) for setting in settings])
    assert summary.labels == ("settings as they are", "tau 0.1, hidden 64x64")
    assert summary.axes == ("tau", "hidden")
