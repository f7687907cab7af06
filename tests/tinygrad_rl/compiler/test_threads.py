"""Compiled functions called by several threads, and by children that are made meanwhile."""

import itertools
import os
import signal
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler import phases
from tinygrad_rl.kernels import loops
from tinygrad_rl.kernels.cache import cache_dir

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # fork beside threads
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]
WAIT = 600
"""Seconds until a thread or a child hangs: no test is about that, and machines may be slow."""
ONCE = f"once_{os.getpid()}"
"""Starts the names of files in the cache that no other run will want."""
numbers = itertools.count(time.time_ns() % 10**12)
"""Never the same in two runs, so that what contains one has to be compiled."""


@pytest.fixture(autouse=True, scope="module")
def cleared():
    yield
    for file in cache_dir().rglob(f"*{ONCE}*"):
        file.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def divided(monkeypatch):
    """Small functions are shared by three threads, too."""
    monkeypatch.setattr(phases, "WORTH", 0)
    before = tg.get_num_threads()
    tg.set_num_threads(3)
    yield
    tg.set_num_threads(before)


def child(work):
    """Do `work()` in a forked child; it must end in time, and well."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    end = time.monotonic() + WAIT
    try:
        while (found := os.waitpid(pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < end, "the child hangs"
            time.sleep(0.002)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    assert os.waitstatus_to_exitcode(found[1]) == 0


@contextmanager
def meanwhile(*works):
    """Threads that do these again and again as long as the block lasts."""
    stop, errors = threading.Event(), []

    def repeat(work):
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(WAIT)
    assert not errors and not any(thread.is_alive() for thread in threads)


class Net:
    """A small network with compiled and eager forms, and the right answers."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.w = tg.Tensor(rng.normal(size=(70, 20)).astype(np.float32), requires_grad=True)
        self.v = tg.Tensor(rng.normal(size=(1, 70)).astype(np.float32), requires_grad=True)
        self.out = tg.jit(self.forward)
        self.slope = tg.jit(self.gradient)
        self.train = tg.jit(self.step)
        self.optimizer = tg.optim.Adam([self.w, self.v], lr=0.01)

    def forward(self, x):
        return tg.tanh(x @ self.w.T) @ self.v.T

    def gradient(self, x):
        with tg.frozen(self.v):
            return tg.grad(self.forward(x).sum(), [self.w])[0]

    def step(self, x):
        self.optimizer.zero_grad()
        loss = (self.forward(x) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss

    def check(self, rows=100):
        """Compiled results are NumPy's."""
        x = np.random.default_rng(rows).normal(size=(rows, 20)).astype(np.float32)
        hidden = np.tanh(x @ self.w.numpy().T)
        np.testing.assert_allclose(self.out(x).numpy(), hidden @ self.v.numpy().T, 1e-3, 1e-4)
        slope = ((1 - hidden**2) * self.v.numpy()).T @ x
        np.testing.assert_allclose(self.slope(x).numpy(), slope, 1e-3, 1e-3)
        np.testing.assert_allclose(self.gradient(tg.Tensor(x)).numpy(), slope, 1e-3, 1e-3)
        assert self.w.requires_grad and self.v.requires_grad


DATA = np.ones((50, 20), np.float32)


def train(steps):
    """The losses of a new network."""
    net = Net()
    return [net.train(DATA).item() for _ in range(steps)]


def compile_something():
    number = next(numbers)

    def f(x):
        return tg.exp(x) + number

    f.__name__ = ONCE
    np.testing.assert_allclose(tg.jit(f)(np.ones(50)).numpy(), np.e + number, 1e-12)


def compile_an_op():
    number = next(numbers)
    square = loops.elementwise(ONCE, f"x * x + {number}.0", ("x",), "float64", ("float64",))
    np.testing.assert_array_equal(square(np.ones(3)), 1 + number)


def change_threads():
    for n in (1, 2, 3):
        tg.set_num_threads(n)
        time.sleep(0.001)  # else it is all that runs


def test_threads_with_different_arguments_each_get_their_own_results():
    net = Net()
    with ThreadPoolExecutor(4) as pool:
        for rows in (1, 100, 7, 100):
            pool.submit(net.check, rows).result(WAIT)
        with meanwhile(change_threads):
            for done in [pool.submit(net.check, rows) for rows in (1, 100, 7, 100) * 10]:
                done.result(WAIT)


def test_first_calls_of_several_threads_at_once():
    for seed in range(3):
        net = Net(seed)
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(net.check, rows) for rows in (100, 100, 30, 30)]:
                done.result(WAIT)
        assert net.out.cache_info().traces == net.slope.cache_info().traces == 2


def test_threads_that_train_networks_of_their_own_with_shared_data():
    losses = train(30)
    with ThreadPoolExecutor(3) as pool:
        assert [r.result(WAIT) for r in [pool.submit(train, 30) for _ in range(3)]] == [losses] * 3


BUSY = {
    "inside the same function": lambda net: [net.check, lambda: net.check(30)],
    "compiling": lambda net: [compile_something],
    "compiling an op": lambda net: [compile_an_op],
    "sharing work": lambda net: [Net(1).check, Net(2).check, change_threads],
    "training": lambda net: [lambda: train(20)],
    "all at once": lambda net: [net.check, compile_something, Net(1).check, change_threads],
}


def works(net):
    """What a child does: each of these may be the first thing."""

    def in_threads():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(net.check, [100, 30], timeout=WAIT))

    return [
        net.check,  # the same function
        compile_something,
        lambda: net.check(41),  # traced anew
        compile_an_op,
        lambda: Net(3).check(),
        in_threads,
    ]


def does(*works):
    """Work for a child, in which other threads have not changed how many there are."""

    def work():
        tg.set_num_threads(3)
        for one in works:
            one()

    return work


def busy_net(busy):
    net = Net()
    net.check()
    compile_something()
    return net, meanwhile(*BUSY[busy](net))


@pytest.mark.parametrize("busy", BUSY)
def test_a_child_works_whatever_the_other_threads_were_doing(busy):
    net, others = busy_net(busy)
    with others:
        child(does(*works(net)))


@pytest.mark.slow
@pytest.mark.parametrize("busy", BUSY)
def test_so_do_twenty_children(busy):
    net, others = busy_net(busy)
    with others:
        for work in itertools.islice(itertools.cycle(works(net)), 20):
            child(does(work))
            time.sleep(0.01)


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_child_made_by_a_thread_while_others_compile(times):
    net = Net()
    with meanwhile(compile_something), ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(child, net.check) for _ in range(times)]:
            done.result(WAIT)


def test_a_child_of_a_child():
    net = Net()
    net.check()
    with meanwhile(net.check, compile_something):
        child(lambda: (net.check(), child(lambda: (net.check(), compile_something()))))


def test_a_child_made_inside_another_threads_frozen_block_has_its_flags():
    net = Net()
    inside, leave = threading.Event(), threading.Event()

    def hold():
        with tg.frozen(net.w):
            inside.set()
            leave.wait(WAIT)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(hold)
        assert inside.wait(WAIT)
        child(net.check)
        with tg.frozen(net.w):
            child(lambda: sees_frozen(net.w))
        leave.set()
        done.result(WAIT)
    net.check()


def sees_frozen(w):
    assert not w.requires_grad and not (w * 2).requires_grad


def test_a_child_made_while_a_function_is_traced():
    net = Net()

    def check_in_a_thread():  # the child's first one is tracing
        with ThreadPoolExecutor(1) as pool:
            pool.submit(net.check, 30).result(WAIT)

    def forks(x):
        child(check_in_a_thread)
        return x * 2

    assert tg.jit(forks)(np.ones(1)).item() == 2
    inside, leave, parent = threading.Event(), threading.Event(), os.getpid()

    def waits(x):
        if os.getpid() == parent:  # the child's copy of an event may be locked for ever
            inside.set()
            leave.wait(WAIT)
        return x * 3

    g = tg.jit(waits)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(g, np.ones(1))
        assert inside.wait(WAIT)
        child(lambda: np.testing.assert_equal(g(np.ones(1)).item(), 3))
        leave.set()
        assert done.result(WAIT).item() == 3
