"""The page's tables are those of the studies, and its commands those that made them."""

from pathlib import Path

import pytest

from benchmarks.studies import STUDIES, command
from benchmarks.studies.published import curves, published
from benchmarks.studies.tables import RESULTS, read_rows, summary, table

PAGE = (Path(__file__).parents[2] / "docs" / "results.md").read_text("utf-8")
COLLECTED = [name for name in STUDIES if (RESULTS / name).exists()]


@pytest.mark.parametrize("name", COLLECTED)
def test_a_table_is_that_of_its_study(name):
    assert "\n".join(["```bash", command(name), "```", "", *table(name), ""]) in PAGE


@pytest.mark.parametrize("name", COLLECTED)
def test_every_run_is_finished_and_has_its_tables(name):
    for row in summary(name):
        assert row["finished"] == row["runs"], row
    runs = {path.parent for path in (RESULTS / name).rglob("evaluations.csv")}
    assert len(runs) == sum(int(row["runs"]) for row in summary(name))
    assert all((run / "metrics.csv").exists() for run in runs)
    assert (RESULTS / name / "versions.json").exists()


@pytest.mark.parametrize("name", COLLECTED)
def test_every_row_stands_beside_a_published_one(name):
    for row in summary(name):
        algorithm = row.get("algorithm", "")
        assert algorithm == "ddpg" or published(row["env_id"], algorithm, 50_000)


def test_published_curves_are_measured_as_runs_are():
    """TD3's paper on Hopper-v1: the mean of ten seeds, of the ten evaluations up to 300,000."""
    found = published("Hopper-v5", "td3", 300_000)
    assert found.source == "TD3's paper, 300k, v1, 10 seeds"
    assert found.value.value == pytest.approx(2458.2, abs=0.05)
    assert found.value.low < found.value.value < found.value.high
    last = [rows[-1]["mean"] for rows in curves("Hopper-v5")]
    assert sum(last) / len(last) == pytest.approx(2410.3, abs=0.05)
    assert published("Hopper-v5", "ddpg", 300_000) is None


def test_a_short_run_stands_beside_the_published_ones_at_that_step():
    assert published("Reacher-v5", "", 50_000).source == "TD3's paper, 50k, v1, 10 seeds"
    assert (
        published("Reacher-v5", "", 50_000).value.value
        < published("Reacher-v5", "", 300_000).value.value
    )


def test_what_the_page_says_of_single_runs_of_the_double_pendulum():
    scores = {"1000": [], "5000": []}
    for row in read_rows(RESULTS / "double-pendulum" / "study.csv"):
        scores[row["warmup_steps"]].append(float(row["score"]))
    low = sorted(scores["1000"])[:4]
    assert [round(score) for score in low] == [21, 6379, 6392, 9320]
    there = sorted(seed[9]["mean"] for seed in curves("InvertedDoublePendulum-v5"))
    assert [round(value) for value in there[:3]] == [517, 6703, 9306]
    assert round(min(scores["5000"])) == 9317
    assert "21, 6,392 and\n6,379" in PAGE and "517 and 6,703" in PAGE and "9,317" in PAGE
