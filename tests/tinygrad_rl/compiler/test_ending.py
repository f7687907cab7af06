"""A process that ends, or is interrupted, while compiled functions run: at once, and cleanly."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.tinygrad_rl import processes
from tinygrad_rl.kernels import seal

TIMES = [pytest.param(1, id="1"), pytest.param(20, id="20", marks=pytest.mark.slow)]
IMPORTS = """
import os, signal, sys, threading, time
import numpy as np
import tinygrad_rl as tg
from tinygrad_rl.compiler import phases
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background
"""
START = """
phases.WORTH = 0
tg.set_num_threads(3)
w = tg.Tensor(np.eye(200, dtype=np.float32))
x = np.ones((300, 200), np.float32)
f = tg.jit(lambda x: (tg.tanh(x @ w.T) @ w).sum())

def forever():
    while True:
        f(x)

f(x)
assert "part" in f.source()
"""
ENDINGS = {
    "at once": ("", 0, ""),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "an exception": ("f(x); raise KeyError('wanted')", 1, "KeyError: 'wanted'"),
    "os._exit": ("f(x); os._exit(4)", 4, ""),
    "a thread inside": (
        "threading.Thread(target=forever, daemon=True).start(); f(x); sys.exit(5)", 5, ""),
    "threads inside": (
        "for _ in range(4): threading.Thread(target=forever, daemon=True).start()\n"
        "time.sleep(0.05); sys.exit(5)", 5, ""),
    "a thread that compiles": (
        "n = time.time_ns()\n"
        "threading.Thread(target=lambda: tg.jit(lambda x: tg.exp(x) * n)(x), daemon=True).start()\n"
        "time.sleep(0.1); sys.exit(6)", 6, ""),
    "a thread that ends it": (
        "t = threading.Thread(target=lambda: (f(x), os._exit(7))); t.start(); forever()", 7, ""),
    "atexit": ("import atexit; atexit.register(lambda: print(f(x).item() > 0))", 0, ""),
    "atexit, for the first time": (
        "import atexit; atexit.register(lambda: tg.jit(lambda x: (x @ w).sum())(x))", 0, ""),
    "terminated": (
        "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start(); forever()",
        -signal.SIGTERM, ""),
    "interrupted": (
        "threading.Timer(0.1, signal.raise_signal, (signal.SIGINT,)).start(); forever()",
        -signal.SIGINT, "KeyboardInterrupt"),
}  # fmt: skip


# A process that imports once; each of its children goes on with the rest as if it had been started.
CHILDREN = """
import gc
tg.exp(tg.ones(1))  # Numba has begun
gc.freeze()
for _ in range(20):
    if os.fork() == 0:
        break
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
else:
    os._exit(0)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where the processes of this file keep their code: what never comes again is not left."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_ends_promptly_and_says_nothing(ending, cache):
    code, status, words = ENDINGS[ending]
    ended, _, said = run(START + code, cache)
    assert ended == status, said
    assert words in said if words else said == ""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("ending", [e for e in ENDINGS if "thread" in e or "interrupted" in e])
def test_it_does_so_every_time_while_threads_are_inside(ending, cache):
    code, status, words = ENDINGS[ending]
    ended, printed, said = run(CHILDREN + START + code, cache)
    assert ended == 0, said
    assert printed.split() == [str(status)] * 20, said
    assert said.count(words) == 20 if words else said == ""


def run(text, cache):
    """The exit status of a process, and what it printed on both of its outputs."""
    process = processes.start([sys.executable, "-c", IMPORTS + text], cache)
    printed, said = process.communicate(timeout=processes.PATIENCE)
    return process.returncode, printed, said


POOLS = """
import multiprocessing

def work(k):
    n = time.time_ns()
    assert np.allclose(tg.jit(lambda x: tg.exp(x) + n)(np.ones(5)).numpy(), np.e + n)
    return f(x + k).item() == expected[k]

def compiles():
    while not stop.is_set():
        n = time.time_ns()
        tg.jit(lambda x: tg.exp(x) + n)(x)
        f(x)

expected = [f(x + k).item() for k in range(2)]
stop = threading.Event()
threads = [threading.Thread(target=compiles) for _ in range(2)]
for t in threads:
    t.start()
for _ in range(TIMES):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(work, range(2)).get(300) == [True] * 2
stop.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("times", TIMES)
def test_a_pool_of_processes_made_while_threads_compile_and_run(times, cache):
    ended, _, said = run(START + POOLS.replace("TIMES", str(times)), cache)
    assert ended == 0 and said == "", said


INTERRUPTED = """
params = [tg.Tensor(np.full((200, 200), 0.01, np.float32), requires_grad=True) for _ in range(2)]
copies = [tg.Tensor(p.numpy(), requires_grad=True) for p in params]

def training(a, b):
    optimizer = tg.optim.SGD([a, b], lr=0.1)
    def step(x, y):
        optimizer.zero_grad()
        loss = ((tg.tanh(x @ a.T) @ b.T) ** 2).mean()
        loss.backward()
        optimizer.step()
        y.add_(1)
        return loss
    return step

step, eager = tg.jit(training(*params)), training(*copies)
count, same = tg.Tensor(np.zeros((200, 100)))[:, ::2], tg.Tensor(np.zeros((200, 50)))
for _ in range(2):
    step(x, count)
    eager(tg.Tensor(x), same)
signal.signal(signal.SIGALRM, signal.default_int_handler)
for n in range(4 * TIMES):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005 * (1 + n % 7))
        while True:
            step(x, count)
    except KeyboardInterrupt:
        pass
    # The next call is right, from whatever whole step the state is at.
    for p, c in zip(params, copies):
        with tg.no_grad():
            c.assign_(p)
        assert np.isfinite(p.numpy()).all()
    assert np.allclose(step(x, count).item(), eager(tg.Tensor(x), same).item(), 1e-4)
    for p, c in zip(params, copies):
        assert np.allclose(p.numpy(), c.numpy(), 1e-3, 1e-5)
        assert np.allclose(p.grad.numpy(), c.grad.numpy(), 1e-3, 1e-5)
assert len(threading.enumerate()) <= 3
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
@pytest.mark.parametrize("times", TIMES)
def test_ctrl_c_inside_a_call_leaves_a_state_that_the_next_call_goes_on_from(times, cache):
    ended, _, said = run(START + INTERRUPTED.replace("TIMES", str(times)), cache)
    assert ended == 0 and said == "", said


COMPILING = """
began = time.monotonic()
tg.jit(lambda x: tg.exp(x) - 0.5)(x)
took = time.monotonic() - began
for n in range(20):
    g = tg.jit(lambda x: tg.exp(x) - n - 1.5)
    timer = threading.Timer(took * n / 20, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        g(x)
        timer.join()
    except KeyboardInterrupt:
        pass
    else:
        sys.exit("the interrupt is lost")
    assert np.allclose(g(x).numpy(), np.e - n - 1.5)
    assert f(x).item() > 0
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_while_a_function_is_compiled_leaves_nothing_half_made(tmp_path):
    ended, _, said = run(START + COMPILING, tmp_path)
    assert ended == 0 and said == "", said
    made = [*Path(tmp_path).glob("*.py")]
    assert len(made) > 20
    for source in made:
        assert seal.verified(source, source.read_bytes()) is not None
