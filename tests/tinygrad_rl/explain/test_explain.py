"""explain: each cause, at its line, under the name that the user gave the tensor."""

import functools
import inspect
import json
import warnings

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.core import mode
from tinygrad_rl.nn import functional as F


def mlp(*sizes, seed=0):
    return tg.nn.MLP(sizes, rng=np.random.default_rng(seed))


ACTOR, CRITIC = mlp(3, 8, 1), mlp(4, 8, 1)
OBS = tg.Tensor(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))


def q(action):
    return CRITIC(tg.concatenate([OBS, action], axis=1))


def line_of(function, code):
    """The number of the line of a function that holds this code."""
    lines, start = inspect.getsourcelines(function)
    (number,) = [start + i for i, line in enumerate(lines) if code in line]
    return number


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


def test_gradient_by_hand_without_create_graph():
    """dQ/da as a constant is the paper's chain rule: the critic is used in it, but not reached."""

    def loss():
        action = ACTOR(OBS)
        a = action.detach().requires_grad_()
        (da,) = tg.grad(q(a).sum(), a)
        return -(action * da).mean()

    e = tg.explain(loss)
    assert e["ACTOR.0.weight"].status == "reached"
    assert only_cause(e["CRITIC.2.weight"]) == ("no create_graph", line_of(loss, "tg.grad"))


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


def test_flag_never_set():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        v = tg.Tensor([1.0, 2.0])
        value = (v * w.detach()).sum()
        v.requires_grad = True
        return value

    leaf = tg.explain(loss)["v"]
    assert only_cause(leaf) == ("unfrozen after the forward", line_of(loss, "v.requires_grad"))


# -- exactly zero ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("squash", "kind"),
    [
        (lambda x: tg.relu(x - 1000.0), "dead ReLU"),
        (lambda x: tg.tanh(x + 1000.0), "saturated tanh"),
        (lambda x: tg.clip(x, 500.0, 600.0), "outside clip's bounds"),
        (lambda x: tg.floor(x), "flat everywhere"),
        (lambda x: x * 0.0, "multiplied by zero"),
        (lambda x: x @ tg.Tensor(np.zeros((2, 2), np.float32)), "zero derivative"),
    ],
)
def test_zero_gradient_names_the_flat_op_and_the_share(squash, kind):
    w = tg.Tensor([[0.5, 2.0], [1.0, -2.0], [0.1, 0.2]], requires_grad=True)
    leaf = tg.explain(lambda: squash(w).sum())["w"]
    assert (leaf.status, leaf.norm) == ("zero", 0.0)
    (cause,) = leaf.causes
    assert cause.title == kind
    if kind != "zero derivative":
        assert "3 of 3 rows (100%)" in cause.detail


def test_two_ops_that_only_together_let_nothing_through():
    w = tg.Tensor([[0.5], [1.5], [2.5], [3.5]], requires_grad=True)
    leaf = tg.explain(lambda: tg.clip(tg.relu(w - 1.0), 10.0, None).sum())["w"]
    assert [c.title for c in leaf.causes] == ["outside clip's bounds"]
    leaf = tg.explain(lambda: (tg.relu(w - 2.0) * tg.Tensor([[1.0], [1.0], [0.0], [0.0]])).sum())[
        "w"
    ]
    assert {c.title for c in leaf.causes} == {"dead ReLU", "multiplied by zero"}


def test_contributions_that_cancel():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    leaf = tg.explain(lambda: (w * 3.0).sum() - (w * 3.0).sum())["w"]
    assert (leaf.status, leaf.causes[0].kind, leaf.paths) == ("zero", "cancels", 2)


# -- names -----------------------------------------------------------------------------------------


class Agent:
    def __init__(self):
        self.actor = mlp(3, 4, 1)
        self.critics = [mlp(4, 4, 1), mlp(4, 4, 1)]
        self._scale = tg.Tensor([2.0])

    def loss(self, obs):
        action = self.actor(obs) * self._scale
        values = [critic(tg.concatenate([obs, action], axis=1)) for critic in self.critics]
        return -(values[0] + values[1]).mean()


def test_names_from_a_method():
    e = tg.explain(Agent().loss, OBS)
    names = [leaf.name for leaf in e.leaves]
    assert "actor.0.weight" in names
    assert "critics[1].2.bias" in names
    assert set(e.data) == {"obs", "_scale"}


def test_names_from_an_object_in_a_closure():
    agent = Agent()
    assert "agent.critics[0].0.weight" in tg.explain(lambda: agent.loss(OBS)).reached


def test_names_from_arguments_and_partial():
    def loss(net, batch):
        return net(batch["obs"]).mean()

    e = tg.explain(loss, mlp(3, 2), {"obs": OBS})
    assert e.reached == ["net.0.weight", "net.0.bias"]
    assert e.data == ("batch['obs']",)
    e = tg.explain(functools.partial(loss, batch={"obs": OBS}), mlp(3, 2))
    assert "net.0.weight" in e.reached


def test_names_of_a_module_itself_and_of_an_optimizer():
    net = mlp(3, 2)
    assert tg.explain(net, OBS).reached == ["0.weight", "0.bias"]
    w = [tg.Tensor([1.0], requires_grad=True)]
    optimizer = tg.optim.SGD([w[0]], lr=0.1)

    def loss(optimizer):
        return (optimizer.params[0] * 2).sum()

    assert tg.explain(loss, optimizer).reached == ["optimizer.params[0]"]


def test_leaves_made_inside_have_the_names_of_their_variables():
    def loss():
        inner = tg.Tensor([1.0, 2.0], requires_grad=True)
        return (inner * 2).sum()

    assert tg.explain(loss).reached == ["inner"]


# -- what it does to the world ---------------------------------------------------------------------


def test_nothing_is_left_behind():
    net = mlp(3, 2)
    tg.explain(lambda: net(OBS).mean())
    assert mode.observers == ()
    assert all(p.grad is None for p in net.parameters())
    with pytest.raises(ZeroDivisionError):
        tg.explain(lambda: net(OBS).mean() / (1 // 0))
    assert mode.observers == ()


def test_a_step_that_calls_backward_does_what_it_does_without():
    def train(watched):
        net = mlp(3, 4, 1)
        optimizer = tg.optim.Adam(net, lr=0.1)

        def step():
            optimizer.zero_grad()
            F.mse_loss(net(OBS), tg.Tensor(np.ones((6, 1), np.float32))).backward()
            optimizer.step()

        for _ in range(3):
            tg.explain(step) if watched else step()
        return [p.numpy().tolist() for p in net.parameters()]

    assert train(watched=True) == train(watched=False)


def test_a_loss_without_path_is_explained_although_backward_raises():
    def step():
        loss = ACTOR(OBS).detach().mean()
        loss.backward()

    e = tg.explain(step)
    assert "no path leads" in e.error
    assert only_cause(e["ACTOR.0.weight"]) == ("detached", line_of(step, "detach"))
    with pytest.raises(RuntimeError, match=r"explain\(step\)"):
        step()


def test_other_errors_go_through():
    with pytest.raises(ValueError, match="inner sizes differ"):
        tg.explain(lambda: tg.matmul(OBS, OBS).sum())


@pytest.mark.parametrize("result", [None, 3, "text", []])
def test_a_function_without_a_tensor_is_refused(result):
    with pytest.raises(TypeError, match=r"returns a tensor or calls backward"):
        tg.explain(lambda: result)


def test_not_a_function():
    with pytest.raises(TypeError, match="the function that computes the loss, not a Tensor"):
        tg.explain(OBS)


def test_unknown_name():
    with pytest.raises(KeyError, match=r"ACTOR\.0\.weight"):
        tg.explain(frozen)["actor"]


def test_writing_in_place_keeps_the_path():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        buffer = tg.Tensor([0.0, 0.0])
        buffer.assign_(w * 2)
        return (buffer * 3).sum()

    leaf = tg.explain(loss)["w"]
    assert (leaf.status, leaf.paths) == ("reached", 1)


def test_paths_are_counted():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        h = w * 2
        return (h * h + h + h.detach()).sum()

    leaf = tg.explain(loss)["w"]
    assert (leaf.paths, leaf.blocked_paths) == (3, 1)


# -- text and data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 120])
def test_text_fits(width):
    text = tg.explain(frozen).text(width)
    assert max(map(len, text.splitlines())) <= width
    assert "frozen" in text


def test_text_has_the_line_and_its_code():
    text = str(tg.explain(frozen))
    assert f"test_explain.py:{line_of(frozen, 'with tg.frozen')}  with tg.frozen(CRITIC):" in text
    assert "reaches ACTOR (4 tensors); it passes through the frozen CRITIC (4 tensors)" in " ".join(
        text.split()
    )


def test_dict_is_json_and_says_the_same():
    e = tg.explain(frozen)
    data = json.loads(json.dumps(e.to_dict()))
    weight = next(leaf for leaf in data["leaves"] if leaf["name"] == "CRITIC.0.weight")
    assert weight["status"] == "frozen"
    assert weight["causes"][0]["code"] == "with tg.frozen(CRITIC):"
    assert weight["causes"][0]["file"] == __file__
    assert data["value"] == pytest.approx(frozen().item())


def test_line_below_the_one_that_all_gradients_share():
    def inner():
        action = ACTOR(OBS)
        return -q(action).mean()

    def outer():
        return inner()

    e = tg.explain(outer)
    assert e["ACTOR.0.weight"].uses[0].line.number == line_of(inner, "ACTOR(OBS)")
    assert e["CRITIC.0.weight"].uses[0].line.number == line_of(inner, "-q(action)")


def test_a_backward_that_is_given_a_gradient_is_reported_with_it():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        y = w * 3.0
        y.backward(np.array([0.0, 4.0], np.float32))

    leaf = tg.explain(loss)["w"]
    assert leaf.norm == pytest.approx(12.0)
    assert leaf.norm == pytest.approx(float(np.linalg.norm(w.grad.numpy())))
