import pytest

from ddpg.errors import UsageError
from ddpg.run.disk.tables import Table, read_table

COLUMNS = ("step", "mean")


def table(path, **saved):
    made = Table(path, COLUMNS, **saved)
    made.keep()
    return made


def test_lines_are_on_disk_before_it_is_closed(tmp_path):
    made = table(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "step,mean\n"
    made.append({"mean": 0.1, "step": 123_456_789})
    made.append({"step": 2, "mean": float("nan")})
    assert (tmp_path / "t.csv").read_text() == "step,mean\n123456789,0.1\n2,nan\n"
    made.close()


def test_it_goes_on_where_it_was_saved_and_knows_what_stood_there(tmp_path):
    made = table(tmp_path / "t.csv")
    made.append({"step": 1, "mean": 1 / 3})
    saved, rows = made.save(), list(made.rows)
    made.append({"step": 2, "mean": 2.0})
    made.close()
    again = table(tmp_path / "t.csv", **saved)
    assert again.rows == rows == [{"step": 1, "mean": 0.33333333}]
    again.append({"step": 3, "mean": -3.0})
    again.close()
    assert (tmp_path / "t.csv").read_text() == "step,mean\n1,0.33333333\n3,-3\n"


@pytest.mark.parametrize("damage", ["changed", "cut off", "gone"])
def test_what_is_not_as_it_was_saved_is_refused_and_left_alone(tmp_path, damage):
    path = tmp_path / "t.csv"
    made = table(path)
    made.append({"step": 1, "mean": 1.0})
    saved = made.save()
    made.close()
    text = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(text.replace(b"1,1", b"1,2") if damage == "changed" else text[:-2])
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(UsageError, match=r"t\.csv is (missing|damaged)"):
        Table(path, COLUMNS, **saved)
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    made = table(tmp_path / "t.csv")
    made.append({"step": 1, "mean": 1.0})
    real = __import__("os").pwrite

    def full(file, data, place):
        if len(data) < 5:
            raise OSError(28, "No space left on device")
        return real(file, data[:3], place)

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(OSError, match="No space"):
        made.append({"step": 22, "mean": 2.0})
    monkeypatch.undo()
    assert (tmp_path / "t.csv").read_text() == "step,mean\n1,1\n"
    made.append({"step": 3, "mean": 3.0})
    assert (tmp_path / "t.csv").read_text() == "step,mean\n1,1\n3,3\n"
    made.close()


def test_a_reader_sees_whole_lines_alone_whoever_is_writing(tmp_path):
    path = tmp_path / "t.csv"
    assert read_table(path) == []
    for text, rows in {
        "": [],
        "step,me": [],
        "step,mean\n": [],
        "step,mean\n5,-0.5\n10,na": [{"step": 5, "mean": -0.5}],
        "step,mean\n5,inf\n": [{"step": 5, "mean": float("inf")}],
    }.items():
        path.write_text(text)
        assert read_table(path) == rows


@pytest.mark.parametrize("text", ["step,mean\n5\n", "step\nfive\n", "mean\n1\n", "step\n\xff\n"])
def test_what_is_no_table_is_named(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"t\.csv is damaged"):
        read_table(tmp_path / "t.csv")
