import os

import numpy as np
import pytest

from ddpg.errors import UsageError
from ddpg.replay import Replay
from ddpg.run.disk import transitions
from ddpg.run.disk.transitions import Transitions

WIDTH = 2 + 1 + 1 + 2 + 1 + 1


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(transitions, "BLOCK", 8)


def grow(made, replay, count):
    for _ in range(count):
        n = float(made.count)
        replay.add(
            np.array([n, -n]), np.array([0.5]), n / 3, np.array([n + 1, -n - 1]), False, False
        )
        made.append()


def plain(path):
    return np.fromfile(path, "<f4").reshape(-1, WIDTH)


@pytest.mark.parametrize("capacity", [1, 3, 8, 100])
def test_all_that_was_ever_added_is_in_the_file_whatever_the_replay_still_holds(tmp_path, capacity):
    path, replay = tmp_path / "replay.f32", Replay(2, 1, capacity)
    made = Transitions(path, replay)
    for count in (1, 7, 5, 20):
        grow(made, replay, count)
        saved = made.save()
    made.close()
    assert saved["count"] == 33
    assert len(saved["checksums"]) == 5
    assert plain(path)[:, 0].tolist() == list(range(33))
    again = Transitions(path, other := Replay(2, 1, capacity), **saved)
    other.restore(again.rows())
    rows = min(capacity, 33)
    np.testing.assert_array_equal(other.last_rows(rows), replay.last_rows(rows))
    assert len(other) == len(replay)
    grow(again, other, 1)
    grow(Transitions(tmp_path / "rest", replay), replay, 0)
    assert again.save()["count"] == 34
    again.close()


def test_what_came_after_the_checkpoint_is_written_over(tmp_path):
    path, replay = tmp_path / "replay.f32", Replay(2, 1, 50)
    made = Transitions(path, replay)
    grow(made, replay, 10)
    saved = made.save()
    made.close()
    with path.open("ab") as file:
        file.write(b"what a killed process left")
    again = Transitions(path, replay, **saved)
    grow(again, replay, 1)
    again.save()
    again.close()
    assert np.fromfile(path, "<f4", 11 * WIDTH).reshape(-1, WIDTH)[:, 0].tolist() == list(range(11))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: 8 * WIDTH * 4 + 3] + b"x" + data[8 * WIDTH * 4 + 4 :], "9 to 16"),
        (lambda data: data[:-1], "cut off: 19 of 20 transitions"),
        (lambda data: b"", "cut off: 0 of 20 transitions"),
    ],
)
def test_damage_is_refused_with_its_place_and_left_as_it_is(tmp_path, damage, message):
    path, replay = tmp_path / "replay.f32", Replay(2, 1, 50)
    made = Transitions(path, replay)
    grow(made, replay, 20)
    saved = made.save()
    made.close()
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    with pytest.raises(UsageError, match=message) as error:
        Transitions(path, replay, **saved)
    assert str(path) in str(error.value)
    assert path.read_bytes() == before


def test_a_write_that_failed_in_the_middle_is_made_again_by_the_next(tmp_path, monkeypatch):
    path, replay = tmp_path / "replay.f32", Replay(2, 1, 50)
    made = Transitions(path, replay)
    grow(made, replay, 5)
    write, calls = os.pwrite, []

    def full(file, data, place):
        calls.append(place)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return write(file, data[:11], place)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        made.save()
    grow(made, replay, 1)
    saved = made.save()
    made.close()
    monkeypatch.undo()
    monkeypatch.setattr(transitions, "BLOCK", 8)
    assert plain(path)[:, 0].tolist() == list(range(6))
    Transitions(path, replay, **saved).close()
