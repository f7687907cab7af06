import math

import numpy as np
import pytest

from ddpg.config import ALGORITHMS, TrainConfig, config_to_dict
from ddpg.run import hints
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.hints import (
    Hints,
    impossible_q,
    large_observations,
    no_reward_found,
    nothing_is_learned,
    saturated_actor,
)
from tests.ddpg.run.runs import begin, config, quiet, without_drawing

NAN = math.nan


def evaluations(*means, spread=0.0):
    return [{"mean": m, "min": m - spread, "max": m + spread} for m in means]


def episodes(*returns, lengths=(999,)):
    return [{"return": r, "length": lengths[i % len(lengths)]} for i, r in enumerate(returns)]


def rows(*columns, length=200):
    """Of (mean_q, saturation, return); None for both stands for the warm-up."""
    return [
        {
            "updates": 0 if q is None else length,
            "mean_q": NAN if q is None else q,
            "saturation": NAN if saturation is None else saturation,
            "return": total,
            "length": length,
        }
        for q, saturation, total in columns
    ]


def test_a_policy_that_does_nothing_is_told_to_explore():
    """MountainCarContinuous, seed 1: the reward is never found, standing still costs least."""
    still = evaluations(-0.0001, -0.15, -0.08, -0.07, -0.04)
    assert "--noise ou" in no_reward_found(episodes(-33.0, -20.0, -2.0), still)
    assert no_reward_found(episodes(-33.0, -20.0, -2.0), still[:4]) is None


def test_a_run_that_ends_in_its_warmup_is_told(tmp_path):
    assert nothing_is_learned(1001, 1000) is None
    console = quiet()
    with without_drawing():
        begin(tmp_path / "run", config(total_timesteps=60, warmup_steps=60), console)
    said = " ".join(console.file.getvalue().split())
    assert "nothing will be learned: up to step 60 the actions are random" in said


def test_a_reward_that_is_always_zero():
    assert no_reward_found(episodes(0.0, 0.0), evaluations(0.0, 0.0, 0.0, 0.0, 0.0)) is not None


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
    assert no_reward_found(training, evaluated) is None


def test_nothing_is_said_before_there_is_anything():
    assert no_reward_found([], []) is None
    assert impossible_q([], (math.inf, -math.inf)) is None
    assert saturated_actor([]) is None


WARM_UP = [(None, None, -1200.0)] * 5
PENDULUM, ONES = (-1620.0, -0.1), (0.0, 100.0)


@pytest.mark.parametrize(
    ("q", "bounds", "length", "said"),
    [
        ([300.0] * 5, PENDULUM, 200, True),
        ([-1900.0] * 5, PENDULUM, 200, True),
        ([900.0, -1900.0, 900.0, 900.0, 900.0], PENDULUM, 200, True),
        ([111.0] * 5, ONES, 200, True),
        ([300.0] * 4, PENDULUM, 200, False),
        ([-50.0, *[300.0] * 4], PENDULUM, 200, False),
        ([300.0, 300.0, -50.0, 300.0, 300.0], PENDULUM, 200, False),
        ([300.0] * 2, PENDULUM, 1000, False),
        ([300.0] * 3, PENDULUM, 1000, True),
        ([300.0] * 99, PENDULUM, 10, False),
        ([300.0] * 100, PENDULUM, 10, True),
        ([-30.0] * 5, PENDULUM, 200, False),
        ([150.0] * 5, PENDULUM, 200, False),
        ([109.0] * 5, ONES, 200, False),
        ([-9.0] * 5, ONES, 200, False),
        ([-1e9] * 5, (-math.inf, -math.inf), 200, False),
        ([1e9] * 5, (0.0, math.inf), 200, False),
    ],
)
def test_q_is_called_impossible_when_it_stays_far_outside(q, bounds, length, said):
    training = rows(*WARM_UP, *((value, 0.5, -150.0) for value in q), length=length)
    assert (impossible_q(training, bounds) is not None) == said


def test_words_about_q_have_what_was_seen_and_what_helps():
    """InvertedPendulum with tau 1: Q is 20 times what it can be, while the policy is perfect."""
    words = impossible_q(rows(*[(2000.4, 0.2, 1000.0)] * 3, length=1000), ONES)
    assert "says 2,000 on average" in words
    assert "between 0 and 100" in words
    for flag in ("--algorithm td3", "--critic-layer-norm", "--critic-lr", "--tau"):
        assert flag in words


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ([*WARM_UP, *[(-50.0, 1.0, -1400.0)] * 5], True),
        ([*WARM_UP, *[(-50.0, 0.96, -1200.0)] * 5], True),
        ([*WARM_UP, *[(-50.0, 1.0, -1400.0)] * 4], False),
        ([*WARM_UP, *[(-50.0, 1.0, -150.0)] * 5], False),
        ([*WARM_UP, *[(-50.0, 0.93, -1400.0)] * 5], False),
        ([*WARM_UP, *[(-50.0, 1.0, -1400.0)] * 3, (-50.0, 0.5, -1400.0)], False),
        ([*WARM_UP, *[(-50.0, NAN, -1400.0)] * 9], False),
        ([(-50.0, 0.1, -1300.0), *[(-50.0, 1.0, -1400.0)] * 5], True),
        ([(-50.0, 0.1, -1500.0), *[(-50.0, 1.0, -1400.0)] * 5], False),
    ],
    ids=[
        *("worse than chance", "as good as chance", "not long enough", "bang-bang that earns"),
        *("less", "it has ended", "no update moved the actor", "no warm-up", "better than first"),
    ],
)
def test_an_actor_is_called_saturated_when_it_earns_no_more_than_chance(training, said):
    assert (saturated_actor(rows(*training)) is not None) == said


def test_words_about_the_actor_have_what_was_seen_and_what_helps():
    words = saturated_actor(rows(*WARM_UP, *[(-50.0, 0.99, -1440.6)] * 5))
    assert "99 % of its actions" in words
    assert "brings -1,441, no more than before the first update (-1,200)" in words
    for flag in ("--actor-lr", "--algorithm td3", "--critic-layer-norm"):
        assert flag in words


def test_each_hint_is_given_once():
    said = []
    given, both = Hints(said.append), [(300.0, 1.0, -1400.0)]
    for count in range(1, 20):
        given.after_episode(rows(*WARM_UP, *both * count), PENDULUM)
    assert [text.split(":")[0] for text in said] == [
        "Q has become impossible",
        "the actor is saturated",
    ]
    still = evaluations(*[0.0] * 5)
    given.after_evaluation(episodes(0.0), still)
    given.after_evaluation(episodes(0.0, 0.0), still)
    assert len(said) == 3


def test_named_flags_exist_and_td3_is_what_is_said():
    words = impossible_q(rows(*[(2000.4, 0.2, 1000.0)] * 5), ONES)
    flags = [word.strip("(),") for word in words.split() if "--" in word]
    known = config_to_dict(TrainConfig())
    names = {flag.lstrip("-").replace("-", "_") for flag in flags} - {"algorithm"}
    assert names <= set(known)
    for name in ("critics", "target_noise", "actor_every"):
        assert f"--{name.replace('_', '-')} {ALGORITHMS['td3'][name]}" in words


def test_large_observations_are_told_how_they_become_small():
    obs = np.tile(np.float32([1.0, -150.0, 90.0]), (50, 1))
    assert "number 2 of 3 is 150 in size on average" in large_observations(obs)
    assert "--normalize-observations" in large_observations(obs)
    assert large_observations(0.6 * obs) is None
    one_outlier = np.zeros((50, 3), np.float32)
    one_outlier[7, 0] = 1e3
    assert large_observations(one_outlier) is None


@pytest.mark.parametrize("normalized", [False, True])
def test_a_run_looks_at_its_observations_once_before_its_first_update(
    tmp_path, monkeypatch, normalized
):
    asked = []
    monkeypatch.setattr(hints, "large_observations", lambda obs: asked.append(obs) or "large")
    console, settings = quiet(), config(eval_every=0, normalize_observations=normalized)
    with without_drawing():
        begin(tmp_path, settings, console)
    assert console.file.getvalue() == ("" if normalized else "large\n")
    assert [obs.shape for obs in asked] == ([] if normalized else [(70, 2)])  # the replay's 70


def test_a_run_without_evaluations_gives_hints_too(tmp_path, monkeypatch):
    """At the ends of episodes, with the bounds of the rewards seen until then; and once."""
    asked = []

    def said(episodes, bounds):
        asked.append((len(episodes), bounds))
        return "Q is wrong" if len(episodes) >= 3 else None

    monkeypatch.setattr(hints, "impossible_q", said)
    console = quiet()
    settings = config(eval_every=0, total_timesteps=150)
    with without_drawing():
        log = begin(tmp_path, settings, console)
    assert console.file.getvalue() == "Q is wrong\n"
    assert [count for count, _ in asked] == [1, 2, 3]
    agent, _ = load_agent(tmp_path)
    done = int(log.episodes[2]["step"])
    transitions = np.fromfile(tmp_path / folder.TRANSITIONS, "<f4").reshape(-1, agent.replay.width)
    agent.replay.restore(transitions[:done])
    expected = agent.replay.value_bounds(settings.ddpg.gamma)
    assert asked[-1][1] == pytest.approx(expected)
