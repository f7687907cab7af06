from ddpg.run.log import Table


def test_table_lines_are_on_disk_before_it_is_closed(tmp_path):
    table = Table(tmp_path / "t.csv", ("step", "mean"))
    assert (tmp_path / "t.csv").read_text() == "step,mean\n"
    table.append({"mean": 0.1, "step": 123_456_789})
    table.append({"step": 2, "mean": float("nan")})
    assert (tmp_path / "t.csv").read_text() == "step,mean\n123456789,0.1\n2,nan\n"
    table.close()
