"""Gradients in and around jitted functions: what is left in `.grad`, and what comes in."""

import numpy as np
import pytest

import tinygrad_rl as tg


def close(a, b, rtol=1e-5):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-6)


def weights(*shape, seed=0, dtype=np.float64):
    numbers = np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)
    return tg.Tensor(numbers, requires_grad=True)


def pair_of_steps(make):
    """Eager and compiled twins: functions with parameters of their own, from one recipe."""
    eager, compiled = make(), make()
    return eager, (tg.jit(compiled[0]), *compiled[1:])


def test_backward_inside_accumulates_as_eager_does():
    def make():
        w, v = weights(3, 2, seed=1), weights(2, seed=2)

        def f(x):
            loss = (tg.tanh(x @ w) * v).sum()
            loss.backward()
            return loss

        return f, w, v

    (eager, *a), (compiled, *b) = pair_of_steps(make)
    for k in range(5):
        x = np.random.default_rng(k).normal(size=(4, 3))
        close(compiled(x), eager(tg.from_numpy(x)))
        for p, q in zip(a, b, strict=True):
            close(q.grad, p.grad)
        if k == 2:
            for p in (*a, *b):
                p.grad = None
    info = compiled.cache_info()
    assert info.reasons == ("first call", ".grad of v: None when it was traced")
    assert info.hits == 3


def test_the_reason_names_the_gradient_that_is_gone():
    a, b = weights(2, seed=1), weights(3, seed=2)

    @tg.jit
    def double():
        a.grad.add_(a.grad)
        return b.grad

    a.grad, b.grad = tg.Tensor(np.ones(2)), tg.Tensor(np.ones(3))
    assert double().tolist() == [1, 1, 1] and a.grad.tolist() == [2, 2]
    b.grad = None
    assert double() is None and a.grad.tolist() == [4, 4]
    assert double.cache_info().reasons[1] == ".grad of b: there when it was traced"


def test_gradients_of_eager_backwards_come_in_without_a_new_trace():
    w = weights(3)
    step = tg.jit(tg.optim.SGD([w], 0.1).step)
    expected = w.numpy().copy()
    for k in range(3):
        w.grad = None
        (w * (k + 1)).sum().backward()
        step()
        expected -= 0.1 * (k + 1)
        close(w, expected)
    assert step.cache_info()[:2] == (2, 1)


def test_a_gradient_stays_what_it_is_when_another_argument_gets_one():
    f = tg.jit(lambda x: (x * x).sum().backward())
    x, y = weights(2, seed=1), weights(2, seed=2)
    f(x)
    f(y)
    close(x.grad, 2 * x.numpy())
    close(y.grad, 2 * y.numpy())


def test_grad_of_grad_and_frozen_and_stop_gradient_inside():
    w, v = weights(3, seed=1), weights(3, seed=2)

    def f(x):
        (g,) = tg.grad((tg.tanh(x * w) * v).sum(), [w], create_graph=True)
        (gg,) = tg.grad((g * g).sum(), [v])
        with tg.frozen(v):
            frozen = tg.grad((x * w * v).sum(), [w])[0]
        with tg.no_grad():
            target = x * v
        mixed = tg.grad(((x * w - target) * tg.stop_gradient(w) * w.detach()).sum(), [w])[0]
        return g, gg, frozen, mixed

    x = tg.from_numpy(np.linspace(-1, 1, 3))
    compiled = tg.jit(f)
    for a, b in zip(compiled(x), f(x), strict=True):
        close(a, b, 1e-10)
    assert "stop_gradient" in compiled.program().listing()
    assert w.grad is None and v.requires_grad


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, x, v: tg.value_and_grad(lambda t: f(t).sum(), x),
        lambda f, x, v: tg.vjp(f, x, v),
        lambda f, x, v: tg.jvp(f, x, v),
        lambda f, x, v: (tg.jacobian(f, x),),
        lambda f, x, v: (tg.hessian(lambda t: f(t).sum(), x),),
        lambda f, x, v: tg.hvp(lambda t: f(t).sum(), x, v),
    ],
    ids=["value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp"],
)
@pytest.mark.parametrize("outside", [False, True], ids=["argument", "outside"])
def test_a_function_is_differentiated_inside_without_a_trace_at_each_call(derivative, outside):
    w = weights(3, seed=3)

    def step(x, v):
        return derivative(lambda t: tg.sin(t * w) * t.sum(), w if outside else x, v)

    compiled = tg.jit(step)
    for seed in range(3):
        x, v = np.random.default_rng(seed).normal(size=(2, 3))
        expected = step(tg.from_numpy(x), tg.from_numpy(v))
        for a, b in zip(compiled(x, v), expected, strict=True):
            close(a, b, 1e-10)
        with tg.no_grad():
            w.assign_(-w)
    assert compiled.cache_info().traces == 1
    assert w.requires_grad and w.grad is None


OPTIMIZERS = {
    "sgd": lambda p: tg.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: tg.optim.Adam(p, 0.01, weight_decay=0.1),
    "adamw": lambda p: tg.optim.AdamW(p, 0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_whole_steps_equal_eager_ones(name):
    def make():
        rng = np.random.default_rng(3)
        net, target = (tg.nn.MLP((3, 8, 2), rng=rng) for _ in range(2))
        optimizer = OPTIMIZERS[name](net.parameters())

        def step(x, y):
            loss = tg.nn.functional.mse_loss(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            norm = tg.optim.clip_grad_norm(net, 0.05)
            optimizer.step()
            tg.optim.polyak(target, net, 0.1)
            return loss.detach(), norm

        return step, net, target

    (eager, *a), (compiled, *b) = pair_of_steps(make)
    for k in range(5):
        rng = np.random.default_rng(k)
        x, y = (tg.from_numpy(rng.normal(size=(6, n)).astype(np.float32)) for n in (3, 2))
        for p, q in zip(eager(x, y), compiled(x, y), strict=True):
            close(q, p, 1e-4)
    for m, n in zip(a, b, strict=True):
        for p, q in zip(m.parameters(), n.parameters(), strict=True):
            close(q, p, 1e-4)
            assert (p.grad is None) == (q.grad is None)
    assert compiled.cache_info()[:2] == (4, 1)


def test_a_learning_rate_set_later_takes_effect():
    w = tg.Tensor([0.0, 0.0], requires_grad=True)
    optimizer = tg.optim.SGD([w], 0.5)

    @tg.jit
    def step():
        optimizer.zero_grad()
        w.sum().backward()
        optimizer.step()

    step()
    optimizer.lr = 2.0
    assert optimizer.lr == 2.0
    step()
    close(w, [-2.5, -2.5])
    assert step.cache_info().traces == 1
    with pytest.raises(ValueError, match="lr"):
        optimizer.lr = -1


def test_a_result_with_history_ends_the_way_back_with_an_error():
    w = weights(2)
    y = tg.jit(lambda x: (x * w).sum())(tg.ones(2))
    assert y.requires_grad
    with pytest.raises(RuntimeError, match="jitted function, which keeps no history"):
        (y * 2).backward()
    assert not tg.jit(lambda x: (x * w).sum().detach())(tg.ones(2)).requires_grad


@pytest.mark.parametrize("allow_unused", [False, True])
def test_no_gradient_is_a_part_of_itself_because_the_rest_went_through_a_jitted_function(
    allow_unused,
):
    w = weights(2)
    y = tg.jit(lambda x: (x * w).sum())(tg.ones(2))
    with pytest.raises(RuntimeError, match="jitted function, which keeps no history"):
        tg.grad(y * 2, [w], allow_unused=allow_unused)
    with pytest.raises(RuntimeError, match="jitted function, which keeps no history"):
        tg.grad(y + w.sum(), [w], allow_unused=allow_unused)
    (g,) = tg.grad(y.detach() + w.sum(), [w], allow_unused=allow_unused)
    close(g, [1, 1])


def test_zeros_of_an_unused_input_are_new_at_each_call():
    w, unused = weights(2), weights(2)

    def total(x):
        (zeros,) = tg.grad((x * w).sum(), [unused], materialize_grads=True)
        zeros.add_(x)
        seed = tg.Tensor([2.0], requires_grad=True)
        seed.backward()
        seed.grad.add_(1.0)
        return zeros + seed.grad

    step = tg.jit(total)
    for _ in range(3):
        close(step(tg.ones(2)), total(tg.ones(2)))
    assert step.cache_info().traces == 1


def test_an_outer_graph_that_needs_overwritten_numbers_is_refused():
    w = weights(2)
    loss = (w * w).sum()

    @tg.jit
    def step():
        with tg.no_grad():
            w.sub_(1.0)

    before = w.numpy().copy()
    step()
    close(w, before - 1)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_two_results_that_keep_no_history_in_one_sum():
    w = weights(3)
    f = tg.jit(lambda x: x * w)
    loss = (f(tg.ones(3)) + f(tg.zeros(3))).sum()
    with pytest.raises(RuntimeError, match="which keeps no history"):
        loss.backward()


def test_gradients_are_named_after_what_they_are_the_gradient_of():
    """Whether it is a leaf or a result, and whoever else knows the leaf."""
    W, b = weights(3, 2), weights(2)

    def step(x):
        hidden = tg.tanh(x @ W + b)
        loss = (hidden * hidden).sum()
        loss.backward()
        return loss

    f = tg.jit(step)
    f(tg.ones(4, 3, dtype=np.float64))
    names = [i.out.name for i in f.program().instructions]
    assert {"hidden", "loss", "grad_hidden", "grad_W", "grad_b"} <= set(names)
    assert names.index("grad_hidden") < names.index("grad_W")


def test_a_gradient_is_forgotten_also_when_there_was_none_at_the_first_call():
    w, v = weights(2, seed=1), weights(2, seed=2)

    @tg.jit
    def step(x):
        w.grad = v.grad = None
        (v * x).sum().backward()

    step(tg.ones(2, dtype=np.float64))
    w.grad = tg.ones(2, dtype=np.float64)
    step(tg.ones(2, dtype=np.float64))
    assert w.grad is None and v.grad is not None


@pytest.mark.parametrize("first", [True, False])
def test_an_argument_that_is_a_parameter_too_gets_the_gradient_of_both(first):
    """What it gets as an argument is a part of what it gets, and no call leaves out the rest."""
    w, other = (tg.Tensor(numbers, requires_grad=True) for numbers in ([1.0, 2.0], [5.0, 7.0]))

    def cube(x):
        (by_grad,) = tg.grad((x * w * w).sum(), x)
        w.grad = x.grad = None
        (x * w * w).sum().backward()
        return by_grad, w.grad

    f = tg.jit(cube)
    for x in (w, other, w) if first else (other, w, other):
        for _ in range(2):
            for got, expected in zip(f(x), cube(x), strict=True):
                np.testing.assert_allclose(got.numpy(), expected.numpy())
    assert f.cache_info().traces == 2
    reasons = "is not the tensor from outside that it was", "is w from outside"
    assert f.cache_info().reasons[-1] == f"argument 0 {reasons[0 if first else 1]}"
