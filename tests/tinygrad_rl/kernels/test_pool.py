"""A thread pool shares a function's work: everything runs once, in order, and errors are seen."""

import itertools
import os
import sys
import threading

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler import phases
from tinygrad_rl.kernels import pool
from tinygrad_rl.kernels.cache import load

PHASES, PARTS = 5, 3
COUNT = """
from numba import int64, njit, void
from tinygrad_rl.kernels.native import array

@njit(void(int64, int64, int64), cache=True, nogil=True)
def count(memory, phase, part):
    done = array(memory, 0, 0, ({phases}, {parts}), int64)
    wrong = array(memory, 1, 0, (2,), int64)
    if wrong[0] == phase and wrong[1] == part:
        raise IndexError("wanted")
    for p in range(phase):
        for k in range({parts}):
            if done[p, k] == done[phase, part]:
                raise ValueError("a phase began before another was over")
    done[phase, part] += 1
"""


class Count:
    """Counts calls of each phase and part."""

    def __init__(self):
        source = COUNT.format(phases=PHASES, parts=PARTS)
        self.done = np.zeros((PHASES, PARTS), np.int64)
        self.wrong = np.full(2, -1)
        self.memory = np.array([self.done.ctypes.data, self.wrong.ctypes.data])
        self.pooled = pool.Pooled(load(source, "count").count, PHASES, PARTS)

    def __call__(self):
        self.pooled(self.memory.ctypes.data)


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = tg.get_num_threads()
    tg.set_num_threads(request.param)
    yield request.param
    tg.set_num_threads(before)


def test_each_part_runs_once_in_each_phase(threads):
    count = Count()
    for k in range(200):
        count()
        assert np.all(count.done == k + 1)


@pytest.mark.parametrize("part", range(PARTS))
def test_an_exception_in_any_part_is_raised(threads, part):
    count = Count()
    count.wrong[:] = 2, part
    with pytest.raises(IndexError, match="wanted"):
        count()
    assert np.all(count.done[3:] == 0), "no phase begins after one that failed"
    count.wrong[:] = -1
    count.done[...] = 0
    count()
    assert np.all(count.done == 1)


def test_callers_in_several_threads_do_not_disturb_each_other(threads):
    counts = [Count() for _ in range(4)]
    errors = []

    def run(count):
        try:
            for _ in range(100):
                count()
        except BaseException as error:
            errors.append(error)

    callers = [threading.Thread(target=run, args=(count,)) for count in counts]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not errors
    assert all(np.all(count.done == 100) for count in counts)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_does_it_again(threads):
    count = Count()
    count()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            count()
            status = int(not np.all(count.done == 2))
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


@pytest.fixture
def own_workers():
    """Not those of other tests, should this one leave them locked."""
    pool._workers.cache_clear()
    yield
    pool._workers.cache_clear()


def test_an_interrupt_at_any_moment_of_a_call_locks_nobody_out(threads, own_workers):
    count = Count()
    count()
    for moment in itertools.count():
        left = iter(range(moment))

        def interrupt(frame, event, argument, left=left):
            if event in ("call", "return") and next(left, None) is None:
                sys.setprofile(None)
                raise KeyboardInterrupt

        before = sys.getprofile()
        sys.setprofile(interrupt)
        try:
            count()
            break  # it has no more moments
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(before)
        again = threading.Thread(target=count, daemon=True)
        again.start()
        again.join(60)
        assert not again.is_alive()
    assert moment > 4


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_threads_is_refused(n):
    with pytest.raises(ValueError, match="at least 1"):
        tg.set_num_threads(n)


def trained(threads):
    """Losses and parameters of a small network after five steps, each divided among threads."""
    tg.set_num_threads(threads)
    rng = np.random.default_rng(0)
    x, y, w, v = (
        tg.from_numpy(rng.normal(size=shape).astype(np.float32))
        for shape in [(100, 20), (100, 1), (70, 20), (1, 70)]
    )
    w.requires_grad_()
    v.requires_grad_()
    optimizer = tg.optim.Adam([w, v], lr=0.01)

    @tg.jit
    def step(x, y):
        loss = tg.nn.functional.mse_loss(tg.tanh(x @ w.T) @ v.T, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(x, y).item() for _ in range(5)]
    assert losses[-1] < losses[0]
    assert "def step(memory, phase, part)" in step.source()
    return losses, w.tolist(), v.tolist()


def test_results_are_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(phases, "WORTH", 0)
    before = tg.get_num_threads()
    try:
        one, two, three = trained(1), trained(2), trained(3)
    finally:
        tg.set_num_threads(before)
    assert one == two == three
