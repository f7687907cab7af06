import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.errors import UsageError
from ddpg.replay import Replay

OBS, NEXT_OBS, ACTION = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), np.array([7.0, 8.0])


def numbered(count, capacity):
    """A replay to which transitions were added that hold nothing but their number."""
    replay = Replay(3, 2, capacity)
    for number in range(count):
        replay.add(np.full(3, number), np.full(2, number), number, np.full(3, number), False, False)
    return replay


def rewards(replay):
    index = tg.from_numpy(np.arange(len(replay)))
    return replay.gather(index, 0.9).reward.numpy().ravel().tolist()


def test_a_transition_comes_back_as_float32_columns():
    replay = Replay(3, 2, capacity=4)
    replay.add(OBS, ACTION, -0.5, NEXT_OBS, True, False)
    batch = replay.gather(tg.from_numpy(np.array([0, 0])), 0.9)
    assert [t.shape for t in batch[:5]] == [(2, 3), (2, 2), (2, 1), (2, 3), (2, 1)]
    assert {t.dtype for t in batch[:5]} == {np.dtype(np.float32)}
    expected = (OBS, ACTION, [-0.5], NEXT_OBS, [1.0])
    for tensor, row in zip(batch[:5], expected, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), [row, row])


def test_stored_rows_are_copies():
    replay, obs = Replay(3, 2, capacity=4), OBS.astype(np.float32)
    replay.add(obs, ACTION, 0.0, obs, False, False)
    obs[:] = 99
    np.testing.assert_array_equal(
        replay.gather(tg.from_numpy(np.array([0])), 0.9).obs.numpy()[0], OBS
    )


def test_rows_written_after_a_gather_are_seen_by_the_next_one():
    """The tensors share the arrays: nothing may have kept a copy."""
    replay = numbered(1, capacity=2)
    assert rewards(replay) == [0.0]
    replay.add(OBS, ACTION, 5.0, NEXT_OBS, False, False)
    assert rewards(replay) == [0.0, 5.0]


def test_the_oldest_is_overwritten_first():
    replay = numbered(7, capacity=5)
    assert len(replay) == 5
    assert rewards(replay) == [5.0, 6.0, 2.0, 3.0, 4.0]


def test_draws_are_uniform_over_what_was_stored():
    index = numbered(4, capacity=100).sample_indices(np.random.default_rng(0), 40_000)
    assert index.dtype == np.int64
    np.testing.assert_allclose(np.bincount(index) / 40_000, 1 / 4, atol=0.01)


def test_draws_reach_the_whole_of_a_full_replay():
    index = numbered(9, capacity=5).sample_indices(np.random.default_rng(0), 1000)
    assert set(index.tolist()) == set(range(5))


def test_an_empty_replay_says_so():
    with pytest.raises(UsageError, match="the replay is empty"):
        Replay(3, 2, capacity=4).sample_indices(np.random.default_rng(0), 1)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obs": OBS[:2]}, r"obs must have shape \(3,\), got \(2,\)"),
        ({"obs": OBS[None]}, r"obs must have shape \(3,\), got \(1, 3\)"),
        ({"action": 0.5}, r"action must have shape \(2,\), got \(\)"),
        ({"next_obs": np.zeros(4)}, r"next_obs must have shape \(3,\), got \(4,\)"),
        ({"obs": [0, NAN, 0]}, r"obs\[1\] is nan, which is not a finite float32"),
        ({"action": [0, INFINITY]}, r"action\[1\] is inf"),
        ({"next_obs": [-INFINITY, 0, 0]}, r"next_obs\[0\] is -inf"),
        ({"next_obs": [0, 0, 1e39]}, r"next_obs\[2\] is 1e\+39, which is not a finite float32"),
        ({"reward": NAN}, "reward is nan, which is not a finite float32"),
        ({"reward": np.float64("-inf")}, "reward is -inf"),
        ({"reward": 1e39}, r"reward is 1e\+39"),
        ({"reward": np.array([1.0])}, r"reward must be a single number, got shape \(1,\)"),
        ({"terminated": 1.0}, "terminated must be True or False, got 1.0"),
        ({"truncated": None}, "truncated must be True or False, got None"),
    ],
)
def test_a_bad_transition_is_refused_before_anything_is_stored(change, message):
    replay = numbered(2, capacity=2)
    transition = {"obs": OBS, "action": ACTION, "reward": 1.0, "next_obs": NEXT_OBS}
    with pytest.raises(ValueError, match=message):
        replay.add(**{**transition, "terminated": False, "truncated": False, **change})
    assert rewards(replay) == [0.0, 1.0]
    replay.add(**transition, terminated=np.bool_(True), truncated=False)
    assert rewards(replay) == [1.0, 1.0]


def test_a_large_replay_costs_nothing_until_it_is_used():
    assert len(Replay(100, 10, capacity=1_000_000)) == 0  # 880 MB, were it touched
