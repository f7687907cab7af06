"""What `benchmarks/update.py` measures by is right: its reference, its check and its FLOPs."""

import dataclasses
from types import SimpleNamespace

import pytest

import tinygrad_rl as tg
from benchmarks.update_peers import problem, reference
from benchmarks.update_peers.project import Eager

# So many actions that the noise is clipped, and the noisy action, now and then.
SIZE = problem.Size.parse("17/6/32x32@256")
EACH = pytest.mark.parametrize("algorithm", ["ddpg", "td3"])


def distance_after_a_cycle(contender, expected):
    contender.check_cycle()
    return reference.distance(contender.parameters(), expected)[0]


@EACH
def test_the_agent_computes_what_float64_and_derivatives_by_hand_give(algorithm):
    given = problem.Problem.make(SIZE, algorithm, seed=0)
    assert distance_after_a_cycle(Eager(given, 1), reference.updated(given)) < 1e-6


WRONG = {
    "less noise": {"target_noise": 0.19},
    "another clip": {"target_noise_clip": 0.4},
    "the actor moves each time": {"actor_every": 1},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG)
def test_the_check_notices_other_settings(changed, monkeypatch):
    given = problem.Problem.make(SIZE, "td3", seed=0)
    expected = reference.updated(given)
    other = dataclasses.replace(given.settings, **changed)
    monkeypatch.setitem(problem.ALGORITHMS, "td3", other)
    assert distance_after_a_cycle(Eager(given, 1), expected) > 1e-4


def noisy_action_outside_its_bounds(agent):
    kept = agent.target_actor.range
    agent.target_actor.range = SimpleNamespace(
        center=kept.center, half=kept.half, clip=lambda action: action
    )


def target_of_the_first_critic(agent):
    first = agent.target_critics[0]
    critic_step = agent.critic_step

    def step(*arguments):
        agent.target_critics, kept = [first, first], agent.target_critics
        metrics = critic_step(*arguments)
        agent.target_critics = kept
        return metrics

    agent.critic_step = step


def actor_follows_the_second_critic(agent):
    actor_step = agent.actor_step

    def step(batch):
        agent.critics.reverse()
        metrics = actor_step(batch)
        agent.critics.reverse()
        return metrics

    agent.actor_step = step


def targets_move_without_the_actor(agent):
    update = agent.update

    def moved():
        metrics = update()
        if "actor_loss" not in metrics:
            tg.optim.polyak(agent.target_critics, agent.critics, agent.config.tau)
        return metrics

    agent.update = moved


@pytest.mark.parametrize(
    "break_it",
    [
        noisy_action_outside_its_bounds,
        target_of_the_first_critic,
        actor_follows_the_second_critic,
        targets_move_without_the_actor,
    ],
)
def test_the_check_notices_mistakes(break_it):
    given = problem.Problem.make(SIZE, "td3", seed=0)
    contender = Eager(given, 1)
    break_it(contender.agent)
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
