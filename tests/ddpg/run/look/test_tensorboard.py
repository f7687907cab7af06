import math
import sys

import pytest

from ddpg import cli
from ddpg.run.disk import folder
from ddpg.run.look.tensorboard import EPISODE_TAGS, EVALUATION_TAGS
from ddpg.run.runs import resume, train
from tests.ddpg.run.runs import config, files_of, killed, quiet, rows

SETTINGS = config(total_timesteps=100, warmup_steps=30)


pytestmark = pytest.mark.usefixtures("no_drawing")


def events(run_dir):
    """(tag, step, value) of every scalar in the event files."""
    record = pytest.importorskip("tensorboardX.record_writer")
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    assert record is not None
    found = []
    for path in (run_dir / folder.TENSORBOARD).iterdir():
        data, place = path.read_bytes(), 0
        while place < len(data):
            size = int.from_bytes(data[place : place + 8], "little")
            event = event_pb2.Event.FromString(data[place + 12 : place + 12 + size])
            place += size + 16
            found += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
    return sorted(found)


def expected(run_dir):
    """The same, from the tables."""
    found = []
    for name, tags in (
        (folder.METRICS_TABLE, EPISODE_TAGS),
        (folder.EVALUATIONS_TABLE, EVALUATION_TAGS),
    ):
        for row in rows(run_dir / name):
            found += [(t, row["step"], row[c]) for c, t in tags.items() if not math.isnan(row[c])]
    return sorted(found)


def assert_equal(run_dir):
    seen, tables = events(run_dir), expected(run_dir)
    assert {tag for tag, _, _ in seen} >= {
        *("rollout/ep_rew_mean", "rollout/ep_len_mean"),
        *("train/actor_loss", "train/critic_loss", "eval/mean_reward"),
    }
    assert [e[:2] for e in seen] == [e[:2] for e in tables]
    assert [e[2] for e in seen] == pytest.approx([e[2] for e in tables], rel=1e-6)


def test_events_are_the_tables_and_the_run_is_the_same(tmp_path):
    pytest.importorskip("tensorboardX")
    train(SETTINGS, tmp_path / "a", quiet(), tensorboard=True)
    train(SETTINGS, tmp_path / "b", quiet())
    assert_equal(tmp_path / "a")
    with_events, without = files_of(tmp_path / "a"), files_of(tmp_path / "b")
    names = [name for name in with_events if not name.startswith(folder.TENSORBOARD)]
    assert {name: with_events[name] for name in names} == without


def test_a_killed_run_that_goes_on_has_no_step_twice(tmp_path):
    pytest.importorskip("tensorboardX")
    killed(tmp_path / "a", SETTINGS, 75)
    for steps in (100, 130):
        longer = config(total_timesteps=steps, warmup_steps=30)
        resume(tmp_path / "a", longer, console=quiet(), tensorboard=True)
        assert_equal(tmp_path / "a")


def test_a_missing_package_is_said_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--tensorboard", "--run-dir", str(tmp_path / "a")])
    assert end.value.code == 2
    assert "pip install 'tinygrad-rl[tensorboard]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
