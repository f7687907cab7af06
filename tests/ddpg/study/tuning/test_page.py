"""What is written of a tuning: the table, the page, the terminal."""

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO

import pytest
from rich.console import Console

from ddpg.study.results import Result
from ddpg.study.tuning.journal import Journal, quiet
from ddpg.study.tuning.outcome import Tuning
from ddpg.study.tuning.page import render
from ddpg.study.tuning.rerun import by_result, changes, ranked, sum_up
from ddpg.study.tuning.tables import write_trials
from ddpg.study.tuning.terminal import print_tuning
from ddpg.study.work.task import Ending
from tests.ddpg.study.tuning.made import Pretended, made_search, searched

pytest.importorskip("optuna")
pytestmark = pytest.mark.usefixtures("no_disk")


def ends(config):
    too_fast = config["tau"] > 0.04
    return Ending("diverged", "tau <is> too large") if too_fast else Ending("finished")


def results_of(search, trials, scores):
    """Of the runs on new seeds: scores by trial, None for a run that diverged."""
    return [
        Result(
            *(
                search.env_id,
                changes(search, trials[number].setting),
                seed,
                f"runs/{number}-{seed}",
            ),
            *(("diverged", "too fast") if score is None else ("finished", "")),
            *(1000, 1000, (), [{"step": 1000, "mean": score}] if score is not None else []),
        )
        for number, values in scores.items()
        for seed, score in enumerate(values)
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tuning whose page has few pictures."""
    tune_dir = tmp_path_factory.mktemp("small")
    search = made_search(trials=9, space=["tau", "n_step"])
    return tune_dir, search, searched(tune_dir, search, Pretended(1, 0, ends)), {"tau": 1.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    tune_dir = tmp_path_factory.mktemp("tuning")
    search = made_search(trials=40, hidden=(8,))
    trials = searched(tune_dir, search, Pretended(2, 0, ends))
    with quiet():
        return tune_dir, search, trials, Journal(tune_dir / "journal.log", search).importance()


def tuning_of(made, scores=None):
    tune_dir, search, trials, _ = made
    if scores is None:
        return Tuning(tune_dir, search, trials)
    summary = sum_up(search, trials, results_of(search, trials, scores))
    best = by_result(summary)[0] if any(o.iqm for o in summary.outcomes.values()) else None
    return Tuning(tune_dir, search, trials, None, summary, best, search.base)


def test_the_table_has_a_row_for_each_trial(made):
    tuning = tuning_of(made)
    write_trials(tuning)
    first = (tuning.tune_dir / "trials.csv").read_bytes()
    rows = [*csv.DictReader(StringIO(first.decode()))]
    assert [int(row["trial"]) for row in rows] == [*range(40)]
    for row, trial in zip(rows, tuning.trials, strict=True):
        assert row["state"] == trial.state
        assert row["score"] == ("" if trial.value is None else f"{trial.value:.8g}")
        assert float(row["actor_lr"]) == trial.setting["actor_lr"]
        assert row["message"] == trial.message
    assert {row["state"] for row in rows} == {"complete", "pruned", "failed"}
    write_trials(tuning)
    assert (tuning.tune_dir / "trials.csv").read_bytes() == first


def test_the_best_is_the_one_that_came_out_best_on_new_seeds(made):
    _, _, trials, _ = made
    first, second, third = (trial.number for trial in ranked(trials)[:3])
    values = [trial.value for trial in ranked(trials)]
    assert values == sorted(values, reverse=True)
    # The first is the best by luck, the third by one run, one run of the second diverged.
    scores = {0: [5.0] * 4, first: [1.0] * 4, second: [9.0, 9.0, 9.0, None]}
    assert tuning_of(made, scores).best_trial == 0
    assert tuning_of(made, {**scores, third: [6.0, 6.0, 6.0, -9.0]}).best_trial == third
    again = tuning_of(made, {**scores, third: [6.0] * 4})
    assert [trial.number for trial in again.run_again] == [third, 0, first, second]


class Outline(HTMLParser):
    """Whether elements close, which links there are, and what is fetched from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert tag != "script"
        self.ids += [given["id"]] if "id" in given else []
        if tag == "a":
            self.links.append(given["href"])
        if tag not in ("meta", "path", "use", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.ids += [dict(attrs)["id"]] if "id" in dict(attrs) else []

    def handle_endtag(self, tag):
        if tag not in ("meta", "path", "use", "br"):
            assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_the_same_each_time(made):
    _, search, trials, importance = made
    number = ranked(trials)[0].number
    tuning = tuning_of(made, {0: [1.0, 2.0], number: [3.0, 4.0]})
    page = render(tuning, importance)
    assert page == render(tuning, importance)
    outline = Outline()
    outline.feed(page)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert {*outline.links} == {"rerun/", "trials.csv", *(f"trials/trial-{i}/" for i in range(40))}
    assert not re.search(r"(src|href)=\"http", page)
    assert "tau &lt;is&gt; too large" in page
    assert all(f"Scores by {name}" in page for name in search.space)


@pytest.mark.parametrize(
    ("at_hand", "other", "said"),
    [
        ([1.0, 2.0], [3.0, 4.0], "<strong>Trial 1 came out best.</strong>"),
        ([5.0, 6.0], [3.0, 4.0], "None was better than the settings at hand"),
        ([None], [None], "No run came to its end"),
        (None, None, "Not there yet"),
    ],
)
def test_the_page_says_what_came_out(small, at_hand, other, said):
    scores = None if at_hand is None else {0: at_hand, 1: other}
    assert said in render(tuning_of(small, scores), small[-1])


def test_what_decides_is_what_matters(made):
    *_, importance = made
    assert sum(importance.values()) == pytest.approx(1.0)
    assert importance["tau"] + importance["critic_lr"] > 0.4
    assert importance["noise"] + importance["batch_size"] < 0.1


def test_few_trials_say_nothing_of_importance(tmp_path):
    search = made_search(trials=4)
    searched(tmp_path, search, Pretended(1, 0))
    with quiet():
        assert Journal(tmp_path / "journal.log", search).importance() == {}


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_the_best_and_how_to_use_it(made, width):
    number = ranked(made[2])[0].number
    tuning = tuning_of(made, {0: [1.0, 2.0], number: [3.0, 4.0]})
    console = Console(file=StringIO(), width=width)
    print_tuning(tuning, console)
    said = console.file.getvalue()
    assert f"best: trial {number}; to use it: ddpg train --config" in said
    assert "tau <is> too large" in said
    assert "The best, and the settings at hand, with their scores in the search:\n" in said
    assert tuning.counted in said
    cut = [line for line in said.splitlines() if not line.startswith(("best:", "page:"))]
    assert max(map(len, cut)) <= width


def test_the_terminal_says_what_is_missing(made):
    console = Console(file=StringIO(), width=80)
    print_tuning(tuning_of(made), console)
    print_tuning(replace(tuning_of(made, {0: [None]}), best=None), console)
    said = console.file.getvalue()
    assert "there is nothing to run again" in said
    assert "no run came to its end" in said
