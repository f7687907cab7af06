"""Compiled functions on disk: found by the next process, told apart by all that they depend on.

What damage, races and folders that can't be written to do is shown for any kernel in
`test_cache.py`; here, that a jitted function takes part in it.
"""

import signal
import sys
import time

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl import processes
from tinygrad_rl.compiler.steps import kernel_digest
from tinygrad_rl.ops.reduce import argmax_op, argmin_op, cumsum_op

PROGRAM = """\
import numpy as np
import tinygrad_rl as tg

w = tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
optimizer = tg.optim.Adam([w], 0.1)

@tg.jit
def step(x):
    loss = tg.tanh(x @ w).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()

losses = [round(step(np.full((4, 2), 0.1)).item(), 6) for _ in range(3)]
hits = sum(step._last._function.stats.cache_hits.values())
print(losses, step.file().name, hits)
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


@pytest.fixture
def without_product(program):
    """What takes most of the time to compile is not there."""
    (program / "program.py").write_text(PROGRAM.replace("x @ w", "x.sum() * w"))
    return program


def start(folder):
    return processes.start([sys.executable, str(folder / "program.py")], folder / "cache")


def finish(process):
    out, err = process.communicate(timeout=processes.PATIENCE)
    assert process.returncode == 0, err
    losses, name, hits = out.rsplit(maxsplit=2)
    return losses, name, int(hits), err


def files(folder):
    return {f.name for f in (folder / "cache").rglob("*") if f.is_file()}


@pytest.mark.slow
def test_two_processes_compile_once_and_a_third_nothing(program):
    first, second = [finish(p) for p in (start(program), start(program))]
    assert first[:2] == second[:2]
    assert first[2] + second[2] == 1
    before = files(program)
    third = finish(start(program))
    assert third[:3] == (*first[:2], 1)
    assert files(program) == before
    # Tracing computes by NumPy: nothing but the step itself and its matrix product was compiled.
    product, step = sorted(n for n in before if n.endswith(".py"))
    assert product.startswith("gemm_float64_")
    assert step == first[1]

    # A damaged file is compiled anew, and says the same.
    for pattern in ("*.nbc", "*.nbi", "*.py"):
        (file,) = (program / "cache").rglob(f"{first[1][:-3]}{pattern}")
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
        again = finish(start(program))
        assert again[:2] == first[:2]
        assert again[2] == (1 if pattern == "*.py" else 0)


@pytest.mark.slow
def test_a_killed_process_leaves_a_cache_that_works(without_product):
    process = start(without_product)
    while process.poll() is None and not list((without_product / "cache").glob("*.py")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = finish(start(without_product))
    assert finish(start(without_product))[:3] == (*first[:2], 1)


@pytest.mark.slow
def test_a_home_that_cannot_be_written_to_costs_a_warning(without_product):
    (without_product / "cache").write_text("a file is no folder")
    losses, _, hits, err = finish(start(without_product))
    assert hits == 0 and "compile anew" in err and losses.startswith("[")


# -- what a function is told apart by --------------------------------------------------------------


def test_the_file_depends_on_shapes_and_numbers_and_not_on_the_object():
    def named(shape, factor):
        f = tg.jit(lambda x: x * factor)
        f(tg.ones(shape))
        return f.file()

    assert named((3,), 2.0) == named((3,), 2.0)
    assert len({named((3,), 2.0), named((4,), 2.0), named((3,), 3.0)}) == 3


FACTOR = 2.0


def helper(x):
    return x * FACTOR


def test_a_users_kernel_is_known_by_its_code_and_by_what_the_code_refers_to(monkeypatch):
    def make(k, table):
        def kernel(out, x):
            for i in range(x.size):
                out[i] = helper(x[i]) + k + table[0]

        return kernel

    one = np.ones(1)
    same = kernel_digest(make(1, one))
    assert same == kernel_digest(make(1, np.ones(1)))
    others = {kernel_digest(make(2, one)), kernel_digest(make(1, one + 1))}
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    others.add(kernel_digest(make(1, one)))
    assert len(others | {same}) == 4
    # What nothing is known of is never found again.
    assert kernel_digest(make(object(), one)) != kernel_digest(make(object(), one))


def test_a_users_ops_compile():
    @tg.elementwise
    def damped(x, a):
        return x / (1 + a * x * x)

    def kernel(out, x, s, *, power, shift):
        for i in range(x.shape[0]):
            out[i] = s[()] * x[i] ** power + shift[1]

    scaled = tg.Kernel(
        "scaled power of tests",
        kernel=kernel,
        shape=lambda x, s, *, power, shift: x.shape,
        vjp={
            "x": lambda g, x, s, power, shift: g * s * power * x ** (power - 1),
            "s": lambda g, x, power, shift: (g * x**power).sum(),
        },
    )

    def total(out, x):
        out[()] = x.sum()

    summed = tg.Kernel(
        "total of tests",
        kernel=total,
        shape=lambda x: (),
        vjp={"x": lambda g, x_shape: g.expand(x_shape)},
    )

    def f(x, s):
        y = summed(scaled(damped(x, 0.5), s, power=3, shift=(0.0, 1.5)))
        z = summed(scaled(x[::2], 2.0, power=2, shift=(0.0, 0.0)))  # a number, a strided view
        return y, z, *tg.grad(y * z, [x, s])

    x = tg.from_numpy(np.linspace(-1, 1, 6)).requires_grad_()
    s = tg.Tensor(np.array(1.5), requires_grad=True)
    for a, b in zip(tg.jit(f)(x, s), f(x, s), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("op", [cumsum_op, argmax_op, argmin_op], ids=lambda op: op.name)
def test_built_in_kernels_are_found_again(op):
    """A method of an array is no global, though it may be called as a function of the module is."""
    assert kernel_digest(op.kernel) == kernel_digest(op.kernel)


def test_inner_functions_of_a_kernel_have_no_address():
    def make(factor):
        def kernel(out, x):
            def scaled(v):
                return v * factor

            for i in range(x.size):
                out[i] = scaled(x[i])

        return kernel

    assert kernel_digest(make(2.0)) == kernel_digest(make(2.0)) != kernel_digest(make(3.0))
