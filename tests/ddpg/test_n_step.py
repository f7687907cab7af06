"""N-step transitions against a plain-Python oracle that walks the list of what was added."""

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.replay import Replay

GAMMA = 0.9
ENDS = {"goes on": (False, False), "terminated": (True, False), "truncated": (False, True)}


def story(count, seed=0):
    """Transitions (number, reward, how it ended), some of whose episodes are given up."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(
        ["goes on", "terminated", "truncated", "given up"], count, p=[0.7, *[0.1] * 3]
    )
    return [(n, float(rng.normal()), str(kind)) for n, kind in enumerate(kinds)]


def filled(events, capacity):
    replay = Replay(1, 1, capacity)
    for number, reward, kind in events:
        here, after = np.array([float(number)]), np.array([number + 0.5])
        replay.add(here, np.array([-1.0]), reward, after, *ENDS.get(kind, (False, False)))
        if kind == "given up":
            replay.begin_episode()
    return replay


def oracle(events, start, n):
    """Sum of the rewards from `start` on, the last transition they reach, and how many they are."""
    total, place = 0.0, start
    for k in range(n):
        number, reward, kind = events[start + k]
        total += GAMMA**k * reward
        place = number
        if kind != "goes on" or start + k + 1 == len(events):
            break
    return total, place, k + 1


@pytest.mark.parametrize("n", [1, 2, 3, 7, 50])
@pytest.mark.parametrize(("count", "capacity"), [(1, 5), (12, 40), (40, 40), (41, 40), (97, 40)])
def test_rewards_are_summed_up_to_the_end_of_the_episode_or_the_newest(n, count, capacity):
    events = story(count)
    replay = filled(events, capacity)
    index = np.arange(len(replay))
    batch = replay.gather_steps(replay.follow(index, n, GAMMA))
    there = {number % capacity: number for number, *_ in events}  # the ring: later ones win
    for row, place in enumerate(index):
        start = there[place]
        total, last, steps = oracle(events, start, n)
        assert batch.obs.numpy()[row] == start
        assert batch.reward.numpy()[row] == pytest.approx(total, rel=1e-5, abs=1e-6)
        assert batch.next_obs.numpy()[row] == last + 0.5
        assert batch.terminated.numpy()[row] == (events[last][2] == "terminated")
        assert batch.discount.numpy()[row] == pytest.approx(GAMMA**steps, rel=1e-6)
    assert {t.dtype for t in batch} == {np.dtype(np.float32)}
    assert batch.reward.shape == batch.discount.shape == (len(index), 1)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize(("steps", "capacity"), [(1, 3), (9, 40), (40, 100), (40, 31), (40, 30)])
def test_environments_side_by_side_follow_their_own_transitions(n, steps, capacity):
    """As if each had a replay of its own: what follows is three rows later."""
    stories = [story(steps, seed) for seed in range(3)]
    side_by_side = Replay(1, 1, capacity, num_envs=3)
    for events in zip(*stories, strict=True):
        numbers = np.array([[float(number)] for number, *_ in events])
        rewards = np.array([reward for _, reward, _ in events])
        terminated, truncated = np.array([ENDS.get(e[2], (False, False)) for e in events]).T
        actions = np.array([[0.0], [1.0], [2.0]])
        side_by_side.add(numbers, actions, rewards, numbers + 0.5, terminated, truncated)
        for i, event in enumerate(events):
            if event[2] == "given up":
                side_by_side.begin_episode(i)
    index = np.arange(len(side_by_side))
    batch = side_by_side.gather_steps(side_by_side.follow(index, n, GAMMA))
    for row in range(len(index)):
        events = stories[int(batch.action.numpy()[row, 0])]
        total, last, count = oracle(events, int(batch.obs.numpy()[row, 0]), n)
        assert batch.reward.numpy()[row] == pytest.approx(total, rel=1e-5, abs=1e-6)
        assert batch.next_obs.numpy()[row] == last + 0.5
        assert batch.discount.numpy()[row] == pytest.approx(GAMMA**count, rel=1e-6)


def test_one_step_is_the_transition_itself():
    replay = filled(story(30), 20)
    index = np.arange(20)
    steps = replay.gather_steps(replay.follow(index, 1, GAMMA))
    plain = replay.gather(tg.from_numpy(index), GAMMA)
    for name in ("obs", "action", "reward", "next_obs", "terminated"):
        np.testing.assert_array_equal(getattr(steps, name).numpy(), getattr(plain, name).numpy())
    np.testing.assert_array_equal(steps.discount.numpy(), np.full((20, 1), plain.discount, "f4"))


def test_what_was_restored_follows_as_before():
    events = story(97)
    replay, other = filled(events, 40), Replay(1, 1, 40)
    complete = filled(events, 1000)
    other.restore(complete.last_rows(97))
    for one, two in zip(*(r.follow(np.arange(40), 4, GAMMA) for r in (replay, other)), strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())


@pytest.mark.parametrize("begins", [False, True])
def test_an_episode_that_goes_on_after_a_restore_is_the_same_one(begins):
    events = [(0, 1.0, "goes on"), (1, 1.0, "goes on")]
    replay, other = filled(events, 10), Replay(1, 1, 10)
    other.restore(replay.last_rows(2))
    if begins:
        other.begin_episode()
    other.add(np.array([2.0]), np.array([0.0]), 1.0, np.array([2.5]), False, False)
    steps = other.follow(np.array([0]), 5, GAMMA)
    assert steps.last.numpy().tolist() == [1 if begins else 2]
    assert [t.first for t in other.transitions(other.last_rows(3))] == [True, False, begins]


def bounds(rewards, terminated=False, gamma=GAMMA, restored=False):
    replay = Replay(1, 1, 3)
    for reward in rewards:
        replay.add(np.zeros(1), np.zeros(1), reward, np.zeros(1), terminated, False)
    if restored:
        rows, replay = filled([(0, r, "terminated") for r in rewards], 9), Replay(1, 1, 3)
        replay.restore(rows.last_rows(len(rewards)))
    return replay.value_bounds(gamma)


@pytest.mark.parametrize(
    ("rewards", "terminated", "expected"),
    [
        ([-1.0, -16.0], False, (-160.0, -10.0)),  # a reward at each step, for ever
        ([-1.0, -16.0], True, (-160.0, -1.0)),  # or one last one
        ([2.0, 1.0], False, (10.0, 20.0)),
        ([2.0, 1.0], True, (1.0, 20.0)),
        ([-3.0, 2.0], False, (-30.0, 20.0)),
        ([-3.0, 2.0], True, (-30.0, 20.0)),
        ([0.0], False, (0.0, 0.0)),
        ([5.0, -7.0, 0.0, 0.0, 0.0], False, (-70.0, 50.0)),  # also when they are overwritten
    ],
)
def test_no_value_lies_beyond_the_best_reward_for_ever(rewards, terminated, expected):
    assert bounds(rewards, terminated) == pytest.approx(expected)
    if terminated:
        assert bounds(rewards, restored=True) == pytest.approx(expected)


def test_bounds_are_the_same_after_a_restore_to_the_last_bit():
    replay, other = filled([(0, 0.1, "goes on"), (1, -1 / 3, "goes on")], 9), Replay(1, 1, 9)
    other.restore(replay.last_rows(2))
    assert replay.value_bounds(GAMMA) == other.value_bounds(GAMMA)


def test_without_a_discount_only_the_sign_bounds_a_sum():
    assert bounds([-1.0, 0.0], gamma=1.0) == (-np.inf, 0.0)
    assert bounds([1.0, 2.0], gamma=1.0, terminated=True) == (1.0, np.inf)
