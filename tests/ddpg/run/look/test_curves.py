import itertools

import numpy as np
import pytest

from ddpg.errors import UsageError
from ddpg.run.look.curves import make_curves
from ddpg.run.look.saved import grouped, read_runs
from tests.ddpg.run.look.made import made_run


@pytest.fixture
def curve(tmp_path):
    """The one curve of runs with these evaluations, or training episodes, seeds counted up."""

    def call(*evaluated, trained=None, statistic="mean", tell=pytest.fail):
        tables = [(points, {}) for points in evaluated] or [({}, points) for points in trained]
        paths = [made_run(tmp_path / f"{i}", *t, seed=i) for i, t in enumerate(tables)]
        (made,) = make_curves(grouped(read_runs(paths, tell), tell), statistic, tell)
        return made

    return call


def iqm(values):
    """By the definition: without the lowest and the highest quarter."""
    quarter = len(values) // 4
    kept = sorted(values)[quarter : len(values) - quarter]
    return sum(kept) / len(kept)


def test_mean_and_iqm_are_those_of_plain_python(curve):
    values = [3.0, 9.0, -40.0, 5.0, 8.0, 1000.0, 7.0, 6.0]
    made = curve(*({10: v, 20: -v} for v in values), statistic="iqm")
    assert made.runs == tuple("01234567")
    assert made.steps.tolist() == [10, 20]
    assert made.middle.tolist() == [iqm(values), -iqm(values)] == [6.5, -6.5]


@pytest.mark.parametrize(("statistic", "plain"), [("mean", np.mean), ("iqm", iqm)])
def test_the_interval_is_that_of_all_ways_to_draw_the_runs(curve, statistic, plain):
    """Five runs are drawn in 3125 ways, enumerated here."""
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    exact = np.array([plain(drawn) for drawn in itertools.product(values, repeat=5)])
    made = curve(*({10: v, 20: 2 * v} for v in values), statistic=statistic)
    for end, share in ((made.low, 0.025), (made.high, 0.975)):
        assert (exact < end[0] - 1e-9).mean() <= share + 0.01
        assert (exact <= end[0] + 1e-9).mean() >= share - 0.01
        assert end[1] == pytest.approx(2 * end[0])
    assert (made.low < made.middle).all()
    assert (made.middle < made.high).all()


def test_same_runs_same_interval_and_one_run_has_none(curve, tmp_path):
    runs = read_runs([made_run(tmp_path / f"s{i}", {1: i**2.0}, seed=i) for i in range(6)], str)
    one, two = (make_curves({"": runs}, "mean", str)[0] for _ in range(2))
    assert (one.low, one.high) == (two.low, two.high)
    (alone,) = make_curves({"": runs[:1]}, "mean", str)
    assert (alone.low, alone.high, alone.middle.tolist()) == (None, None, [0.0])


def test_a_curve_goes_as_far_as_all_runs_and_says_which_one_ends_it(curve):
    said = []
    made = curve({10: 0.0, 20: 1.0, 25: 9.0}, {10: 2.0, 20: 3.0, 30: 8.0}, tell=said.append)
    assert made.steps.tolist() == [10, 20]
    assert made.middle.tolist() == [1.0, 2.0]
    assert len(said) == 1
    assert said[0].endswith("/0 is of step 25: its curve ends there")


@pytest.mark.parametrize("table", ["evaluated", "trained"])
def test_runs_without_a_common_step_are_refused(tmp_path, table):
    runs = read_runs(
        [made_run(tmp_path / f"{step}", **{table: {step: 0.0}}) for step in (5, 10)], str
    )
    with pytest.raises(UsageError, match="/5 is of step 5, too early for a curve of 2 runs"):
        make_curves({"": runs}, "mean", str)


def test_training_episodes_are_drawn_where_nothing_was_evaluated(curve):
    """Plain means of the last ten at each step where an episode ended in some run."""
    ends = [np.arange(5, 150, 7), np.arange(3, 160, 11)]
    tables = [{int(s): float(s % 13 - k) for s in end} for k, end in enumerate(ends)]
    said = []
    made = curve(trained=tables, tell=said.append)
    assert made.in_training
    assert len(said) == 1

    def last_ten(table, step):
        returns = [value for s, value in table.items() if s <= step][-10:]
        return sum(returns) / len(returns)

    steps = sorted(s for s in {*tables[0], *tables[1]} if 5 <= s <= 145)
    assert made.steps.tolist() == steps
    plain = [np.mean([last_ten(table, step) for table in tables]) for step in steps]
    assert made.middle == pytest.approx(plain)


def test_a_long_training_is_drawn_with_fewer_points_both_ends_included(curve):
    made = curve(trained=[{s: float(s) for s in range(1, 5001)}])
    assert len(made.steps) == 200
    assert (made.steps[0], made.steps[-1], made.middle[-1]) == (1, 5000, 4995.5)


def test_a_run_that_was_not_evaluated_yet_does_not_join_those_that_were(tmp_path):
    said = []
    paths = [
        made_run(tmp_path / "new", {}, {5: 1.0}, seed=1),
        made_run(tmp_path / "old", {10: 2.0}, {5: 1.0}, seed=2),
    ]
    (made,) = make_curves(grouped(read_runs(paths, str), str), "mean", said.append)
    assert (made.runs, made.middle.tolist(), made.in_training) == (("old",), [2.0], False)
    assert len(said) == 1
    assert "/new is left out: it has no evaluation yet" in said[0]
