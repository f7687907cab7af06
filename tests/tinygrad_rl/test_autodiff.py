"""The sweep's corners: mixed inputs, hooks, errors on the way, what the user passes wrongly."""

import threading

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.made import close, leaf
from tinygrad_rl import core
from tinygrad_rl.autodiff import between, sweep
from tinygrad_rl.core import Node, Observer
from tinygrad_rl.debug.walkthrough import visit

# -- grad ------------------------------------------------------------------------------------------


def test_leaves_and_results_mix_as_inputs() -> None:
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    y = h * h * w
    dh, dx, dw, dy = tg.grad(y.sum(), (h, x, w, y))
    close(dh, [2 * 6 * 3.0])
    close(dx, [2 * 6 * 3.0 * 3])
    close(dw, [2 * 6 * 3.0 * 2 + 36])
    close(dy, [1.0])


def test_the_same_tensor_twice_as_operand_and_as_input() -> None:
    x = leaf(3.0)
    close(tg.grad((x * x).sum(), x)[0], [6.0])
    a, b = tg.grad((x * x).sum(), (x, x))
    close(a, [6.0])
    close(b, [6.0])


def test_a_leaf_as_output_and_input() -> None:
    x = leaf(1.0, 2.0)
    v = np.array([5.0, 7.0])
    close(tg.grad(x, x, v)[0], v)
    y = x * 2
    close(tg.grad(y, y, v)[0], v)
    close(tg.grad([x, y], x, [v, v])[0], 3 * v)


def test_several_outputs_add_up_and_each_needs_history() -> None:
    x = leaf(2.0)
    close(tg.grad([(x * 2).sum(), (x * x).sum()], x)[0], [6.0])
    with pytest.raises(RuntimeError, match="no path leads"):
        tg.grad([(x * 2).sum(), tg.Tensor(1.0)], x)


def test_only_what_lies_between_is_computed() -> None:
    ran = []
    op = tg.Kernel(
        "spy",
        forward=lambda a, b: a * b,
        vjp={
            "a": lambda g, b: (ran.append("a"), g * b)[1],
            "b": lambda g, a: (ran.append("b"), g * a)[1],
        },
    )
    critic, actor = leaf(2.0), leaf(3.0)
    loss = op(critic, op(actor, critic)).sum()
    close(tg.grad(loss, actor)[0], [4.0])
    assert ran == ["b", "a"]


def test_a_sum_of_paths_is_complete_before_it_goes_on() -> None:
    x = leaf(2.0)
    a = x * 3
    b = a * a
    late = a.exp()
    close(tg.grad((b * a + late + b).sum(), x)[0], [3 * (3 * 36 + np.exp(6) + 2 * 6)])


def test_retain_graph_follows_create_graph_when_not_given() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    tg.grad(y, x, create_graph=True)
    tg.grad(y, x)
    with pytest.raises(RuntimeError, match="used up"):
        tg.grad(y, x)


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (np.ones(3), ValueError, r"shape \(3,\), its tensor \(2,\)"),
        (np.ones((1, 2)), ValueError, r"shape \(1, 2\)"),
        ("text", TypeError, "not supported"),
    ],
)
def test_a_gradient_to_start_from_must_fit(seed, error, message) -> None:
    y = leaf(1.0, 2.0) * 2
    with pytest.raises(error, match=message):
        y.backward(seed)
    with pytest.raises(error, match=message):
        tg.grad(y, y, [seed])
    with pytest.raises(ValueError, match="1 output but grad_outputs of 2"):
        tg.grad(y, y, [np.ones(2), np.ones(2)])


def test_a_gradient_to_start_from_is_cast_and_differentiable() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    v = leaf(3.0, 4.0)
    (g,) = tg.grad(x * x, x, v, create_graph=True)
    assert g.dtype == np.float32
    close(tg.grad(g.sum(), v)[0], [2.0, 4.0])


def test_gradients_have_the_dtype_of_their_leaf() -> None:
    single, double = tg.Tensor([1.0], requires_grad=True), leaf(2.0)
    (single * double).sum().backward()
    assert single.grad is not None and single.grad.dtype == np.float32
    assert double.grad is not None and double.grad.dtype == np.float64


def test_backward_under_no_grad_works_and_can_create_a_graph() -> None:
    x = leaf(3.0)
    y = (x**3).sum()
    with tg.no_grad():
        y.backward(retain_graph=True)
    close(x.grad, [27.0])
    x.grad = None
    with tg.no_grad():
        y.backward(create_graph=True)
    assert x.grad is not None and x.grad.requires_grad


def test_grad_is_assignable_when_it_fits() -> None:
    x = leaf(1.0, 2.0)
    mine = tg.Tensor(np.zeros(2))
    x.grad = mine
    (x * 3).sum().backward()
    assert x.grad is mine
    for wrong, error in [
        (tg.Tensor(np.zeros(3)), ValueError),
        (tg.Tensor([0.0, 0.0]), ValueError),
        (np.zeros(2), TypeError),
    ]:
        with pytest.raises(error, match="grad must be"):
            x.grad = wrong


# -- hooks -----------------------------------------------------------------------------------------


def test_hooks_on_leaves_and_results_see_the_whole_gradient_and_can_replace_it() -> None:
    x = leaf(1.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.item()))
    x.register_hook(lambda g: g + 1)
    (y * 3 + y).sum().backward()
    assert seen == [4.0, 80.0]
    close(x.grad, [81.0])


def test_a_hook_can_be_taken_off() -> None:
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 100)
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    close(x.grad, [2.0])


def test_a_hook_may_take_itself_off_while_it_runs() -> None:
    x = leaf(1.0)
    handles = [x.register_hook(lambda g: handles[0].remove()), x.register_hook(lambda g: g * 2)]
    (x * 1).sum().backward()
    close(x.grad, [2.0])


def test_retain_grad_comes_after_the_hooks_whenever_it_was_asked_for() -> None:
    y = leaf(1.0) * 2
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    (y * 3).sum().backward()
    close(y.grad, [30.0])


def test_hooks_run_for_grad_too_and_once_for_an_input_given_twice() -> None:
    x = leaf(1.0)
    count = []
    x.register_hook(lambda g: count.append(1))
    tg.grad((x * 2).sum(), (x, x))
    assert len(count) == 1


def test_hooks_record_nothing_unless_the_graph_is_created() -> None:
    x, w = leaf(1.0), leaf(2.0)
    x.register_hook(lambda g: g * w)
    (x * 3).sum().backward()
    assert x.grad is not None and not x.grad.requires_grad
    (g,) = tg.grad((x * 3).sum(), x, create_graph=True)
    close(tg.grad(g.sum(), w)[0], [3.0])


@pytest.mark.parametrize(
    ("hook", "error"),
    [(lambda g: g.sum(), ValueError), (lambda g: g.numpy(), TypeError)],
)
def test_a_hook_that_returns_something_else_is_an_error(hook, error) -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(hook)
    with pytest.raises(error, match="hook"):
        (x * 2).sum().backward()
    assert x.grad is None


def test_a_hook_needs_a_tensor_that_requires_a_gradient() -> None:
    for needs in (tg.Tensor([1.0]).register_hook, lambda _: tg.Tensor([1.0]).retain_grad()):
        with pytest.raises(RuntimeError, match="requires a gradient"):
            needs(lambda g: None)


def test_a_hook_may_run_a_backward_of_its_own() -> None:
    x, inner = leaf(1.0), leaf(5.0)
    loss = (inner * inner).sum()
    x.register_hook(lambda g: loss.backward())
    (x * 2).sum().backward()
    close(x.grad, [2.0])
    close(inner.grad, [10.0])


# -- errors on the way -----------------------------------------------------------------------------


def test_an_exception_in_a_rule_leaves_every_grad_as_it_was() -> None:
    def fail(g):
        raise ZeroDivisionError

    broken = tg.Kernel("broken", forward=lambda x: x + 0, vjp={"x": fail})
    a, b = leaf(1.0), leaf(2.0)
    h = a * 2
    h.retain_grad()
    a.grad = tg.Tensor(np.array([7.0]))
    loss = (broken(b) + h * 3).sum()
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    close(a.grad, [7.0])
    assert b.grad is None and h.grad is None and tg.is_grad_enabled()


def test_an_exception_in_a_hook_of_one_leaf_leaves_the_others_alone() -> None:
    def fail(g):
        raise ZeroDivisionError

    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    b.register_hook(fail)
    with pytest.raises(ZeroDivisionError):
        (a * b * c).sum().backward()
    assert a.grad is None and b.grad is None and c.grad is None


def test_a_warning_turned_into_an_error_leaves_every_grad_as_it_was() -> None:
    a, b = leaf(1.0), leaf(2.0)
    loss = (a * b).sum()
    b.requires_grad_(False)
    with pytest.raises(UserWarning, match="frozen between"):
        loss.backward()
    assert a.grad is None


def test_threads_differentiate_side_by_side() -> None:
    shared = leaf(2.0)
    results: list[float] = []

    def work(k: int) -> None:
        for _ in range(50):
            y = (shared * k).exp().log() * k
            results.append(tg.grad(y.sum(), shared)[0].item() - k * k)

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 150 and max(map(abs, results)) < 1e-12


# -- the sweep -------------------------------------------------------------------------------------


class Steps(Observer):
    """The nodes whose rules run, in order."""

    def __init__(self) -> None:
        self.nodes: list[Node | None] = []

    def on_step(self, node: Node | None, g: tg.Tensor | None) -> None:
        self.nodes.append(node)


def diamond() -> tuple[tg.Tensor, list[tg.Tensor]]:
    """A loss with a leaf used twice, a frozen leaf, a broadcast, and branches that meet again."""
    rng = np.random.default_rng(0)
    w, b, v = (tg.Tensor(rng.normal(size=s), requires_grad=True) for s in ((3, 2), (2,), (2,)))
    x = tg.Tensor(rng.normal(size=(4, 3)))
    h = tg.tanh(x @ w + b)
    with tg.frozen(v):
        frozen = h * v
    return (frozen * h + h * b).sum(), [w, b, v]


def nodes_of(loss: tg.Tensor) -> set[Node]:
    """Every recorded call that the loss depends on, found without the sweep."""
    found, stack = set(), [loss.node]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in found:
            found.add(node)
            stack.extend(node.parents)
    return found


def test_the_sweep_hands_out_each_step_once_in_the_order_of_backward() -> None:
    loss, (w, b, v) = diamond()
    leaves: dict[object, tg.Tensor] = {}
    with tg.no_grad():
        steps = list(sweep([(loss, tg.Tensor(np.ones(())))], leaves))
    nodes = [node for node, _, _ in steps]
    assert len(nodes) == len(set(nodes)) and set(nodes) == nodes_of(loss)
    for node, g, made in steps:
        assert g.shape == node.shape and g.dtype == node.dtype
        assert [(i, parent) for i, parent, _ in made] == list(
            zip(node.plan.positions, node.parents, strict=True)
        )
        # What comes in is the sum of what was handed on to this node before.
        came = [out.numpy() for _, _, made in steps for _, parent, out in made if parent is node]
        if node is not loss.node:
            np.testing.assert_allclose(g.numpy(), sum(came), rtol=1e-13)
    assert set(leaves) == {w, b}
    watched = Steps()
    with core.watching(watched):
        loss.backward()
    assert watched.nodes == [*nodes, None]
    assert v.grad is None
    for each in (w, b):
        assert np.array_equal(each.grad.numpy(), leaves[each].numpy())


def test_the_sweep_of_grad_goes_only_where_it_must() -> None:
    loss, (w, b, _) = diamond()
    watched = Steps()
    with core.watching(watched):
        tg.grad(loss, b)
    ran = [n for n in watched.nodes if n is not None]
    assert len(ran) == len(set(ran)) and not any(n.op.name == "matmul" for n in ran)
    loss, (w, b, _) = diamond()
    leaves: dict[object, tg.Tensor] = {}
    useful = between([loss], {w})
    with tg.no_grad():
        steps = list(sweep([(loss, tg.Tensor(np.ones(())))], leaves, useful))
    assert set(leaves) == {w}
    assert all(parent in useful for _, _, made in steps for _, parent, _ in made)
    loss.backward()
    assert np.array_equal(leaves[w].numpy(), w.grad.numpy())


def test_looking_changes_nothing() -> None:
    loss, (w, b, v) = diamond()
    ran: list[str] = []
    w.register_hook(lambda g: ran.append("leaf"))
    middle = loss.node.parents[0]
    middle.hooks = [lambda g: ran.append("result") or g * 2]
    h = tg.tanh(w)
    h.retain_grad()
    total = loss + h.sum()
    w.grad = tg.Tensor(np.ones((3, 2)))

    def state() -> list[object]:
        nodes = sorted(nodes_of(total), key=lambda n: n.sequence)
        return [
            [(n.saved, n.output, n.released, n.hooks, n.retained, n.versions) for n in nodes],
            [(id(t.accumulated), t.requires_grad, t.cuts, t.node) for t in (w, b, v, h, total)],
            w.grad.tolist(),
            (core.mode.grad, core.mode.records_cuts, core.mode.observers),
        ]

    before, watched = state(), Steps()
    with core.watching(watched):
        page = tg.trace_backward(total)
        visits, leaves = visit([total], [tg.ones_like(total)])
    assert state() == before and ran == [] and watched.nodes == []
    assert len(page.steps) == len(visits) == len(nodes_of(total)) and set(leaves) == {w, b}
    total.backward()
    assert ran == ["result", "leaf"] and h.grad is not None


def test_observers_hear_that_a_sweep_is_over_even_when_it_fails() -> None:
    loss, _ = diamond()
    loss.backward()
    watched = Steps()
    with core.watching(watched), pytest.raises(RuntimeError, match="used up"):
        (loss * 2).backward()
    assert [n is None for n in watched.nodes] == [False, False, True]
    assert core.mode.records_cuts


def test_gradients_that_add_up_leave_others_alone():
    """The first is handed on as it is, to several; from the second on it is written into."""
    x, y, z = (tg.Tensor(np.full(3, v), requires_grad=True) for v in (1.0, 2.0, 3.0))
    g = tg.Tensor(np.ones(3))
    (x + y + z + x + x + y * 1.0 + x).backward(g)
    assert (x.grad.tolist(), y.grad.tolist(), z.grad.tolist()) == ([4.0] * 3, [2.0] * 3, [1.0] * 3)
    assert g.tolist() == [1.0] * 3


def test_gradients_that_overflow_while_they_add_up_warn_of_nothing():
    x = tg.Tensor(np.ones(2, np.float32), requires_grad=True)
    g = tg.Tensor(np.full(2, 1.5e38, np.float32))  # two of them fit into float32, four don't
    with np.errstate(all="raise"):
        (x + x + x + x).backward(g)
    assert np.isinf(x.grad.numpy()).all()
