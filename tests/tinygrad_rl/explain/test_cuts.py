"""explain finds each kind of cut, at its line."""

import warnings

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.explain.made import ACTOR, CRITIC, OBS, line_of, mlp, q


def statuses(explanation):
    """{top name: the one status of all tensors below it}."""
    found = {}
    for leaf in explanation.leaves:
        found.setdefault(leaf.name.partition(".")[0], set()).add(leaf.status)
    return {name: s.pop() for name, s in found.items() if len(s) == 1}


def only_cause(leaf):
    (cause,) = leaf.causes
    return cause.kind, cause.line.number


# -- the actor's loss, four ways -------------------------------------------------------------------


def frozen():
    action = ACTOR(OBS)
    with tg.frozen(CRITIC):
        return -q(action).mean()


def test_frozen_lets_the_gradient_through_to_the_actor():
    e = tg.explain(frozen)
    assert statuses(e) == {"ACTOR": "reached", "CRITIC": "frozen"}
    assert only_cause(e["CRITIC.0.weight"]) == ("frozen", line_of(frozen, "with tg.frozen"))
    (g,) = tg.grad(frozen(), ACTOR[0].weight)
    assert e["ACTOR.0.weight"].norm == pytest.approx(float(np.linalg.norm(g.numpy())))
    assert e["ACTOR.0.weight"].uses[0].line.number == line_of(frozen, "ACTOR(OBS)")


def test_nothing_frozen_reaches_everything():
    e = tg.explain(lambda: -q(ACTOR(OBS)).mean())
    assert statuses(e) == {"ACTOR": "reached", "CRITIC": "reached"}


def test_every_cut_on_a_path_is_listed():
    def loss():
        action = ACTOR(OBS).detach()
        with tg.no_grad():
            value = q(action)
        return -value.mean()

    e = tg.explain(loss)
    causes = [(c.kind, c.line.number) for c in e["ACTOR.0.weight"].causes]
    assert causes == [
        ("detached", line_of(loss, "detach")),
        ("no_grad", line_of(loss, "no_grad")),
    ]
    assert only_cause(e["CRITIC.0.weight"]) == ("no_grad", line_of(loss, "no_grad"))


def test_flag_set_to_false_names_that_line():
    critic = mlp(4, 8, 1)

    def freeze():
        critic.requires_grad_(False)

    freeze()
    e = tg.explain(lambda: -critic(tg.concatenate([OBS, ACTOR(OBS)], axis=1)).mean())
    assert only_cause(e["critic.0.weight"]) == ("frozen", line_of(freeze, "requires_grad_"))


# -- no_grad in its forms --------------------------------------------------------------------------


@tg.no_grad()
def decorated(x):
    return x * 2


def test_decorated_function_is_named():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (cause,) = tg.explain(lambda: decorated(w).sum() + w.sum())["w"].causes
    assert (cause.kind, cause.line.number) == (
        "no_grad",
        decorated.__wrapped__.__code__.co_firstlineno,
    )
    assert "decorated" in cause.detail


@tg.no_grad()
def pieces(x):
    yield x * 2


def test_decorated_generator_is_named():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (cause,) = tg.explain(lambda: next(pieces(w)).sum() + w.sum())["w"].causes
    assert cause.detail == "pieces is decorated with it"


def test_enable_grad_inside_no_grad_is_no_cut():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        with tg.no_grad(), tg.enable_grad():
            return (w * 2).sum()

    assert tg.explain(loss)["w"].causes == ()


def test_grad_mode_off_around_explain():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    with tg.no_grad():
        (cause,) = tg.explain(lambda: (w * 2).sum())["w"].causes
    assert (cause.kind, cause.detail) == ("no_grad", "explain was called with it on")


def test_gradient_of_a_gradient_is_reached():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def penalty():
        (g,) = tg.grad(tg.exp(w).sum(), w, create_graph=True)
        return (g * g).sum()

    leaf = tg.explain(penalty)["w"]
    assert leaf.norm == pytest.approx(float(np.linalg.norm(2 * np.exp(2 * w.numpy()))), rel=1e-5)


def test_grad_that_asks_for_the_actor_only():
    def step():
        loss = -q(ACTOR(OBS)).mean()
        return tg.grad(loss, ACTOR.parameters())

    e = tg.explain(step)
    assert statuses(e) == {"ACTOR": "reached", "CRITIC": "blocked"}
    assert only_cause(e["CRITIC.0.bias"]) == ("not asked for", line_of(step, "tg.grad"))


# -- out of the engine, unused, not differentiable -------------------------------------------------


def test_numbers_that_leave_and_come_back():
    def loss():
        action = ACTOR(OBS)
        again = tg.Tensor(action.numpy())
        return -q(again).mean()

    e = tg.explain(loss)
    assert only_cause(e["ACTOR.2.bias"]) == ("left the engine", line_of(loss, "numpy()"))


def test_numbers_that_leave_and_come_back_changed():
    def loss():
        action = ACTOR(OBS)
        noisy = tg.Tensor(np.clip(action.numpy() + 0.1, -1, 1))
        return -q(noisy).mean()

    e = tg.explain(loss)
    assert only_cause(e["ACTOR.2.bias"]) == ("left the engine", line_of(loss, "numpy()"))


def test_a_number_read_for_the_log_is_no_cut():
    def loss():
        value = -q(ACTOR(OBS)).mean()
        value.item()
        return value

    assert tg.explain(loss)["ACTOR.0.weight"].causes == ()


def test_item_that_becomes_a_factor():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    v = tg.Tensor([3.0, 4.0], requires_grad=True)

    def loss():
        scale = w.sum().item()
        return (v * scale).sum()

    assert only_cause(tg.explain(loss)["w"]) == ("left the engine", line_of(loss, "item()"))


def test_unused():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    v = tg.Tensor([3.0, 4.0], requires_grad=True)

    def loss():
        forgotten = v * 2
        assert forgotten is not None
        return (w * w).sum()

    e = tg.explain(loss)
    assert e["v"].status == "unused"
    assert only_cause(e["v"]) == ("unused", line_of(loss, "v * 2"))


def test_never_used_at_all():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    nets = {"a": mlp(1, 1)}
    e = tg.explain(lambda: (w * w).sum() + 0 * len(nets))
    leaf = e["nets['a'].0.weight"]
    assert (leaf.status, leaf.causes[0].detail) == ("unused", "the function never uses it")


@pytest.mark.parametrize(
    "through", [lambda x: (x > 0) * 1.0, lambda x: tg.astype(tg.astype(x, np.int64), np.float32)]
)
def test_not_differentiable(through):
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    (cause,) = tg.explain(lambda: through(w).sum() + w.sum())["w"].causes
    assert cause.kind == "not differentiable"


# -- flags that change at the wrong time -----------------------------------------------------------


def test_frozen_after_the_forward():
    critic = mlp(4, 8, 1)

    def step():
        loss = -critic(tg.concatenate([OBS, ACTOR(OBS)], axis=1)).mean()
        critic.requires_grad_(False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loss.backward()
        critic.requires_grad_(True)

    leaf = tg.explain(step)["critic.0.weight"]
    assert leaf.status == "blocked"
    assert only_cause(leaf) == ("frozen after the forward", line_of(step, "requires_grad_(False)"))


def test_unfrozen_after_the_forward():
    critic = mlp(4, 8, 1)
    critic.requires_grad_(False)

    def loss():
        value = -critic(tg.concatenate([OBS, ACTOR(OBS)], axis=1)).mean()
        critic.requires_grad_(True)
        return value

    kinds = [(c.kind, c.line.number) for c in tg.explain(loss)["critic.0.weight"].causes]
    assert ("unfrozen after the forward", line_of(loss, "requires_grad_(True)")) in kinds
    assert "frozen" in [kind for kind, _ in kinds]


def test_flags_switched_off_for_the_forward_and_back_on_are_a_freeze():
    """Spinning Up's form, before the backward and behind it."""
    critic = mlp(4, 8, 1)

    def value():
        return -critic(tg.concatenate([OBS, ACTOR(OBS)], axis=1)).mean()

    def restored_first():
        for p in critic.parameters():
            p.requires_grad = False
        loss = value()
        critic.requires_grad_(True)
        return loss

    def restored_last():
        for p in critic.parameters():
            p.requires_grad = False
        value().backward()
        critic.requires_grad_(True)

    for step in (restored_first, restored_last):
        leaf = tg.explain(step)["critic.0.weight"]
        assert (leaf.status, leaf.passed) == ("frozen", True)
        assert only_cause(leaf) == ("frozen", line_of(step, "p.requires_grad = False"))


def test_flag_never_set():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        v = tg.Tensor([1.0, 2.0])
        value = (v * w.detach()).sum()
        v.requires_grad = True
        return value

    leaf = tg.explain(loss)["v"]
    assert only_cause(leaf) == ("unfrozen after the forward", line_of(loss, "v.requires_grad"))
