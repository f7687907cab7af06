"""`frozen` holds for the thread that enters the block; flags always come back, in any order."""

import copy
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.made import close, leaf
from tinygrad_rl import nn, optim


def in_thread(work) -> object:
    """What `work()` returns when another thread does it; its exception is raised here."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(30)


def gradient(w: tg.Tensor) -> list[float] | None:
    """The gradient of w's square, by an op of two inputs and one of a constant."""
    x = leaf(1.0)
    (dw,) = tg.grad((w * w * x).sum() + (w * 0.0).sum(), [w], allow_unused=True)
    return dw and dw.tolist()


def sees(w: tg.Tensor) -> bool:
    """Whether this thread gets gradients for w, found in every way that there is."""
    x = leaf(1.0)
    y = w * x
    required = (w * 2).requires_grad
    assert required is w.requires_grad is (len(y.node.parents) == 2)
    if required:
        assert gradient(w) == [2 * v for v in w.tolist()]
    return required


def test_frozen_is_the_threads_own() -> None:
    w = leaf(3.0)
    optimizer = optim.SGD([w], lr=0.5)
    with tg.frozen(w):
        assert not sees(w)
        assert in_thread(lambda: sees(w))

        def train() -> None:
            (w * w).sum().backward()
            optimizer.step()

        in_thread(train)
        close(w.grad, [6.0])
        close(w, [0.0])
        optimizer.step()  # frozen here
        close(w, [0.0])
    assert sees(w)


def test_a_frozen_object_shared_by_threads_in_every_order() -> None:
    w, v = leaf(3.0), leaf(1.0).requires_grad_(False)
    shared = tg.frozen(w, v)
    for order in set(itertools.permutations(["in", "in", "out", "out"])):
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            pools, depth = (first, second), [0, 0]
            for k, what in itertools.product((0, 1), order):
                depth[k] += 1 if what == "in" else -1
                if min(depth) < 0:
                    break
                call = shared.__enter__ if what == "in" else shared.__exit__
                pools[k].submit(call).result(30)
                for pool, d in zip(pools, depth, strict=True):
                    assert pool.submit(sees, w).result(30) is (d == 0)
                    assert not pool.submit(lambda: v.requires_grad).result(30)
            for pool, d in zip(pools, depth, strict=True):
                for _ in range(d):
                    pool.submit(shared.__exit__).result(30)
                assert pool.submit(sees, w).result(30)
    assert sees(w) and not v.requires_grad


def test_frozen_blocks_that_end_in_the_order_in_which_they_began() -> None:
    w, v = leaf(3.0), leaf(1.0)
    a, b = tg.frozen(w, v), tg.frozen(w)
    a.__enter__()
    b.__enter__()
    a.__exit__()
    assert not w.requires_grad and v.requires_grad
    b.__exit__()
    assert sees(w) and sees(v)


def test_a_frozen_generator_that_another_thread_resumes_or_closes() -> None:
    w = leaf(3.0)

    def halves():
        with tg.frozen(w):
            yield
        yield

    for end in (next, lambda g: g.close()):
        running = halves()
        next(running)
        assert not sees(w)
        in_thread(lambda end=end, running=running: end(running))
        assert sees(w)
        assert in_thread(lambda: sees(w))


def test_a_flag_set_by_another_thread_is_not_lost_when_the_block_ends() -> None:
    w, v = leaf(3.0), leaf(3.0).requires_grad_(False)
    with tg.frozen(w, v):
        in_thread(lambda: (w.requires_grad_(False), v.requires_grad_(True)))
        assert not w.requires_grad and not v.requires_grad
        assert in_thread(lambda: (w.requires_grad, v.requires_grad)) == (False, True)
    assert not w.requires_grad and sees(v)


def test_a_flag_set_inside_the_block_lasts_as_long_as_the_block() -> None:
    w, v = leaf(3.0), leaf(3.0).requires_grad_(False)
    with tg.frozen(w, v):
        w.requires_grad_(True)
        v.requires_grad_(True)
        assert sees(w) and sees(v)
        with tg.frozen(v):
            assert not sees(v)
        assert sees(v)
    assert sees(w) and not v.requires_grad and not sees(v)


def test_threads_that_freeze_at_random_never_see_each_others_blocks() -> None:
    parameters = [leaf(float(k + 1)) for k in range(3)]

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        for _ in range(100):
            some = [w for w in parameters if rng.random() < 0.5]
            try:
                with tg.frozen(*some, leaf(1.0)):
                    assert [sees(w) for w in parameters] == [w not in some for w in parameters]
                    if rng.random() < 0.3:
                        raise KeyError
            except KeyError:
                pass
            assert all(sees(w) for w in parameters)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work, seed) for seed in range(4)]:
                done.result(60)
    finally:
        sys.setswitchinterval(before)


def test_a_copy_made_by_another_thread_meanwhile_is_not_frozen() -> None:
    net = nn.Linear(1, 1)
    with tg.frozen(net):
        copied = in_thread(lambda: copy.deepcopy(net))
        assert not copy.deepcopy(net).weight.requires_grad
    assert copied.weight.requires_grad and net.weight.requires_grad


def test_a_jitted_step_called_by_a_thread_inside_and_one_outside_the_block() -> None:
    w, x = leaf(3.0), leaf(2.0)

    @tg.jit
    def step() -> tg.Tensor:
        w.grad = x.grad = None
        loss = (w * x).sum()
        loss.backward()
        return loss

    def found() -> tuple[bool, bool]:
        step()
        return w.grad is not None, x.grad is not None

    with tg.frozen(w):
        for _ in range(3):
            assert found() == (False, True)
            assert in_thread(found) == (True, True)
    assert found() == in_thread(found) == (True, True)
    assert step.cache_info().traces == 2


def test_a_jitted_step_that_freezes_while_it_is_traced_does_so_for_its_own_thread() -> None:
    w, x = leaf(3.0), leaf(2.0)
    other = tg.jit(lambda: tg.grad((w * x).sum(), [w])[0])
    close(other(), [2.0])
    seen = []

    @tg.jit
    def step() -> None:
        x.grad = None
        with tg.frozen(w):
            loss = (w * x).sum()
            seen.append(in_thread(lambda: (sees(w), other().tolist())))
        loss.backward()

    for _ in range(2):
        step()
        close(x.grad, [3.0])
    assert seen == [(True, [2.0])] and w.grad is None and sees(w)
    assert other.cache_info().traces == 1


def test_a_jitted_function_that_leaves_a_frozen_block_open_is_refused() -> None:
    w = leaf(3.0)
    block = tg.frozen(w)

    def leave_open(x: tg.Tensor) -> tg.Tensor:
        block.__enter__()
        return w * x

    with pytest.raises(RuntimeError, match=r"leave a frozen\(\) block open"):
        tg.jit(leave_open)(leaf(1.0))
    assert sees(w)
    block.__exit__()
    assert sees(w)
