"""Which trials there are, whatever happens to the processes that carry them out."""

import statistics

import pytest

from ddpg.config import config_to_dict
from ddpg.study.tuning.journal import STARTUP
from ddpg.study.tuning.rerun import ranked
from ddpg.study.work.task import Ending
from tests.ddpg.study.tuning import made
from tests.ddpg.study.tuning.made import (
    EVERY,
    STEPS,
    WARMUP,
    Pretended,
    height,
    killed_and_finished,
    made_search,
    searched,
    with_lag,
)

pytest.importorskip("optuna")
pytestmark = pytest.mark.usefixtures("no_disk")


def config_of(search, trial):
    return config_to_dict(search.trial(trial.number, trial.setting).config)


def test_the_first_trial_has_the_settings_at_hand_and_no_two_are_alike(tmp_path):
    search = made_search(trials=12)
    trials = searched(tmp_path, search, Pretended(1, 0))
    assert [trial.number for trial in trials] == [*range(12)]
    first = config_of(search, trials[0])
    assert first == config_to_dict(search.base) | {"seed": 1000}
    assert len({str(trial.setting) for trial in trials}) == 12
    assert [config_of(search, t)["seed"] for t in trials] == [*range(1000, 1012)]


@pytest.mark.parametrize("luck", range(4))
def test_neither_speed_nor_the_number_of_jobs_nor_kills_change_a_trial(tmp_path, luck):
    search = made_search(trials=24)
    expected = searched(tmp_path / "a", search, Pretended(1, 0))
    assert {trial.state for trial in expected} == {"complete", "pruned"}
    assert searched(tmp_path / "b", search, Pretended(2, luck)) == expected
    assert killed_and_finished(tmp_path / "c", search, 2, luck) == expected
    other = searched(tmp_path / "d", made_search(trials=24, seed=1), Pretended(1, 0))
    assert [t.setting for t in other[1:]] != [t.setting for t in expected[1:]]


def test_a_trial_is_begun_when_those_that_it_depends_on_are_at_their_end(tmp_path):
    search = with_lag(made_search(trials=12), 3)
    backend = Pretended(8, 3)
    start, going_on = backend.start, []

    def watched(name, task):
        start(name, task)
        numbers = sorted(int(n.removeprefix("trial-")) for n in backend.running)
        going_on.append((numbers[0], numbers[-1]))

    backend.start = watched
    searched(tmp_path, search, backend)
    assert max(last - first for first, last in going_on) == 2
    assert [int(n.removeprefix("trial-")) for n in backend.begun] == [*range(12)]


def test_a_trial_below_the_median_is_pruned_by_the_first_row_that_says_so(tmp_path):
    search = made_search(trials=24)
    trials = searched(tmp_path, search, Pretended(1, 0))
    for trial in trials:
        seen = trials[: max(0, trial.number - search.lag + 1)]
        known = [t for t in seen if t.state == "complete"]
        expected = ("complete", height(config_of(search, trial), 0.9 * STEPS))  # mean of the last 3
        config = config_of(search, trial)
        for step in range(EVERY, STEPS, EVERY):
            others = [height(config_of(search, t), step) for t in known]
            is_judged = len(known) >= STARTUP and step >= WARMUP + (STEPS - WARMUP) / 4
            if is_judged and height(config, step) < statistics.median(others):
                expected = ("pruned", height(config, step))
                break
        assert (trial.state, trial.value) == (expected[0], pytest.approx(expected[1]))
        assert trial.step == (step if trial.state == "pruned" else STEPS)


def test_a_trial_at_its_end_is_not_pruned(tmp_path, monkeypatch):
    def height(config, step):
        return 100.0 if step == STEPS and config["seed"] % 3 else 1.0

    monkeypatch.setattr(made, "height", height)
    trials = searched(tmp_path, made_search(trials=14, space=["tau"]), Pretended(1, 0))
    assert {trial.state for trial in trials} == {"complete"}


def test_a_setting_that_two_trials_have_is_ranked_once(tmp_path):
    search = made_search(trials=9, space=["critic_layer_norm"])
    trials = searched(tmp_path, search, Pretended(1, 0))
    found = [(trial.setting["critic_layer_norm"], trial.number) for trial in ranked(trials)]
    first = next(t.number for t in trials if t.setting["critic_layer_norm"])
    assert sorted(found) == [(False, 0), (True, first)]


def test_the_search_gets_better(tmp_path):
    search = made_search(trials=60, space=["critic_lr", "tau", "normalize_observations"])
    trials = searched(tmp_path, search, Pretended(1, 0))
    values = [t.value for t in trials if t.state == "complete"]
    assert max(values) > 100 > trials[0].value


def test_a_trial_that_diverges_or_fails_is_kept_as_such_and_the_search_goes_on(tmp_path):
    def ends(config):
        if config["tau"] > 0.02:
            return Ending("diverged", "tau is too large")
        if config["critic_lr"] < 2e-4:
            return Ending("failed", "a reward of nan", again=True)
        return Ending("finished")

    search = made_search(trials=30)
    trials = searched(tmp_path / "a", search, Pretended(2, 0, ends))
    messages = {t.message for t in trials if t.state == "failed"}
    assert messages == {"tau is too large", "a reward of nan"}
    assert len(trials) == 30
    assert searched(tmp_path / "b", search, Pretended(1, 5, ends)) == trials


def test_where_trials_diverge_fewer_are_tried(tmp_path, monkeypatch):
    def ends(config):
        return Ending("diverged", "") if config["tau"] > 0.005 else Ending("finished")

    monkeypatch.setattr(made, "height", lambda config, step: 1.0)  # nothing else tells them apart
    search = made_search(trials=40, space=["tau"])
    trials = searched(tmp_path, search, Pretended(1, 0, ends))
    share = sum(t.setting["tau"] > 0.005 for t in trials[20:]) / 20
    assert share < 0.3  # of the whole range it would be 0.59


def test_where_the_machine_fails_the_search_stops_and_tries_again(tmp_path):
    search = made_search(trials=10)
    expected = searched(tmp_path / "a", search, Pretended(1, 0))

    def full(config):
        is_it = config["seed"] == 1003
        return Ending("failed", "no space left") if is_it else Ending("finished")

    with pytest.raises(AssertionError, match="no space left"):
        searched(tmp_path / "b", search, Pretended(2, 1, full))
    assert searched(tmp_path / "b", search, Pretended(2, 2)) == expected
