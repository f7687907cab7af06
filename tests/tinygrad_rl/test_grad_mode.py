"""Where a gradient stops on purpose: detach, no_grad, frozen; each hazard of it is a test.

PyTorch is the reference except where the project deviates on purpose; the test says so there.
"""

import threading

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.made import close, leaf, line
from tinygrad_rl import nn, optim

# -- detach, no_grad -------------------------------------------------------------------------------


def test_detach_shares_storage_and_version_counter() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    loss = (y * y).sum()
    constant = y.detach()
    assert constant.is_leaf and not constant.requires_grad
    assert np.shares_memory(constant.numpy(), y.numpy())
    constant.zero_()
    where = line(-1)
    close(y, [0.0, 0.0])
    with pytest.raises(RuntimeError, match="changed in place") as error:
        loss.backward()
    assert where in str(error.value)


def test_no_grad_nests_and_ends_on_exceptions() -> None:
    with tg.no_grad():
        with tg.enable_grad():
            assert tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
        with pytest.raises(KeyError), tg.enable_grad():
            raise KeyError
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_no_grad_is_thread_local() -> None:
    seen = []
    shared = tg.no_grad()
    with shared:
        thread = threading.Thread(target=lambda: seen.append(tg.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_no_grad_object_shared_by_threads_restores_each_its_own() -> None:
    shared = tg.no_grad()
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def other() -> None:
        with tg.no_grad():
            with shared:
                inside.set()
                leave.wait(10)
            seen.append(tg.is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with shared:
        leave.set()
        thread.join()
    assert tg.is_grad_enabled() and seen == [False]


@pytest.mark.parametrize(
    "decorate", [tg.no_grad(), tg.no_grad, lambda f: tg.set_grad_enabled(False)(f)]
)
def test_no_grad_decorates(decorate) -> None:
    @decorate
    def double(x: tg.Tensor) -> tg.Tensor:
        """Twice x."""
        return x * 2

    assert tg.is_grad_enabled()
    assert not double(leaf(1.0)).requires_grad
    assert double.__name__ == "double" and double.__doc__ == "Twice x."


def test_no_grad_on_a_generator_holds_inside_and_nowhere_else() -> None:
    @tg.no_grad()
    def count(x: tg.Tensor):
        got = []
        try:
            while len(got) < 2:
                got.append((yield x * 2))
                assert not tg.is_grad_enabled()
        except KeyError:
            assert not tg.is_grad_enabled()
            yield "caught"
        return got

    running = count(leaf(1.0))
    assert not next(running).requires_grad and tg.is_grad_enabled()
    running.send("a")
    assert tg.is_grad_enabled()
    with pytest.raises(StopIteration) as stop:
        running.send("b")
    assert stop.value.value == ["a", "b"] and tg.is_grad_enabled()
    running = count(leaf(1.0))
    next(running)
    assert running.throw(KeyError()) == "caught" and tg.is_grad_enabled()
    running.close()
    assert tg.is_grad_enabled()


def test_no_grad_on_a_coroutine_or_class_is_refused() -> None:
    async def later() -> None: ...

    with pytest.raises(TypeError, match="coroutine"):
        tg.no_grad()(later)
    with pytest.raises(TypeError, match="class"):
        tg.no_grad()(dict)


def test_set_grad_enabled_acts_at_once_as_in_pytorch() -> None:
    try:
        tg.set_grad_enabled(False)
        assert not tg.is_grad_enabled()
    finally:
        tg.set_grad_enabled(True)
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


def test_a_leaf_created_under_no_grad_keeps_its_flag() -> None:
    with tg.no_grad():
        x = leaf(1.0)
    (x * 2).sum().backward()
    close(x.grad, [2.0])


def test_views_made_under_no_grad_are_constants() -> None:
    # PyTorch: they take the flag of their base. Here all that is made under no_grad is constant.
    x = leaf(1.0, 2.0)
    with tg.no_grad():
        view = x[:1]
    assert not view.requires_grad
    assert not (view * 2).requires_grad


# -- freezing --------------------------------------------------------------------------------------


def test_freezing_is_not_blocking() -> None:
    w, x = leaf(3.0), leaf(2.0)
    with tg.frozen(w):
        y = w * (x * 5)
    y.sum().backward()  # after the block: what was recorded counts
    close(x.grad, [15.0])
    assert w.grad is None and w.requires_grad


def test_frozen_before_the_forward_runs_no_rule_for_the_parameter() -> None:
    ran = []
    op = tg.Kernel(
        "spy_mul",
        forward=lambda a, b: a * b,
        vjp={
            "a": lambda g, b: (ran.append("a"), g * b)[1],
            "b": lambda g, a: (ran.append("b"), g * a)[1],
        },
    )
    w, x = leaf(3.0), leaf(2.0)
    with tg.frozen(w):
        y = op(w, x)
    y.sum().backward()
    assert ran == ["b"]


def test_frozen_between_forward_and_backward_warns_and_gives_nothing() -> None:
    w, x = leaf(3.0), leaf(2.0)
    loss = (w * x).sum()
    w.requires_grad_(False)
    where = line(-1)
    with pytest.warns(UserWarning, match="frozen between forward and backward") as caught:
        loss.backward()
    assert where in str(caught[0].message) and caught[0].filename == __file__
    assert w.grad is None
    close(x.grad, [3.0])


def test_frozen_block_only_around_the_backward_warns() -> None:
    w = leaf(3.0)
    loss = (w * w).sum()
    with tg.frozen(w), pytest.warns(UserWarning, match="frozen between"):
        loss.backward()
    assert w.grad is None


def test_unfrozen_after_the_forward_warns_and_gives_nothing() -> None:
    w, x = leaf(3.0).requires_grad_(False), leaf(2.0)
    loss = (w * x).sum()
    called = line(-1)
    w.requires_grad_(True)
    flagged = line(-1)
    with pytest.warns(UserWarning, match="only after 'mul'") as caught:
        loss.backward()
    assert called in str(caught[0].message) and flagged in str(caught[0].message)
    assert w.grad is None
    close(x.grad, [2.0 + 1.0])


def test_a_frozen_block_that_ended_is_no_late_unfreezing() -> None:
    w, x = leaf(3.0), leaf(2.0)
    with tg.frozen(w):
        loss = (w * x).sum()
    w.requires_grad_(True)  # it is set already: nothing changes
    loss.backward()  # no warning
    assert w.grad is None


def test_a_flag_set_before_the_forward_is_no_late_unfreezing() -> None:
    w, x = leaf(3.0), leaf(2.0)
    w.requires_grad_(False).requires_grad_(True)
    with tg.frozen(w):
        loss = (w * x).sum()
    loss.backward()  # no warning: the flag was set before, and only restored after
    assert w.grad is None


def test_frozen_in_the_forward_stays_frozen_in_gradients_of_gradients() -> None:
    # PyTorch looks at the flag again when it unpacks w, and gives w a second-order gradient.
    w, x = leaf(3.0), leaf(2.0)
    with tg.frozen(w):
        y = w * x * x
    (dx,) = tg.grad(y.sum(), x, create_graph=True)
    (dx * dx).sum().backward()
    assert w.grad is None
    close(x.grad, [2 * (2 * 3.0 * 2.0) * (2 * 3.0)])


def test_frozen_restores_each_flag_also_on_exceptions_and_nested() -> None:
    a, b = leaf(1.0), leaf(1.0).requires_grad_(False)
    with pytest.raises(KeyError), tg.frozen(a, b):
        with tg.frozen(a):
            assert not a.requires_grad
        assert not a.requires_grad and not b.requires_grad
        raise KeyError
    assert a.requires_grad and not b.requires_grad


def test_frozen_takes_modules_lists_and_tensors() -> None:
    net, w = nn.Linear(2, 2), leaf(1.0)
    for given in (net, [net.weight, net.bias], net.parameters(), (p for p in net.parameters())):
        with tg.frozen(given, w):
            assert not (net.weight.requires_grad or net.bias.requires_grad or w.requires_grad)
        assert net.weight.requires_grad and net.bias.requires_grad and w.requires_grad


def test_frozen_that_matches_nothing_is_an_error() -> None:
    # Spinning Up's TD3 and SAC freeze an iterator that the optimizer has used up: nothing gets
    # frozen.
    used_up = iter(nn.Linear(2, 2).parameters())
    list(used_up)
    for nothing in (used_up, [], nn.ReLU()):
        with pytest.raises(ValueError, match="generator such as parameters"):
            tg.frozen(nothing)
    with pytest.raises(TypeError, match="module or tensors"):
        tg.frozen(3)
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        tg.frozen(leaf(1.0) * 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.1),
        lambda p: optim.Adam(p, 0.1, weight_decay=0.1),
        lambda p: optim.AdamW(p, 0.1, weight_decay=0.1),
    ],
)
def test_an_optimizer_never_moves_a_frozen_tensor(make) -> None:
    # PyTorch moves it: by its stale .grad, its momentum, its Adam state, its weight decay.
    w = leaf(3.0)
    optimizer = make([w])
    (w * 2).sum().backward()
    optimizer.step()
    before = w.numpy().copy()
    w.requires_grad_(False)
    assert w.grad is not None
    optimizer.step()
    with tg.frozen(w):
        optimizer.step()
    assert np.array_equal(w.numpy(), before)
