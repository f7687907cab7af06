import itertools

import numpy as np
import pytest

from ddpg.study.outcome.statistics import estimate, improvement, profile

# What rliable's own tests compute with, runs by tasks (tests/rliable/metrics_test.py, library_test)
X = np.array([[1, 2], [2, 2], [1, 1], [2, 1]], float)
Y = np.array([[1, 1], [2, 2], [3, 3]], float)
RAMP = np.arange(80.0).reshape(5, 16)


def by_task(matrix):
    return [matrix[:, task] for task in range(matrix.shape[1])]


def iqm(values):
    """By the definition: without the lowest and the highest quarter."""
    quarter = len(values) // 4
    kept = sorted(values)[quarter : len(values) - quarter]
    return sum(kept) / len(kept)


def mean(values):
    return sum(values) / len(values)


def pooled(of):
    return lambda *groups: of([value for group in groups for value in group])


def beats(*groups):
    """Over all pairs, one by one; the first half of the groups are X's, the others Y's."""
    count = len(groups) // 2
    shares = [
        mean([1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y])
        for x, y in zip(groups[:count], groups[count:], strict=True)
    ]
    return mean(shares)


def all_ways_to_draw(groups, of):
    """The statistic of every resample, each as probable as any other."""
    ways = [itertools.product(group, repeat=len(group)) for group in groups]
    return np.array([of(*drawn) for drawn in itertools.product(*ways)])


def check_interval(low, high, exact):
    """2000 draws know the ends of the exact distribution to about one percent of probability."""
    for end, share in ((low, 0.025), (high, 0.975)):
        assert (exact < end - 1e-9).mean() <= share + 0.01
        assert (exact <= end + 1e-9).mean() >= share - 0.01


def test_rliables_examples():
    assert estimate(by_task(X), "mean").value == estimate(by_task(X), "iqm").value == 1.5
    assert estimate(by_task(Y), "mean").value == estimate(by_task(Y), "iqm").value == 2.0
    assert improvement(by_task(X), by_task(Y)).value == pytest.approx(1 / 3)
    ramp, flipped = by_task(RAMP), by_task(RAMP[::-1])
    assert estimate(ramp, "iqm").value == estimate(flipped, "iqm").value == 39.5
    assert improvement(ramp, flipped).value == 0.5
    shares = profile(ramp, np.array([0.0, 0.25, 0.5, 1.0, 40.0])).share
    assert shares.tolist() == [79 / 80, 79 / 80, 79 / 80, 78 / 80, 39 / 80]


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_values_are_those_of_plain_python(rng, statistic):
    plain = pooled({"mean": mean, "iqm": iqm}[statistic])
    for sizes in ((1,), (2,), (7,), (8,), (3, 5), (9, 1, 4)):
        groups = [rng.normal(size=n) for n in sizes]
        assert estimate(groups, statistic).value == pytest.approx(plain(*groups))


def test_improvement_is_that_of_all_pairs_ties_and_uneven_numbers_of_runs_included(rng):
    for sizes in (((1,), (1,)), ((4,), (7,)), ((2, 6, 3), (5, 1, 3))):
        x, y = ([rng.integers(4, size=n).astype(float) for n in ns] for ns in sizes)
        found = improvement(x, y)
        assert found.value == pytest.approx(beats(*x, *y))
        assert improvement(y, x).value == pytest.approx(1 - found.value)
    same = [np.array([3.0, 3.0])]
    assert improvement(same, same).value == 0.5
    assert improvement(same, [np.array([3.0, 4.0, 4.0])]).value == pytest.approx(0.5 / 3)


def test_a_profile_counts_what_is_above_and_not_what_is_at_a_threshold(rng):
    groups = [np.array([1.0, 2.0, 2.0, 5.0]), np.array([2.0, 3.0])]
    made = profile(groups, np.array([0.0, 1.0, 2.0, 4.9, 5.0]))
    assert made.share == pytest.approx([1, 5 / 6, 2 / 6, 1 / 6, 0])
    assert made.low is not None and made.high is not None
    assert (made.low <= made.share).all() and (made.share <= made.high).all()


GROUPS = [[1.0, 2.0, 4.0, 8.5], [3.0, 9.0, 9.5]]


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_runs_are_drawn_within_their_environment(statistic):
    """4**4 ways times 3**3 ways, enumerated here."""
    plain = pooled({"mean": mean, "iqm": iqm}[statistic])
    found = estimate(list(map(np.array, GROUPS)), statistic)
    check_interval(found.low, found.high, all_ways_to_draw(GROUPS, plain))


def test_both_settings_are_drawn_for_an_improvement():
    x, y = [[1.0, 5.0, 6.0], [2.0, 2.0]], [[3.0, 5.5], [1.0, 2.0, 4.0]]
    found = improvement(*([np.array(group) for group in groups] for groups in (x, y)))
    check_interval(found.low, found.high, all_ways_to_draw([*x, *y], beats))


def test_the_interval_of_a_profile_is_that_at_each_threshold():
    thresholds = [1.5, 3.5, 9.2]
    made = profile(list(map(np.array, GROUPS)), np.array(thresholds))
    for threshold, low, high in zip(thresholds, made.low, made.high, strict=True):
        above = pooled(lambda values, limit=threshold: mean([v > limit for v in values]))
        check_interval(low, high, all_ways_to_draw(GROUPS, above))


def test_of_two_runs_the_interval_reaches_from_the_one_to_the_other():
    found = estimate([np.array([1.0, 3.0])], "iqm")
    assert (found.low, found.value, found.high) == (1.0, 2.0, 3.0)
    same = estimate([np.array([2.0, 2.0])], "mean")
    assert (same.low, same.value, same.high) == (2.0, 2.0, 2.0)


def test_one_run_in_an_environment_gives_no_interval():
    one, two = np.array([1.0]), np.array([2.0, 4.0])
    for found in (estimate([one], "iqm"), estimate([two, one], "mean"), improvement([two], [one])):
        assert (found.low, found.high) == (None, None)
    made = profile([two, one], np.array([1.5]))
    assert (made.share.tolist(), made.low, made.high) == ([2 / 3], None, None)


def test_same_runs_same_interval(rng):
    scores = [rng.normal(size=5), rng.normal(size=4)]
    assert estimate(scores, "iqm") == estimate(scores, "iqm")
    assert improvement(scores, scores) == improvement(scores, scores)


def test_many_runs_are_drawn_in_parts_that_fit_into_memory(rng, monkeypatch):
    scores = [rng.normal(size=50)]
    whole = estimate(scores, "mean")
    monkeypatch.setattr("ddpg.run.look.interval._AT_ONCE", 1000)  # twenty resamples at a time
    parts = estimate(scores, "mean")
    assert parts.low == pytest.approx(whole.low, abs=0.05)
    assert parts.high == pytest.approx(whole.high, abs=0.05)
