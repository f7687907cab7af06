"""The chain rule by hand is one story, in whatever form it is written.

Every function here asks for dQ/da at a copy `a` of the action, and feeds it into the actor: the
verdict is that of the frozen case.
"""

import json

import numpy as np
import pytest

import tinygrad_rl as tg

RNG = np.random.default_rng(0)
ACTOR = tg.nn.MLP((3, 8, 2), rng=RNG)
CRITIC, OTHER = tg.nn.MLP((5, 8, 1), rng=RNG), tg.nn.MLP((5, 8, 1), rng=RNG)
OBS = tg.Tensor(RNG.normal(size=(6, 3)).astype(np.float32))


def q(action):
    return CRITIC(tg.concatenate([OBS, action], axis=1))


def other_q(action):
    return OTHER(tg.concatenate([OBS, action], axis=1))


def copied():
    action = ACTOR(OBS)
    return action, action.detach().requires_grad_()


def frozen_loss(a):
    with tg.frozen(CRITIC):
        return -q(a).mean()


# -- forms of the chain rule by hand ---------------------------------------------------------------


def as_the_start():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    action.backward(da)


def negated_by_keyword():
    action, a = copied()
    with tg.frozen(CRITIC):
        value = q(a).mean()
    (da,) = tg.grad(value, a)
    action.backward(gradient=-da)


def scaled_and_clipped():
    action, a = copied()
    with tg.frozen(CRITIC):
        (da,) = tg.grad(q(a).sum(), a)
    action.backward(tg.clip(-da / OBS.shape[0], -0.01, 0.01))


def inverted_at_the_bounds():
    """Hausknecht and Stone 2016: smaller towards the bound that the gradient points to."""
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    room = tg.where(da < 0, 1.0 - a, a + 1.0).detach()
    action.backward(da * room)


def grad_with_outputs():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    return tg.grad(action, ACTOR.parameters(), grad_outputs=da)


def grad_with_outputs_and_the_loss():
    action, a = copied()
    loss = frozen_loss(a)
    (da,) = tg.grad(loss, a)
    return loss, tg.grad(action, ACTOR.parameters(), grad_outputs=[da])


def through_numpy():
    action, a = copied()
    with tg.frozen(CRITIC):
        (da,) = tg.grad(q(a).sum(), a)
    action.backward(-da.numpy() / 6)


def tensor_of_numpy():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    action.backward(tg.Tensor(np.clip(da.numpy(), -0.01, 0.01)))


def both_ways_through_numpy():
    action = ACTOR(OBS)
    a = tg.Tensor(action.numpy(), requires_grad=True)
    (da,) = tg.grad(frozen_loss(a), a)
    action.backward(da.numpy())


def as_a_factor():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    (action * da.detach()).sum().backward()


def as_a_factor_returned():
    action, a = copied()
    with tg.frozen(CRITIC):
        (da,) = tg.grad(q(a).sum(), a)
    return -(action * da).sum(axis=1).mean()


def as_a_factor_made_by_numpy():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    weight = tg.Tensor(2.0 * da.numpy())
    (action * weight).sum().backward()


def as_a_target():
    """A step uphill is the target of a regression; half the square has the gradient wanted."""
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    target = (action - da).detach()
    return ((action - target) ** 2).sum() / 2


def as_a_contraction():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    return tg.einsum("ij,ij->", action, da)


def rows_of_length_one_by_numpy():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a)
    g = da.numpy()
    action.backward(g / np.linalg.norm(g, axis=1, keepdims=True))


def written_into_grad():
    action, a = copied()
    frozen_loss(a).backward()
    gradients = tg.grad(action, ACTOR.parameters(), grad_outputs=a.grad)
    for parameter, gradient in zip(ACTOR.parameters(), gradients, strict=True):
        parameter.grad = gradient


def gradient_kept_on_the_copy():
    action, a = copied()
    frozen_loss(a).backward()
    action.backward(a.grad)


def at_the_action_itself():
    action = ACTOR(OBS)
    (da,) = tg.grad(frozen_loss(action), action, retain_graph=True)
    action.backward(da)


def computed_a_second_time():
    with tg.no_grad():
        a = ACTOR(OBS)
    a.requires_grad_()
    (da,) = tg.grad(frozen_loss(a), a)
    ACTOR(OBS).backward(da)


def in_functions():
    def slope(a):
        return tg.grad(frozen_loss(a), a)[0]

    def feed(action, da):
        action.backward(da)

    action, a = copied()
    feed(action, slope(a))


def with_create_graph_for_nothing():
    action, a = copied()
    (da,) = tg.grad(frozen_loss(a), a, create_graph=True)
    (action * da.detach()).sum().backward()


FORMS = [
    as_the_start,
    negated_by_keyword,
    scaled_and_clipped,
    inverted_at_the_bounds,
    grad_with_outputs,
    grad_with_outputs_and_the_loss,
    through_numpy,
    tensor_of_numpy,
    both_ways_through_numpy,
    as_a_factor,
    as_a_factor_returned,
    as_a_factor_made_by_numpy,
    as_a_target,
    as_a_contraction,
    rows_of_length_one_by_numpy,
    written_into_grad,
    gradient_kept_on_the_copy,
    at_the_action_itself,
    computed_a_second_time,
    in_functions,
    with_create_graph_for_nothing,
]


@pytest.fixture(autouse=True)
def no_gradients():
    yield
    for net in (ACTOR, CRITIC, OTHER):
        for p in net.parameters():
            p.grad = None


def fate(e, name):
    """The status of all tensors of a network, and the kinds of their causes."""
    (status,) = {leaf.status for leaf in e.leaves if leaf.name.startswith(name)}
    kinds = {c.kind for leaf in e.leaves if leaf.name.startswith(name) for c in leaf.causes}
    return status, kinds


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
def test_the_two_sweeps_are_one_story(form):
    e = tg.explain(form)
    detached = {"detached"} if form is as_a_target else set()  # one of its two ways is
    assert fate(e, "ACTOR") == ("reached", detached)
    assert fate(e, "CRITIC") == ("frozen", {"frozen"})
    assert e["CRITIC.0.weight"].passed
    assert "passes through CRITIC, whose 4 tensors are frozen" in e.to_dict()["headline"]
    assert e.error is None


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
def test_text_dict_and_picture_show_the_joint(form):
    e = tg.explain(form)
    assert {leaf.name.partition(".")[0] for leaf in e.leaves} == {"ACTOR", "CRITIC"}
    (joint,) = json.loads(json.dumps(e.to_dict()))["joints"]
    found, fed = joint["found_by"], joint["fed_by"]
    assert "tg.grad" in found["code"] or ".backward()" in found["code"]
    assert any(
        w in fed["code"] for w in ("backward(", "grad_outputs", "action * ", "- target", "einsum")
    )
    text = e.text(100)
    section = text[text.index("Joined by hand") :]
    assert found["code"] in section
    assert fed["code"] in section
    assert e.svg("op").count("joined by hand") == e.svg().count("joined by hand")
    svg = e.svg("module")
    assert ">CRITIC<" in svg
    assert (">detached<" in svg) == (form is as_a_target)
    assert ("joined by hand" in svg) == (form is not at_the_action_itself)


def test_what_lies_between_is_one_box_and_each_way_counts_once():
    def noisy():
        action = ACTOR(OBS)
        a = tg.clip(action + 0.1, -1.0, 1.0).detach().requires_grad_()
        (da,) = tg.grad(frozen_loss(a), a)
        action.backward(da)

    for form in (noisy, as_the_start, as_a_factor):
        e = tg.explain(form)
        leaf = e["ACTOR.0.weight"]
        assert (leaf.status, leaf.paths, leaf.blocked_paths) == ("reached", 1, 0)
        assert leaf.causes == ()
        assert e.svg("op").count("joined by hand") == 1


def test_what_is_cut_before_the_joint_was_not_to_be_asked_for_beyond_it():
    shift = tg.Tensor([0.1, 0.2], requires_grad=True)

    def update():
        action = ACTOR(OBS) + shift.detach()
        a = action.detach().requires_grad_()
        (da,) = tg.grad(frozen_loss(a), a)
        action.backward(da)

    leaf = tg.explain(update)["shift"]
    assert (leaf.status, [c.kind for c in leaf.causes]) == ("blocked", ["detached"])


def test_the_value_is_that_of_the_loss_or_of_what_carries_the_factor():
    loss = frozen_loss(ACTOR(OBS)).item()
    assert tg.explain(as_the_start).value == pytest.approx(loss)
    assert tg.explain(grad_with_outputs_and_the_loss).value == pytest.approx(loss)
    assert tg.explain(computed_a_second_time).value == pytest.approx(loss)
    returned = as_a_factor_returned().item()
    assert tg.explain(as_a_factor_returned).value == pytest.approx(returned)


def test_norms_on_both_sides_of_the_joint():
    (joint,) = tg.explain(through_numpy).to_dict()["joints"]
    assert (joint["found_at"], joint["fed_to"]) == ("a", "action")
    assert joint["found_norm"] == pytest.approx(6 * joint["fed_norm"])


def test_a_critic_that_is_not_frozen_is_not_asked_for_or_reached():
    def not_asked():
        action, a = copied()
        (da,) = tg.grad(-q(a).mean(), a)
        action.backward(da)

    def asked():
        action, a = copied()
        (-q(a).mean()).backward()
        action.backward(a.grad)

    e = tg.explain(not_asked)
    assert fate(e, "CRITIC") == ("blocked", {"not asked for"})
    (cause,) = e["CRITIC.0.bias"].causes
    assert cause.line.code == "(da,) = tg.grad(-q(a).mean(), a)"
    assert "passes through CRITIC, whose 4 tensors are not asked for" in e.to_dict()["headline"]
    e = tg.explain(asked)
    assert fate(e, "CRITIC") == fate(e, "ACTOR") == ("reached", set())


def test_a_flag_that_is_off_freezes_the_critic_by_hand_too():
    def update():
        action, a = copied()
        (da,) = tg.grad(-q(a).mean(), a)
        action.backward(da)

    CRITIC.requires_grad_(False)
    try:
        assert fate(tg.explain(update), "CRITIC") == ("frozen", {"frozen"})
    finally:
        CRITIC.requires_grad_(True)


def test_two_critics_each_with_its_own_sweep():
    def update():
        action, a = copied()
        with tg.frozen(CRITIC, OTHER):
            values = q(a).mean(), other_q(a).mean()
        (first,) = tg.grad(values[0], a)
        (second,) = tg.grad(values[1], a)
        action.backward(-(first + second) / 2)

    e = tg.explain(update)
    assert fate(e, "ACTOR") == ("reached", set())
    assert fate(e, "CRITIC") == fate(e, "OTHER") == ("frozen", {"frozen"})
    assert len(e.joints) == 2
    assert e.svg("module").count("joined by hand") == 1


def test_the_smaller_of_two_critics():
    def update():
        action, a = copied()
        with tg.frozen(CRITIC, OTHER):
            value = tg.minimum(q(a), other_q(a)).mean()
        (da,) = tg.grad(value, a)
        action.backward(-da)

    e = tg.explain(update)
    assert fate(e, "CRITIC") == fate(e, "OTHER") == ("frozen", {"frozen"})


def test_a_chain_of_three():
    """Every stage by hand, from the last to the first, as in split learning."""
    first, second, third = (tg.nn.Linear(3, 3, rng=np.random.default_rng(i)) for i in range(3))

    def update():
        x = first(OBS)
        x_copy = x.detach().requires_grad_()
        y = second(x_copy)
        y_copy = y.detach().requires_grad_()
        third(y_copy).mean().backward()
        y.backward(y_copy.grad)
        x.backward(x_copy.grad)

    e = tg.explain(update)
    assert e.to_dict()["headline"] == "The gradient reaches everything."
    assert [(j.lower.name, j.upper.name) for j in e.joints] == [("y_copy", "y"), ("x_copy", "x")]
    assert all(leaf.paths == 1 and not leaf.blocked_paths for leaf in e.leaves)
    assert "detached" not in e.text()


def test_a_cut_beyond_the_joint_is_still_found():
    def update():
        action, a = copied()
        with tg.frozen(CRITIC):
            loss = -(q(a) + q(a.detach())).mean()
        (da,) = tg.grad(loss, a)
        action.backward(da)

    leaf = tg.explain(update)["ACTOR.0.weight"]
    assert (leaf.status, leaf.paths, leaf.blocked_paths) == ("reached", 1, 1)
    assert [c.line.part for c in leaf.causes] == ["a.detach()"]
