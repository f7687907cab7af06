"""A study goes on, wherever what it came to was kept."""

import shutil

from benchmarks.studies import tables
from tests.ddpg.study.studies import go_on, quickly


def test_runs_that_were_kept_at_their_end_are_not_run_again_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path / "results")
    one, other = tmp_path / "one", tmp_path / "other"
    study = quickly(one, seeds=2)
    first, second = (one / result.run for result in study.results)
    second.with_name("seed-1.json").unlink()  # as if it went on still
    tables.collect("s", one)
    kept = {p: p.read_bytes() for p in (tmp_path / "results").rglob("*") if p.is_file()}
    (tmp_path / "results" / "s" / "versions.json").write_text('{"python": "3.9.1"}')
    tables.lay_out("s", other)
    assert (other / first.relative_to(one)).exists() and not (
        other / second.relative_to(one)
    ).exists()
    shutil.copy(one / "study.json", other)
    elsewhere = go_on(other)
    assert [r.evaluations for r in elsewhere.results] == [r.evaluations for r in study.results]
    assert not (other / first.relative_to(one) / "checkpoint").exists()
    tables.collect("s", other)
    again = {p: p.read_bytes() for p in (tmp_path / "results").rglob("*") if p.is_file()}
    changed = {path.name for path in {**kept, **again} if kept.get(path) != again.get(path)}
    assert changed == {"versions.json", "seed-1.json"}
    assert '"python": "3.9.1 and ' in (tmp_path / "results" / "s" / "versions.json").read_text()
