"""Every op and random programs, compiled against uncompiled: values, gradients, gradients of those.

The rows of ops are those of `tests/tinygrad_rl/ops`. Numba takes seconds for a function of some
hundred lines, so most of what is generated here is run by Python instead, line by line, on the
same memory: that tests what the compiler wrote. A part of it is compiled in earnest. The
uncompiled side is computed by NumPy (as while tracing); that the eager kernels agree with it is
what `test_ops.py` shows.
"""

import ctypes
import inspect
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.ops import function_rows, op_rows
from tinygrad_rl.compiler import phases
from tinygrad_rl.core import REGISTRY, mode
from tinygrad_rl.derive import NUMPY

SLOW = pytest.mark.slow
GRAPHS = int(os.environ.get("TINYGRAD_RL_GRAPHS", 320))


# -- generated code, run by Python -----------------------------------------------------------------


def strided(memory, block, shape, strides, dtype, offset=0):
    length = 1 + sum((n - 1) * abs(s) for n, s in zip(shape, strides, strict=True)) + 16
    first = sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if s < 0)
    start = ctypes.c_int64.from_address(memory + 8 * block).value + offset
    if 0 in shape or not start:
        return np.zeros(shape, dtype)
    raw = np.frombuffer((ctypes.c_char * length).from_address(start + first), np.uint8)
    return np.ndarray(shape, dtype, raw.data, -first, strides)


def array(memory, block, offset, shape, dtype):
    strides = np.zeros(shape, dtype).strides if 0 not in shape else (0,) * len(shape)
    return strided(memory, block, shape, strides, dtype, offset)


def cell(value, dtype):
    return np.array(value, dtype)


def product(flip_a, flip_b):
    def run(out, a, b, first=0, last=None):
        assert out.dtype == a.dtype == b.dtype, "products know one dtype"
        assert not out.size or out.strides[-1] == out.itemsize or out.shape[-1] < 2
        a, b = (a.T if flip_a else a), (b.T if flip_b else b)
        out[first:last] = a[first:last] @ b

    return run


NATIVE = {
    "array": array, "strided": strided, "cell": cell,
    "reshaped": lambda a, shape: a.reshape(shape, copy=False),
    "plus": lambda a, b: a + b, "boolean": np.bool_, "inf": np.inf, "nan": np.nan,
    **{
        f"matmul{flips}{rows}": product("t" in flips[:2], "t" in flips[2:])
        for flips in ("", "_nt", "_tn", "_tt")
        for rows in ("", "_rows")
    },
    **{name: getattr(np, name) for name in ("float32", "float64", "int32", "int64", "uint8")},
}  # fmt: skip


def positional(kernel):
    """A kernel as Numba calls it: its parameters stand behind the star only for readers."""
    parameters = list(inspect.signature(kernel).parameters.values())
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    n = len(parameters) - len(named)
    return lambda *a: kernel(*a[:n], **dict(zip(named, a[n:], strict=True)))


def run_by_python(text, stem, names=None):
    """In the place of the loader that lets Numba compile."""
    body = text[text.index("\ndef ") :]
    space = {**NUMPY, **NATIVE, **{k: positional(v.py_func) for k, v in (names or {}).items()}}
    exec(compile(body, f"<{stem}>", "exec"), space)
    name = body.split("(")[0].removeprefix("\ndef ")

    def quietly(*arguments):
        with np.errstate(all="ignore"):
            space[name](*arguments)

    return SimpleNamespace(**{name: quietly}, __file__="")


@pytest.fixture
def by_python(monkeypatch):
    monkeypatch.setattr(sys.modules["tinygrad_rl.compiler.compiled"], "load", run_by_python)


class InAnyOrder:
    """In the place of a thread pool: the parts of a phase one after the other, in any order."""

    rng = np.random.default_rng(0)

    def __init__(self, function, phases, parts):
        self.function, self.phases, self.parts = function, phases, parts

    def __call__(self, memory):
        for phase in range(self.phases):
            for part in self.rng.permutation(self.parts):
                self.function(memory, phase, int(part))


def divide(monkeypatch, parts):
    """Divide every program, however small: what one part needs of another's must be there."""
    monkeypatch.setattr(phases, "WORTH", 0)
    monkeypatch.setattr(phases, "ROWS", 2)
    monkeypatch.setattr(phases, "BLOCK", 1)
    compiled = sys.modules["tinygrad_rl.compiler.compiled"]
    monkeypatch.setattr(compiled, "Pooled", InAnyOrder)
    monkeypatch.setattr(compiled, "get_num_threads", lambda: parts)


def by_numpy(function, *args):
    mode.interpret = True
    try:
        return function(*args)
    finally:
        mode.interpret = False


# -- every op --------------------------------------------------------------------------------------


def directions(t, low):
    return tg.Tensor(
        np.linspace(low, 1.5, max(t.size, 1))[: t.size].reshape(t.shape).astype(t.dtype)
    )


def derivatives(function, tensors, order):
    """The value, the gradients of a projection of it, and those of a projection of these."""
    out = function(*tensors)
    wanted = [t for t in tensors if t.requires_grad]
    found = [out]
    if order and out.requires_grad:
        gs = tg.grad(
            out, wanted, directions(out, 0.5), create_graph=order > 1, materialize_grads=True
        )
        found += gs
        terms = [(g * directions(g, 0.3 + k)).sum() for k, g in enumerate(gs) if g.requires_grad]
        if terms:
            found += tg.grad(terms, wanted, materialize_grads=True)
    return found


def inputs(arrays, dtype, strided):
    out = []
    for a in map(np.asarray, arrays):
        a = a.astype(dtype) if a.dtype.kind == "f" else a
        if strided and a.ndim:
            a = np.repeat(a, 2, -1).copy("F")[..., ::2]
        t = tg.from_numpy(a.copy() if not strided else a)
        out.append(t.requires_grad_() if a.dtype.kind == "f" else t)
    return out


def elementwise_cases():
    for name, (_, *arrays) in op_rows.ELEMENTWISE.items():
        op, flat = REGISTRY[name], [np.asarray(a).reshape(-1) for a in arrays]
        yield name, op, inputs(arrays, np.float64, strided=True), 2
        narrow = [f[:2].reshape(2, 1) if k % 2 else f[:3] for k, f in enumerate(flat)]
        yield f"{name} broadcast, float32", op, inputs(narrow, np.float32, strided=False), 1
        yield f"{name} 0-d", op, inputs([f[1].reshape(()) for f in flat], np.float64, False), 1
        yield f"{name} empty", op, inputs([f[:0] for f in flat], np.float32, False), 1


def other_cases():
    def bound(op, params):
        return lambda *tensors: op(*tensors, **params)

    for op, _, arrays, params in op_rows.GENERAL:
        yield f"{op.name}{params}", bound(op, params), inputs(arrays, np.float64, True), 2
        yield f"{op.name}{params} float32", bound(op, params), inputs(arrays, np.float32, False), 1
    for name, function, _, arrays in function_rows.COMPOSED:
        yield name, function, inputs(arrays, np.float64, True), 2


def index_cases():
    def written(key):
        def write(x, value):
            out = x.copy()
            out[key] = value
            return out

        return write

    for key in function_rows.KEYS:
        yield f"get {key}", lambda x, key=key: x[key], inputs([op_rows.W], np.float32, True), 2
        value = np.arange(1.0, 1 + op_rows.W[key].size).reshape(op_rows.W[key].shape)
        yield f"set {key}", written(key), inputs([op_rows.W, value], np.float64, False), 1


def groups(cases, size):
    cases = list(cases)
    return [cases[k : k + size] for k in range(0, len(cases), size)]


def check(cases, by_reference):
    """Run the cases in one compiled function, tensors as arguments or captured, and compare."""
    tensors = [c[2] for c in cases]

    def run(given):
        return [derivatives(c[1], t, c[3]) for c, t in zip(cases, given, strict=True)]

    function = tg.jit((lambda: run(tensors)) if by_reference else run)
    actual = function() if by_reference else function(tensors)
    for (name, *_), ours, plain in zip(cases, actual, by_numpy(run, tensors), strict=True):
        for k, (a, b) in enumerate(zip(ours, plain, strict=True)):
            assert (a.shape, a.dtype) == (b.shape, b.dtype), f"{name}, output {k}"
            rtol = 1e-4 if a.dtype == np.float32 else 1e-9
            np.testing.assert_allclose(
                a.numpy(), b.numpy(), rtol, rtol, err_msg=f"{name}, output {k}"
            )


CASES = {"elementwise": elementwise_cases, "other": other_cases, "indexing": index_cases}


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("by_reference", [False, True])
def test_every_op_as_generated(kind, by_reference, by_python):
    for group in groups(CASES[kind](), 16):
        check(group, by_reference)


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("parts", [pytest.param(1, marks=SLOW), pytest.param(2, marks=SLOW), 3])
def test_every_op_divided(kind, parts, by_python, monkeypatch):
    divide(monkeypatch, parts)
    for group in groups(CASES[kind](), 16):
        check(group, by_reference=False)


@pytest.mark.parametrize("kind, step", [("elementwise", 4), ("other", 2), ("indexing", 7)])
@pytest.mark.parametrize("part", [0, 1])
def test_ops_compiled_in_earnest(kind, step, part):
    """Every op once, without the gradients, which are made of the same ops; in small functions."""
    cases = [(name, function, tensors, 0) for name, function, tensors, _ in CASES[kind]()]
    for group in groups(cases[::step][part::2], 12):
        check(group, by_reference=part == 0)


# -- random programs -------------------------------------------------------------------------------

UNARY = [
    tg.tanh, tg.sigmoid, tg.relu, tg.sin, tg.softplus, tg.square, tg.abs, lambda x: -x,
    lambda x: x * 0.5 + 1,
    lambda x: x.clip(-0.7, 0.7), lambda x: tg.where(x > 0.1, x, x * 0.3), tg.stop_gradient,
    lambda x: x.softmax(-1) if x.ndim else x, lambda x: (x * x + 1).log(), lambda x: x.copy(),
    lambda x: x.astype(np.float32).astype(x.dtype), lambda x: x * x.detach(), tg.exp2,
]  # fmt: skip
BINARY = [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (b * b + 1),
    tg.maximum, tg.minimum, lambda a, b: tg.where(a > b, a, b * 2), lambda a, b: tg.lerp(a, b, 0.3),
]  # fmt: skip


class Graph:
    """One random program; running it twice does the same to the same leaves."""

    def __init__(self, seed):
        self.seed = seed
        rng = np.random.default_rng([seed, 1])
        shapes = [(), (3,), (1, 3), (2, 3), (2, 1), (4, 2, 3), (3, 3), (0, 3)]
        self.leaves = []
        for k in range(5):
            shape = shapes[rng.integers(len(shapes) - (seed % 7 != 0))]
            array = rng.uniform(-1.5, 1.5, shape)
            if len(shape) > 1 and rng.random() < 0.3:
                array = array.copy("F")
            leaf = tg.from_numpy(array)
            self.leaves.append(leaf.requires_grad_(bool(rng.random() < 0.7 or k == 0)))
        self.state = tg.from_numpy(rng.uniform(-1, 1, shapes[rng.integers(6)]))

    def __call__(self):
        rng = np.random.default_rng([self.seed, 2])
        values = [*self.leaves, self.state.copy()]
        frozen = [t for t in self.leaves[1:] if rng.random() < 0.2]
        before = [self.state.copy()]
        if frozen:
            with tg.frozen(*frozen):
                self._grow(rng, values)
        else:
            self._grow(rng, values)
        for k in range(2):
            # Written twice, read between, by something of its own shape.
            with tg.no_grad():
                last = values[-1].mean() if values[-1].size else tg.full((), 0.5)
                if rng.random() < 0.5:
                    self.state.assign_(self.state * 0.5 + tg.tanh(last))
                else:
                    self.state[...] = last.sin() + k
            values.append(self.state.copy() * self.leaves[0].sum())
        self._grow(rng, values, 4)
        terms = [(v * v).mean() if v.size else v.sum() for v in values[6:]]
        loss = sum(terms[1:], terms[0])
        wanted = [t for t in self.leaves if t.requires_grad]
        results = [loss, values[-1], before[0], self.state.copy()]
        if loss.requires_grad:
            gs = tg.grad(loss, wanted, create_graph=True, materialize_grads=True)
            results += gs
            second = [(g * g).sum() for g in gs if g.requires_grad]
            if second:
                results += tg.grad(second, wanted, materialize_grads=True)
        return results

    def _grow(self, rng, values, steps=9):
        for _ in range(steps):
            values.append(self._step(rng, values))

    def _step(self, rng, values):
        def pick():
            return values[rng.integers(len(values))]

        x = pick()
        kind = rng.integers(10)
        if kind < 3:
            return UNARY[rng.integers(len(UNARY))](x)
        if kind < 6:
            y = pick()
            for _ in range(20):
                try:
                    np.broadcast_shapes(x.shape, y.shape)
                    break
                except ValueError:
                    y = pick()
            else:
                y = x
            return BINARY[rng.integers(len(BINARY))](x, y)
        if kind == 6:
            return self._view(rng, x)
        if kind == 7:
            axes = tuple(int(a) for a in range(x.ndim) if rng.random() < 0.5)
            ops = [tg.sum, tg.mean, tg.var] + ([tg.max, tg.min, tg.logsumexp] if x.size else [])
            return ops[rng.integers(len(ops))](
                x, axes if axes else None, keepdims=bool(rng.random() < 0.5)
            )
        if kind == 8 and x.ndim:
            m = x if x.ndim > 1 else x.reshape(1, -1)
            return (
                (m @ m.swapaxes(-1, -2)) * 0.3
                if rng.random() < 0.5
                else (m.swapaxes(-1, -2) @ m) * 0.3
            )
        if x.ndim and x.shape[0]:
            index = rng.integers(-x.shape[0], x.shape[0], rng.integers(1, 5))
            return x.take(index, 0) if rng.random() < 0.7 else tg.concatenate([x, x[index]], 0)
        return x + 1

    def _view(self, rng, x):
        for _ in range(rng.integers(1, 4)):
            kind = rng.integers(5)
            if kind == 0:
                x = x.permute(*rng.permutation(x.ndim).tolist()) if x.ndim else x
            elif kind == 1 and x.ndim and x.shape[0] > 1:
                x = x[rng.integers(0, 2) :] if rng.random() < 0.5 else x[:: rng.choice([-1, 2])]
            elif kind == 2:
                x = x.reshape(-1)
            elif kind == 3:
                x = x.unsqueeze(int(rng.integers(x.ndim + 1)))
            elif x.ndim < 3 and x.size < 50:
                x = x.expand(2, *x.shape)
        return x


def compare_random_programs(seeds):
    plain, aliases = ([Graph(seed) for seed in seeds] for _ in range(2))
    compiled = tg.jit(lambda: [g() for g in aliases])
    for turn in range(2):  # the second call starts from the state that the first one left
        expected = by_numpy(lambda: [g() for g in plain])
        for g, ours, theirs in zip(plain, compiled(), expected, strict=True):
            for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                where = f"seed {g.seed}, output {k}, call {turn}"
                assert (a.shape, a.dtype) == (b.shape, b.dtype), where
                np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-5, 1e-6, err_msg=where)
        for g, alias in zip(plain, aliases, strict=True):
            np.testing.assert_allclose(g.state.numpy(), alias.state.numpy(), 1e-5, 1e-6)
    assert compiled.cache_info()[:2] == (1, 1)


def batches(size):
    """First seeds: the first batch always runs, the others with the slow tests."""
    rest = (pytest.param(first, marks=pytest.mark.slow) for first in range(size, GRAPHS, size))
    return [0, *rest]


@pytest.mark.parametrize("first", batches(20))
def test_random_programs_as_generated(first, by_python):
    for seed in range(first + 2, first + 20, 4):  # between those of the next test
        compare_random_programs([seed, seed + 1])


@pytest.mark.parametrize("first", batches(20))
def test_random_programs_divided(first, by_python, monkeypatch):
    """Among one, two or three in turn, since how a program is divided does not depend on it."""
    for seed in range(first, first + 20, 4):
        divide(monkeypatch, parts=seed // 4 % 3 + 1)
        compare_random_programs([seed, seed + 1])


def test_random_programs_compiled():
    compare_random_programs([1])
