"""The journal of a tuning: nothing in it can be changed without being noticed."""

import pytest

import ddpg
from ddpg.errors import UsageError
from ddpg.study.tuning.lines import Lines
from ddpg.study.tuning.search import write_search
from tests.ddpg.study.tuning.made import Pretended, made_search, searched

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.usefixtures("no_disk")
LOGS = [{"op_code": 0, "name": "tune"}, {"op_code": 4, "values": [0.1, None]}, {"op_code": 6}]


def test_lines_are_read_as_they_were_written(tmp_path):
    lines = Lines(tmp_path / "j.log")
    lines.append_logs(LOGS[:1])
    lines.append_logs(LOGS[1:])
    for each in (lines, Lines(tmp_path / "j.log")):
        assert [*each.read_logs(0)] == LOGS
        assert [*each.read_logs(2)] == LOGS[2:]


def test_a_changed_byte_and_a_missing_line_are_noticed(tmp_path):
    path, copy = tmp_path / "j.log", tmp_path / "copy.log"
    Lines(path).append_logs(LOGS)
    data = path.read_bytes()
    for i in range(len(data)):
        copy.write_bytes(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
        try:
            found = [*Lines(copy).read_logs(0)]
        except UsageError as error:
            assert f"{copy} is damaged: line " in str(error)
        else:
            assert i == len(data) - 1 and found == LOGS[:2]  # no end of a line any more
    first, second, third = data.splitlines(keepends=True)
    for rest in (second + third, first + third, second + first + third, first + first):
        copy.write_bytes(rest)
        with pytest.raises(UsageError, match=r"damaged: line [12] is not as it was written"):
            Lines(copy)


def test_what_a_killed_process_wrote_in_part_is_written_again(tmp_path):
    path = tmp_path / "j.log"
    Lines(path).append_logs(LOGS)
    data = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data)):
        path.write_bytes(data[:length])
        lines = Lines(path)
        whole = sum(end <= length for end in ends)
        assert [*lines.read_logs(0)] == LOGS[:whole]
        lines.append_logs(LOGS[whole:])
        assert path.read_bytes() == data


def test_optuna_reads_the_journal_by_itself(tmp_path):
    search = made_search(trials=12)
    trials = searched(tmp_path, search, Pretended(1, 0))
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log"))
    study = optuna.load_study(study_name="tune", storage=optuna.storages.JournalStorage(backend))
    assert [each.value for each in study.trials] == [trial.value for trial in trials]


def test_without_its_journal_a_tuning_has_the_same_trials(tmp_path):
    search = made_search(trials=20)
    before = searched(tmp_path, search, Pretended(2, 1))
    (tmp_path / "journal.log").unlink()
    assert searched(tmp_path, search, Pretended(1, 3)) == before


def test_a_damaged_journal_is_one_line_and_nothing_is_lost(tmp_path):
    search = made_search(trials=3)
    made = tmp_path / "t"
    searched(made, search, Pretended(1, 0))
    write_search(made, search)
    journal = made / "journal.log"
    journal.write_text(journal.read_text().replace('"op_code":', '"op_code": ', 1))
    before = {path: path.read_bytes() for path in made.rglob("*.*")}
    with pytest.raises(UsageError, match=r"journal.log is damaged: line 1 .* chosen again"):
        ddpg.tune(tune_dir=made, progress=False)
    assert {path: path.read_bytes() for path in made.rglob("*.*")} == before
