"""A gradient that is asked for, and not fed on to the actor, makes no joint.

The critic either takes no part, and the line where its influence ends is named, or another cut has
it: its gradient was computed without `create_graph`, or left the engine.
"""

import numpy as np
import pytest

import tinygrad_rl as tg

RNG = np.random.default_rng(0)
ACTOR = tg.nn.MLP((3, 8, 2), rng=RNG)
CRITIC = tg.nn.MLP((5, 8, 1), rng=RNG)
OBS = tg.Tensor(RNG.normal(size=(6, 3)).astype(np.float32))
ONES = np.ones((6, 2), np.float32)


def q(action):
    return CRITIC(tg.concatenate([OBS, action], axis=1))


def copied():
    action = ACTOR(OBS)
    return action, action.detach().requires_grad_()


@pytest.fixture(autouse=True)
def no_gradients():
    yield
    for net in (ACTOR, CRITIC):
        for p in net.parameters():
            p.grad = None


def fate(e, name):
    """The status of all tensors of a network, and the kinds of their causes."""
    (status,) = {leaf.status for leaf in e.leaves if leaf.name.startswith(name)}
    kinds = {c.kind for leaf in e.leaves if leaf.name.startswith(name) for c in leaf.causes}
    return status, kinds


def measured():
    action, a = copied()
    value = -q(a).mean()
    (da,) = tg.grad(value, a)
    print(da.numpy().mean(), end="")
    (action**2).mean().backward()


def forgotten():
    action, a = copied()
    value = -q(a).mean()
    tg.grad(value, a)
    action.mean().backward()


def never_asked():
    action, a = copied()
    value = -q(a).mean()
    assert value is not None
    action.backward(ONES)


APART = [measured, forgotten, never_asked]


@pytest.mark.parametrize("program", APART, ids=lambda f: f.__name__)
def test_a_critic_that_takes_no_part_is_said_to_take_none(program):
    e = tg.explain(program)
    assert e.joints == []
    assert fate(e, "ACTOR") == ("reached", set())
    assert fate(e, "CRITIC") == ("unused", {"unused"})
    for name in ("CRITIC.0.weight", "CRITIC.2.bias"):
        (cause,) = e[name].causes
        assert cause.line.code == "value = -q(a).mean()"
    assert "CRITIC (4 tensors) takes no part" in e.to_dict()["headline"]


def test_a_gradient_from_outside_that_resembles_none_is_not_joined():
    """What became of the one that left cannot be known: that it left is said, not more."""

    def update():
        action, a = copied()
        (da,) = tg.grad(-q(a).mean(), a)
        measured = da.numpy()
        assert measured.any()
        action.backward(np.random.default_rng(1).normal(size=(6, 2)))

    e = tg.explain(update)
    assert e.joints == []
    (cause,) = e["CRITIC.0.weight"].causes
    assert (cause.kind, cause.line.code) == ("left the engine", "measured = da.numpy()")


def test_an_optimizer_that_steps_is_not_where_the_influence_ends():
    optimizer = tg.optim.Adam(ACTOR.parameters(), lr=0.0)

    def update():
        never_asked()
        optimizer.step()
        optimizer.zero_grad()

    (cause,) = tg.explain(update)["CRITIC.0.weight"].causes
    assert cause.line.code == "value = -q(a).mean()"


def norm_as_a_weight():
    """As a loss is weighted by how steep another one is: its size is used, not its direction."""
    action, a = copied()
    (da,) = tg.grad(-q(a).mean(), a)
    return (action**2).mean() * (da * da).sum()


def extreme_as_a_weight():
    action, a = copied()
    (da,) = tg.grad(-q(a).mean(), a)
    return (action**2).mean() * tg.logsumexp(da, axis=None)


def penalty_without_create_graph():
    action, a = copied()
    (da,) = tg.grad(q(a).sum(), a)
    return (action**2).mean() + ((da * da).sum() - 1.0) ** 2


SIZES = [norm_as_a_weight, extreme_as_a_weight, penalty_without_create_graph]


@pytest.mark.parametrize("program", SIZES, ids=lambda f: f.__name__)
def test_the_size_of_a_gradient_is_no_chain_rule(program):
    e = tg.explain(program)
    assert e.joints == []
    leaf = e["CRITIC.0.weight"]
    assert (leaf.status, {c.kind for c in leaf.causes}) == ("blocked", {"no create_graph"})
    assert "tg.grad" in leaf.causes[0].line.code


def test_the_gradient_of_a_parameter_is_no_joint():
    """One step of an inner loop, first order: the gradient moves a parameter, it goes nowhere."""

    def first_order():
        (g,) = tg.grad(q(tg.Tensor(ONES)).mean(), CRITIC[2].weight)
        moved = CRITIC[2].weight - 0.1 * g
        return (moved**2).sum()

    assert tg.explain(first_order).joints == []


def test_a_gradient_of_a_gradient_is_recorded_and_needs_no_joint():
    def mixed():
        action, a = copied()
        (da,) = tg.grad(q(a).sum(), a, create_graph=True)
        return (action * da).sum()

    e = tg.explain(mixed)
    assert e.joints == []
    assert e["CRITIC.0.weight"].status == "reached"


def test_a_gradient_that_is_fed_by_hand_and_used_with_its_graph():
    def both():
        action, a = copied()
        (da,) = tg.grad(q(a).sum(), a, create_graph=True)
        return (action * da.detach()).sum() + (da * da).sum()

    e = tg.explain(both)
    assert len(e.joints) == 1
    leaf = e["CRITIC.0.weight"]
    assert leaf.status == "reached"
    assert "matmul" in [use.op for use in leaf.uses]  # of the sweep that found da


def test_a_gradient_fed_to_another_value_than_its_own():
    other = tg.nn.MLP((3, 8, 2), rng=RNG)

    def mixed_up():
        action, a = copied()
        (da,) = tg.grad(-q(a).mean(), a)
        outputs, parameters = [action, other(OBS)], ACTOR.parameters() + other.parameters()
        return tg.grad(outputs, parameters, grad_outputs=[ONES, da])

    assert tg.explain(mixed_up).joints == []


def test_what_is_made_of_the_copy_is_not_what_the_copy_was_made_of():
    """Equal values are no proof of where they come from: a picture has no circles."""
    shift = tg.Tensor([0.0, 0.0], requires_grad=True)

    def residual():
        _, a = copied()
        (da,) = tg.grad(-q(a).mean(), a)
        return ((a.detach() + shift) * da).sum()

    e = tg.explain(residual)
    assert e.joints == []
    assert e["shift"].status == "reached"


def test_two_updates_in_one_function_are_two_stories():
    target = tg.Tensor(np.zeros((6, 1), np.float32))

    def both():
        tg.nn.functional.mse_loss(q(tg.Tensor(ONES)), target).backward()
        with tg.frozen(CRITIC):
            loss = -q(ACTOR(OBS)).mean()
        loss.backward()

    e = tg.explain(both)
    assert e.joints == []
    assert e["CRITIC.0.weight"].status == "reached"
