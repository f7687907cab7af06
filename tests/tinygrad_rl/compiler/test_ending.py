"""A process that ends, or is interrupted, while compiled functions run: at once, and cleanly."""

import os
import signal
import subprocess
import sys
import time

import pytest

TIMES = [pytest.param(1, id="1"), pytest.param(20, id="20", marks=pytest.mark.slow)]
START = """
import os, signal, sys, threading, time
import numpy as np
import tinygrad_rl as tg
from tinygrad_rl.compiler import phases

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


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_ends_promptly_and_says_nothing(ending):
    code, status, words = ENDINGS[ending]
    done = run(START + code)
    assert done.returncode == status, done.stderr
    assert words in done.stderr if words else done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [e for e in ENDINGS if "thread" in e or "interrupted" in e])
def test_it_does_so_every_time_while_threads_are_inside(ending):
    for _ in range(20):
        test_a_process_ends_promptly_and_says_nothing(ending)


def run(text):
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=300, check=False
    )


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

expected = [f(x + k).item() for k in range(4)]
stop = threading.Event()
threads = [threading.Thread(target=compiles) for _ in range(2)]
for t in threads:
    t.start()
for _ in range(TIMES):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(work, range(4)).get(60) == [True] * 4
stop.set()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("times", TIMES)
def test_a_pool_of_processes_made_while_threads_compile_and_run(times, tmp_path):
    cache = f"os.environ['TINYGRAD_RL_CACHE'] = {str(tmp_path)!r}\n"
    text = START.replace("import numpy", f"{cache}import numpy", 1)
    done = run(text + POOLS.replace("TIMES", str(times)))
    assert done.returncode == 0 and done.stderr == "", done.stderr


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
caught = 0
stop = time.monotonic() + float(sys.argv[1])
while time.monotonic() < stop:
    # Again half a second later, should it come where Python can't raise: while LLVM calls back.
    signal.setitimer(signal.ITIMER_REAL, 0.0005 * (1 + caught % 7), 0.5)
    try:
        while True:
            step(x, count)
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        caught += 1
    # The next call is right, from whatever whole step the state is at.
    for p, c in zip(params, copies):
        with tg.no_grad():
            c.assign_(p)
        assert np.isfinite(p.numpy()).all()
    assert np.allclose(step(x, count).item(), eager(tg.Tensor(x), same).item(), 1e-4)
    for p, c in zip(params, copies):
        assert np.allclose(p.numpy(), c.numpy(), 1e-3, 1e-5)
        assert np.allclose(p.grad.numpy(), c.grad.numpy(), 1e-3, 1e-5)
assert caught > 3, caught
assert len(threading.enumerate()) <= 3
print(step.cache_info())
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that interrupts")
@pytest.mark.parametrize("times", TIMES)
def test_ctrl_c_inside_a_call_leaves_a_state_that_the_next_call_goes_on_from(times):
    handler = "signal.signal(signal.SIGALRM, signal.default_int_handler)\n"
    text = START + handler + INTERRUPTED.replace("sys.argv[1]", repr(0.5 * times))
    done = run(text)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_while_a_function_is_compiled_leaves_nothing_half_made(tmp_path):
    text = START + (
        "print('ready', flush=True)\n"
        "for k in range(10**6):\n"
        "    try:\n"
        "        g = tg.jit(lambda x: tg.exp(x) * k + time.time_ns())\n"
        "        g(x)\n"
        "    except (KeyboardInterrupt, RuntimeError):  # where llvmlite can't pass it on\n"
        "        break\n"
        "assert g(x).shape == x.shape and f(x).item() > 0\n"
    )
    environment = {**os.environ, "TINYGRAD_RL_CACHE": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
