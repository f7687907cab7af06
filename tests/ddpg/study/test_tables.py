import csv
import math
from dataclasses import replace

import pytest

from ddpg.study.outcome.summary import make_summary
from ddpg.study.outcome.tables import write_tables
from tests.ddpg.study.made import made_result, made_results


@pytest.fixture
def tables(tmp_path):
    """The rows of study.csv and of summary.csv, by column."""

    def call(results):
        write_tables(make_summary(results), tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["study.csv", "summary.csv"]
        return [
            list(csv.DictReader((tmp_path / name).read_text("utf-8").splitlines(keepends=True)))
            for name in ("study.csv", "summary.csv")
        ]

    return call


def test_a_row_for_each_run(tables):
    setting = {"tau": 0.1, "hidden": [64, 64], "compile": True, "noise": "ou"}
    results = [
        made_result([1.0, 7.0, 1 / 3, 4.0, 5.0], setting, seed=3),
        made_result([2.0], {}, seed=4, state="diverged", message='no, "not" finite,\nat ö'),
        made_result([2.0], {"tau": 0.2}, seed=5, state="not begun"),
    ]
    first, second, third = tables(results)[0]
    assert first == {
        "env_id": "Pendulum-v1", "tau": "0.1", "hidden": "[64, 64]", "compile": "true",
        "noise": "ou", "seed": "3", "run": results[0].run, "state": "finished", "steps": "5000",
        "total_timesteps": "5000", "score": "4.5", "last_evaluation_mean": "5",
        "best_evaluation_mean": "7", "last_q_bias": "-0.125", "message": "",
    }  # fmt: skip
    assert (second["tau"], second["score"], second["last_evaluation_mean"]) == ("", "", "2")
    assert (second["state"], second["message"]) == ("diverged", 'no, "not" finite,\nat ö')
    assert (third["state"], third["steps"], third["best_evaluation_mean"]) == ("not begun", "0", "")


def test_a_row_for_each_environment_and_setting(tables):
    results = made_results({"A-v0": [[1.0, 1.0, 4.0], [1 / 3]], "B-v0": [[5.0], [6.0]]})
    results[1] = replace(results[1], state="failed")
    results[5] = replace(results[5], state="unfinished")
    rows = tables(results)[1]
    assert rows[0] == {
        "env_id": "A-v0", "critic_lr": "0.001", "runs": "3", "finished": "2",
        "mean": "2.5", "mean_low": "1", "mean_high": "4",
        "iqm": "2.5", "iqm_low": "1", "iqm_high": "4",
    }  # fmt: skip
    assert (rows[1]["mean"], rows[1]["mean_low"], rows[1]["iqm_high"]) == ("0.33333333", "", "")
    assert [(row["env_id"], row["critic_lr"]) for row in rows[2:]] == [
        ("B-v0", "0.001"),
        ("B-v0", "0.0001"),
    ]
    assert (rows[3]["runs"], rows[3]["finished"], rows[3]["iqm"]) == ("1", "0", "")


def test_an_older_table_without_q_bias_and_an_evaluation_that_was_nan(tables):
    without = {"step": 1, "mean": math.nan}
    (row,) = tables([replace(made_result(1.0), evaluations=[without])])[0]
    assert (row["last_q_bias"], row["last_evaluation_mean"]) == ("", "nan")


def test_mean_and_iqm_stand_in_their_columns(tables):
    (row,) = tables(made_results({"A-v0": [[0.0, 1.0, 2.0, 97.0]]}))[1]
    assert (row["mean"], row["iqm"]) == ("25", "1.5")
    assert float(row["mean_low"]) < 25 < float(row["mean_high"])
    assert float(row["iqm_low"]) < 1.5 < float(row["iqm_high"])
