import pytest

from ddpg.run.hints import hint


def evaluations(*means, spread=0.0):
    return [{"mean": m, "min": m - spread, "max": m + spread} for m in means]


def episodes(*returns, lengths=(999,)):
    return [{"return": r, "length": lengths[i % len(lengths)]} for i, r in enumerate(returns)]


def test_a_policy_that_does_nothing_is_told_to_explore():
    """MountainCarContinuous, seed 1: the reward is never found, standing still costs least."""
    still = evaluations(-0.0001, -0.15, -0.08, -0.07, -0.04)
    assert "--noise ou" in hint(episodes(-33.0, -20.0, -2.0), still)
    assert hint(episodes(-33.0, -20.0, -2.0), still[:4]) is None


def test_a_reward_that_is_always_zero():
    assert hint(episodes(0.0, 0.0), evaluations(0.0, 0.0, 0.0, 0.0, 0.0)) is not None


@pytest.mark.parametrize(
    ("training", "evaluated"),
    [
        (episodes(-1200.0, -300.0), evaluations(*[-150.0] * 5, spread=90.0)),
        (episodes(-1200.0, -300.0), evaluations(-900.0, -500.0, -300.0, -200.0, -150.0)),
        (episodes(20.0, 1000.0, lengths=(20, 1000)), evaluations(*[1000.0] * 5)),
    ],
    ids=["differs by start state", "still learning", "learned: episodes used to end early"],
)
def test_learning_is_left_alone(training, evaluated):
    assert hint(training, evaluated) is None


def test_nothing_is_said_before_there_is_anything():
    assert hint([], []) is None
