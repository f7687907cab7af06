"""Each row of the semantics table, and each known case, is a test named after its hazard.

PyTorch is the reference except where the project deviates on purpose; the test says so there.
Messages are checked for what helps: the culprit, the places, and the way out.
"""

import gc
import weakref

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.made import close, leaf, line
from tinygrad_rl import nn, optim

# -- the flag --------------------------------------------------------------------------------------


def test_flag_is_false_by_default_and_true_for_parameters() -> None:
    assert tg.Tensor([1.0]).requires_grad is False
    assert tg.from_numpy(np.ones(2)).requires_grad is False
    assert all(p.requires_grad for p in nn.Linear(2, 3).parameters())


def test_flag_of_an_output_needs_grad_mode_and_one_input_that_requires_grad() -> None:
    w, x = leaf(1.0), tg.Tensor([2.0])
    assert (w * x).requires_grad and (x * w).requires_grad
    assert not (x * x).requires_grad
    with tg.no_grad():
        assert not (w * x).requires_grad


def test_flag_of_a_result_cannot_be_switched_off() -> None:
    y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        y.requires_grad = False
    y.requires_grad = True  # a no-op
    assert y.requires_grad and not y.is_leaf


@pytest.mark.parametrize("data", [[1, 2], [True], np.zeros(2, np.uint8)])
def test_flag_on_integers_and_booleans_is_refused(data: object) -> None:
    with pytest.raises(TypeError, match="only floats"):
        tg.Tensor(data, requires_grad=True)
    with pytest.raises(TypeError, match="only floats"):
        tg.Tensor(data).requires_grad_()


@pytest.mark.parametrize("flag", [1, 0, None, "no"])
def test_flag_that_is_no_boolean_is_refused(flag: object) -> None:
    with pytest.raises(TypeError, match="True or False"):
        tg.Tensor([1.0]).requires_grad = flag
    with pytest.raises(TypeError, match="True or False"):
        tg.Tensor([1.0], requires_grad=flag)


@pytest.mark.parametrize("name", ["required_grad", "require_grad", "requires_gard", "requiresgrad"])
def test_flag_misspelt_is_refused_with_a_suggestion(name: str) -> None:
    # PyTorch accepts it and goes on training what was meant to be frozen.
    with pytest.raises(AttributeError, match="did you mean 'requires_grad'"):
        setattr(tg.Tensor([1.0]), name, False)
    with pytest.raises(AttributeError, match=r"requires_grad_\(False\)"):
        setattr(nn.Linear(1, 1), name, False)


def test_flag_set_on_a_module_is_refused() -> None:
    # PyTorch accepts it and freezes nothing.
    with pytest.raises(AttributeError, match="freezes nothing"):
        nn.Linear(1, 1).requires_grad = False


def test_data_attribute_does_not_exist() -> None:
    t = leaf(1.0)
    assert not hasattr(t, "data")
    with pytest.raises(AttributeError, match="assign_"):
        t.data = np.zeros(1)


@pytest.mark.parametrize("name", ["node", "op", "cuts", "hooks", "storage", "accumulated", "shape"])
def test_what_the_engine_knows_of_a_tensor_can_be_read_and_not_set(name: str) -> None:
    t = leaf(1.0) * 2
    before = getattr(t, name)
    with pytest.raises(AttributeError, match=f"no attribute '{name}' to set"):
        setattr(t, name, None)
    assert getattr(t, name) is before or name == "shape"


# -- backward --------------------------------------------------------------------------------------


def test_backward_without_history_is_an_error_that_names_the_cuts() -> None:
    w = leaf(2.0)
    cut = (w * 3).detach()
    where = line(-1)
    loss = (cut * cut).sum()
    with pytest.raises(RuntimeError, match="detach") as error:
        loss.backward()
    assert where in str(error.value) and "tinygrad_rl.explain" in str(error.value)


def test_flag_set_on_a_loss_without_history_does_not_help() -> None:
    # PyTorch: loss.requires_grad_(True).backward() passes and trains nothing.
    w = leaf(2.0)
    with tg.no_grad():
        loss = (w * w).sum()
        where = line(-1)
    with pytest.raises(RuntimeError, match="no_grad") as error:
        loss.requires_grad_(True).backward()
    assert where in str(error.value)
    with pytest.raises(RuntimeError, match="no path leads"):
        tg.grad(loss, [loss])


def test_backward_of_a_leaf_gives_it_one() -> None:
    x = tg.Tensor(3.0, requires_grad=True)
    x.backward()
    close(x.grad, 1.0)


def test_backward_of_a_non_scalar_needs_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"sum\(\) or mean\(\)"):
        (x * 2).backward()
    (x * 2).backward(np.array([1.0, 10.0]))
    close(x.grad, [2.0, 20.0])


@pytest.mark.parametrize("retain", [False, True])
def test_second_backward_needs_retain_graph(retain: bool) -> None:
    x = leaf(1.0, 2.0)
    loss = (x + 1).sum()  # saves nothing: PyTorch would let the second one pass
    loss.backward(retain_graph=retain)
    where = line(-1)
    if retain:
        loss.backward()
        close(x.grad, [2.0, 2.0])
    else:
        with pytest.raises(RuntimeError, match="retain_graph=True") as error:
            loss.backward()
        assert where in str(error.value) and "'sum'" in str(error.value)
        close(x.grad, [1.0, 1.0])


def test_accumulation_makes_one_tensor_and_adds_into_it() -> None:
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    first = x.grad
    close(first, [3.0, 3.0])
    (x * 4).sum().backward()
    assert x.grad is first
    close(first, [7.0, 7.0])


def test_gradients_of_two_leaves_never_share_memory() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    v = tg.Tensor(np.array([1.0, 1.0]))
    for create_graph in (False, True):
        a.grad = b.grad = None
        (a + b).backward(v, create_graph=create_graph)
        assert a.grad is not None and b.grad is not None
        with tg.no_grad():
            a.grad.mul_(100)
        close(b.grad, [1.0, 1.0])
        close(v, [1.0, 1.0])


def test_results_of_grad_never_share_memory() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    v = tg.Tensor(np.array([1.0, 1.0]))
    results = tg.grad(a + b.reshape(2, 1).reshape(2), (a, b, a), v)
    arrays = [g._array for g in (*results, v)]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])


def test_create_graph_gives_derivatives_of_any_order() -> None:
    x = leaf(0.5, 2.0)
    y = x**5
    for k in (5, 20, 60):
        (y,) = tg.grad(y.sum(), x, create_graph=True)
        power = {5: 4, 20: 3, 60: 2}[k]
        close(y, k * np.array([0.5, 2.0]) ** power)


def test_create_graph_in_backward_makes_grad_differentiable() -> None:
    x = leaf(3.0)
    (x**3).sum().backward(create_graph=True)
    assert x.grad is not None and x.grad.requires_grad
    (second,) = tg.grad(x.grad.sum(), x)
    close(second, [18.0])


def test_grad_leaves_dot_grad_alone() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    close(tg.grad((y * 3).sum(), x)[0], [6.0])
    assert x.grad is None and y.grad is None


def test_grad_of_an_unused_input_is_an_error_unless_allowed() -> None:
    x, unused = leaf(1.0), leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"input 1.*allow_unused=True"):
        tg.grad((x * 2).sum(), (x, unused))
    assert tg.grad((x * 2).sum(), (x, unused), allow_unused=True)[1] is None
    close(tg.grad((x * 2).sum(), (x, unused), materialize_grads=True)[1], [0.0, 0.0])
    with pytest.raises(RuntimeError, match=r"input 0.*does not require"):
        tg.grad((x * 2).sum(), tg.Tensor([1.0]))


def test_grad_of_a_result_is_none_with_a_warning() -> None:
    x = leaf(1.0)
    y = x * 2
    where = line(-1)
    (y * 3).sum().backward()
    with pytest.warns(UserWarning, match="retain_grad") as caught:
        assert y.grad is None
    assert where in str(caught[0].message)
    assert f"{caught[0].filename}:{caught[0].lineno}" == line(-2)


def test_retain_grad_keeps_the_gradient_of_a_result() -> None:
    x = leaf(1.0)
    y = x * 2
    y.retain_grad()
    y.retain_grad()  # asked twice, accumulated once
    assert y.grad is None  # no warning: it was asked for
    (y * 3).sum().backward()
    close(y.grad, [3.0])


# -- in place --------------------------------------------------------------------------------------


def test_a_saved_tensor_changed_in_place_names_both_lines() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * 1
    loss = (h * w).sum()
    saved = line(-1)
    h.mul_(2)
    changed = line(-1)
    with pytest.raises(RuntimeError, match="its input 'a'") as error:
        loss.backward()
    assert saved in str(error.value) and changed in str(error.value)
    assert x.grad is None and w.grad is None


def test_a_saved_output_changed_in_place_names_both_lines() -> None:
    x = leaf(1.0, 2.0)
    y = x.exp()
    saved = line(-1)
    loss = (y * 1).sum()
    y.add_(1)
    changed = line(-1)
    with pytest.raises(RuntimeError, match="its output") as error:
        loss.backward()
    assert saved in str(error.value) and changed in str(error.value)


def test_optimizer_step_between_forward_and_backward_is_an_error() -> None:
    # Typical of actor-critic code: the critic steps before the actor's backward.
    critic, action = nn.Linear(2, 1), tg.Tensor(np.ones((3, 2), np.float32), requires_grad=True)
    actor_loss = -critic(action).mean()
    optimizer = optim.SGD(critic, 0.1)
    (critic(action.detach()) ** 2).mean().backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed in place"):
        actor_loss.backward()


# -- subgradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "at", "expected"),
    [
        (tg.relu, [0.0], [0.0]),
        (tg.abs, [0.0], [0.0]),
        (lambda x: tg.maximum(x, 0.0), [0.0], [0.5]),
        (lambda x: tg.minimum(x, 0.0), [0.0], [0.5]),
        (lambda x: x.max(), [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
        (lambda x: x.clip(-1.0, 1.0), [-1.0, 1.0, 1.5], [1.0, 1.0, 0.0]),
        (lambda x: x**0, [0.0, 2.0], [0.0, 0.0]),
    ],
)
def test_subgradients_are_the_conventional_ones(fn, at, expected) -> None:
    x = leaf(*at)
    close(tg.grad(fn(x).sum(), x)[0], expected)


# -- the graph -------------------------------------------------------------------------------------


def test_a_dropped_graph_is_freed_by_reference_counting() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        held_by_a_node = x.exp()
        middle = held_by_a_node * x
        loss = (middle.tanh() / x).sum()
        loss.backward(retain_graph=True)
        (g,) = tg.grad(loss, x, create_graph=True)
        references = [weakref.ref(t) for t in (held_by_a_node, middle, loss, g)]
        del held_by_a_node, middle, g
        assert references[0]() is not None  # the graph is alive, and so is what it saved
        del loss
        assert [r() for r in references] == [None] * 4
    finally:
        gc.enable()


def chain(x: tg.Tensor, length: int) -> tg.Tensor:
    for _ in range(length):
        x = x + 1.0
    return x


@pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_long_chain_builds_differentiates_and_is_freed(length: int) -> None:
    x = tg.Tensor(np.zeros(1), requires_grad=True)
    y = chain(x, length)
    assert y.item() == length
    y.backward()
    close(x.grad, [1.0])


def test_a_long_chain_that_nobody_differentiates_is_freed_without_recursion() -> None:
    x = tg.Tensor(np.zeros(1), requires_grad=True)
    y = chain(x, 100_000)
    del y
    y = chain(x, 1000)
    assert tg.grad(y, x)[0].item() == 1.0


def test_a_missing_rule_is_an_error_when_the_call_is_recorded() -> None:
    op = tg.Kernel("one_sided", forward=lambda a, b: a * b, vjp={"a": lambda g, b: g * b})
    a, b = leaf(1.0), leaf(2.0)
    with pytest.raises(NotImplementedError, match=r"'one_sided'.*'b'.*stop_gradient"):
        op(a, b)
    close(tg.grad(op(a, b.detach()).sum(), a)[0], [2.0])
    with tg.no_grad():
        op(a, b)


def test_a_wrong_derivative_is_refused_when_the_op_is_defined() -> None:
    with pytest.raises(ValueError, match=r"wrong: at x = .* it gives .* slope"):

        @tg.elementwise(x="g * 3 * x")
        def squared(x):
            return x * x


# -- cases from public trackers --------------------------------------------------------------------


def critic_and_actor() -> tuple[nn.Linear, nn.Linear, np.ndarray]:
    rng = np.random.default_rng(3)
    critic, actor = nn.Linear(2, 1, rng=rng), nn.Linear(2, 2, rng=rng)
    return critic, actor, rng.normal(size=(5, 2)).astype(np.float32)


def test_an_actor_loss_leaks_into_the_critics_gradients() -> None:
    # As in RLlib's TQC: nothing is frozen, so the critic's next step also raises its own Q.
    critic, actor, obs = critic_and_actor()
    (-critic(actor(obs)).mean()).backward()
    assert critic.weight.grad is not None
    critic.zero_grad()
    with tg.frozen(critic):
        loss = -critic(actor(obs)).mean()
    loss.backward()
    assert critic.weight.grad is None and actor.weight.grad is not None


def test_actor_and_critic_in_one_optimizer_raise_q() -> None:
    critic, actor, obs = critic_and_actor()
    optimizer = optim.Adam([*critic.parameters(), *actor.parameters()], 1e-2)
    before = critic(actor(obs)).mean().item()
    for _ in range(200):
        optimizer.zero_grad()
        (-critic(actor(obs)).mean()).backward()
        optimizer.step()
    assert critic(actor(obs)).mean().item() > before + 10


def test_a_detached_action_never_trains_the_actor() -> None:
    critic, actor, obs = critic_and_actor()
    loss = -critic(actor(obs).detach()).mean()
    loss.backward()  # no error: the critic has a path
    assert actor.weight.grad is None and critic.weight.grad is not None
    with tg.frozen(critic):
        loss = -critic(actor(obs).detach()).mean()
    with pytest.raises(RuntimeError, match="detach"):
        loss.backward()


def test_a_target_that_is_not_stopped_is_chased() -> None:
    critic, _, obs = critic_and_actor()
    target = 0.9 * critic(obs)
    loss = ((critic(obs) - target) ** 2).mean()
    with_chase = tg.grad(loss, critic.weight, retain_graph=True)[0]
    stopped = ((critic(obs) - target.detach()) ** 2).mean()
    without = tg.grad(stopped, critic.weight)[0]
    assert not np.allclose(with_chase.numpy(), without.numpy())


@pytest.mark.parametrize(
    "squash",
    [lambda a: (a * 1e4).tanh(), lambda a: (a + 1e4).clip(-1.0, 1.0), lambda a: (a - 1e4).relu()],
)
def test_a_path_can_exist_and_be_exactly_zero(squash) -> None:
    critic, actor, obs = critic_and_actor()
    with tg.frozen(critic):
        loss = -critic(squash(actor(obs) + 100)).mean()
    loss.backward()
    assert actor.weight.grad is not None and not actor.weight.grad.numpy().any()
