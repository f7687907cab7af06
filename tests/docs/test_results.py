"""The page's tables are those of the studies, and its commands those that made them."""

from pathlib import Path

import pytest

from benchmarks.studies import PUBLISHED, RESULTS, STUDIES, command, summary, table

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
        assert (
            row.get("algorithm") == "ddpg" or (row["env_id"], row.get("algorithm", "")) in PUBLISHED
        )
