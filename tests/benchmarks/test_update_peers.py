"""What `benchmarks/update.py` measures by is right: its reference, its check and its FLOPs."""

import dataclasses

import pytest

import tinygrad_rl as tg
from benchmarks.update_peers import problem, reference
from benchmarks.update_peers.project import Eager

SIZE = problem.Size.parse("3/2/16x8@32")
EACH = pytest.mark.parametrize("algorithm", ["ddpg", "td3"])


def distance_after_a_cycle(contender, expected):
    contender.check_cycle()
    return reference.distance(contender.parameters(), expected)[0]


@EACH
def test_the_agent_computes_what_float64_and_derivatives_by_hand_give(algorithm):
    given = problem.Problem.make(SIZE, algorithm, seed=0)
    assert distance_after_a_cycle(Eager(given, 1), reference.updated(given)) < 1e-6


@pytest.mark.parametrize(
    "wrong", [{"target_noise": 0.19}, {"target_noise_clip": 0.4}, {"actor_every": 1}], ids=str
)
def test_the_check_notices_other_settings(wrong, monkeypatch):
    given = problem.Problem.make(SIZE, "td3", seed=0)
    expected = reference.updated(given)
    other = dataclasses.replace(given.settings, **wrong)
    monkeypatch.setitem(problem.ALGORITHMS, "td3", other)
    assert distance_after_a_cycle(Eager(given, 1), expected) > 1e-4


def test_the_check_notices_an_actor_that_follows_another_critic():
    given = problem.Problem.make(SIZE, "td3", seed=0)
    contender = Eager(given, 1)
    actor_step = contender.agent.actor_step

    def follow_the_second(batch):
        contender.agent.critics.reverse()
        metrics = actor_step(batch)
        contender.agent.critics.reverse()
        return metrics

    contender.agent.actor_step = follow_the_second
    assert distance_after_a_cycle(contender, reference.updated(given)) > 1e-4


@EACH
def test_flops_of_a_cycle_are_those_that_the_engine_executes(algorithm):
    """So a frozen critic is free, and so are those that the actor does not follow."""
    given = problem.Problem.make(SIZE, algorithm, seed=0)
    with tg.count_flops() as counter:
        Eager(given, 1).check_cycle()
    # Without a compiler, dQ/dinput is a whole product, the observation's columns too.
    observation = 2 * SIZE.batch * SIZE.obs * SIZE.hidden[0]
    assert counter.total == SIZE.cycle_flops(given.settings) + observation


def test_the_delayed_actor_step_is_all_that_updates_differ_by():
    given = problem.Problem.make(SIZE, "td3", seed=0)
    agent = Eager(given, 1).agent
    counts = []
    for _ in range(4):
        with tg.count_flops() as counter:
            agent.update()
        counts.append(counter.total)
    actor = [3 * 16, 16 * 8, 8 * 2]
    critic = [5 * 16, 16 * 8, 8 * 1]
    # Forward; back through the one frozen critic to its input; back through the actor.
    products = sum(actor) + sum(critic) + sum(critic) + sum(actor) + sum(actor[1:])
    assert [b - a for a, b in zip(counts[::2], counts[1::2], strict=True)] == [64 * products] * 2
