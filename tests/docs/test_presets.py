"""The page's table is that of the code, and what it says was reached is what the runs reached."""

import json
from pathlib import Path

import pytest

from benchmarks.presets import (
    GOALS,
    RESULTS,
    SEEDS,
    presets_table,
    results_table,
    same,
    settings_of,
)
from ddpg.config import PRESETS, TrainConfig, changed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "presets.md").read_text("utf-8")
FOUND = json.loads(RESULTS.read_text("utf-8"))


def test_the_table_is_that_of_the_code():
    assert "\n".join(["", *presets_table(FOUND), ""]) in PAGE


def test_the_line_that_is_shown_is_the_one_that_is_said():
    row = PRESETS["HalfCheetah-v5"]
    assert f"\n{row.in_words(changed(TrainConfig(), row.settings))}\n" in PAGE


def test_the_record_has_each_seed():
    record = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
    assert "\n".join(["", *results_table(FOUND), ""]) in record


def test_what_is_called_measured_was_measured():
    assert set(GOALS) == {name for name, row in PRESETS.items() if row.source == "measured here"}
    assert set(FOUND) == set(GOALS)


@pytest.mark.parametrize("env_id", GOALS)
def test_five_runs_with_the_settings_of_the_table_reached_the_goal(env_id):
    assert same(FOUND[env_id]["settings"], settings_of(env_id))
    assert list(FOUND[env_id]["each_seed"]) == [str(seed) for seed in SEEDS]
    assert min(FOUND[env_id]["each_seed"].values()) >= GOALS[env_id]
