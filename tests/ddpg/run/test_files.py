import pytest

from ddpg.run.files import Table, write_atomically


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(beside):
        beside.write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_the_file_as_a_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("old and long")
    write_atomically(path, lambda beside: beside.write_text("new"))
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_table_lines_are_on_disk_before_it_is_closed(tmp_path):
    table = Table(tmp_path / "t.csv", ("step", "mean"))
    assert (tmp_path / "t.csv").read_text() == "step,mean\n"
    table.append({"mean": 0.1, "step": 123_456_789})
    table.append({"step": 2, "mean": float("nan")})
    assert (tmp_path / "t.csv").read_text() == "step,mean\n123456789,0.1\n2,nan\n"
    table.close()
