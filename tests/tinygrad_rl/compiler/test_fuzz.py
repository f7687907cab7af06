"""Random programs, run by the engine and by plain NumPy; gradients against differences.

A case is a random list of instructions: random ops on random earlier results (so that expressions
are shared), with broadcasts, two dtypes, random flags, detaches, and instructions under `no_grad`
or `frozen`. Checked are the value, its dtype, each leaf's gradient, and *which* leaves get None.

    TINYGRAD_RL_FUZZ=50000 python -m pytest tests/test_fuzz.py     # so many cases
    TINYGRAD_RL_FUZZ_SEED=7 ...                                    # other cases

A failure prints the program and its number; `run_case(number)` makes it again, from the seed.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.core import REGISTRY

CASES = int(os.environ.get("TINYGRAD_RL_FUZZ", "4000"))
SEED = int(os.environ.get("TINYGRAD_RL_FUZZ_SEED", "0"))
CHUNKS = 8  # for test workers to share

LEAF_SHAPES = [(2, 3), (2, 3), (3,), (2, 1), (1, 3), (), (3, 2), (3, 3)]
LARGEST, MARGIN = 6.0, 1e-3  # no value beyond; no value nearer to a kink
STEP = 1e-6

Array = np.ndarray


# -- the ops ---------------------------------------------------------------------------------------


@dataclass
class FuzzOp:
    """An op as the engine and as NumPy have it, and where it can be used.

    `choose(rng, *arrays)` gives the parameters, or None where the arrays don't suit;
    `margin(*arrays)` is the distance to the next kink.
    """

    arity: int
    engine: Callable[..., Any]
    reference: Callable[..., Any]
    choose: Callable[..., tuple[Any, ...] | None] = lambda rng, *arrays: ()
    margin: Callable[..., Any] = lambda *arrays: np.inf
    cuts: bool = False  # no gradient goes back


OPS: dict[str, FuzzOp] = {}


def op(name: str, arity: int, engine: Any, reference: Any, **more: Any) -> None:
    OPS[name] = FuzzOp(arity, engine, reference, **more)


def axis_of(rng, x):
    return (int(rng.integers(-x.ndim, x.ndim)),) if x.ndim and x.size else None


def same_family(rng, a, b):
    try:
        return () if len(np.broadcast_shapes(a.shape, b.shape)) <= 2 else None
    except ValueError:
        return None


def ties(x):
    """Smallest distance between two of the elements."""
    return np.min(np.diff(np.sort(x, None)), initial=np.inf)


def nearest(a, b):
    return np.min(np.abs(a - b), initial=np.inf)


def within(low, high):
    return lambda rng, x: () if x.size and low <= x.min() and x.max() <= high else None


op("tanh", 1, tg.tanh, np.tanh)
op("sin", 1, lambda x: x.sin(), np.sin)
op("exp", 1, tg.exp, np.exp, choose=within(-6, 1.5))
op("sigmoid", 1, tg.sigmoid, lambda x: 1 / (1 + np.exp(-x)))
op("softplus", 1, tg.softplus, lambda x: np.log1p(np.exp(x)))
op("log", 1, tg.log, np.log, choose=within(0.1, 6))
op("sqrt", 1, tg.sqrt, np.sqrt, choose=within(0.1, 6))
op("square", 1, lambda x: x**2, np.square)
op("relu", 1, tg.relu, lambda x: np.maximum(x, 0), margin=lambda x: nearest(x, 0))
op("abs", 1, abs, np.abs, margin=lambda x: nearest(x, 0))
op("clip", 1, lambda x: x.clip(-1, 1), lambda x: np.clip(x, -1, 1),
   margin=lambda x: nearest(np.abs(x), 1))  # fmt: skip
op("add", 2, lambda a, b: a + b, np.add, choose=same_family)
op("sub", 2, lambda a, b: a - b, np.subtract, choose=same_family)
op("mul", 2, lambda a, b: a * b, np.multiply, choose=same_family)
op(
    "div",
    2,
    lambda a, b: a / b,
    np.divide,
    choose=lambda rng, a, b: (
        () if b.size and np.abs(b).min() > 0.3 and a.shape == b.shape else None
    ),
)
op("maximum", 2, tg.maximum, np.maximum, choose=same_family, margin=nearest)
op("where", 2, lambda a, b: tg.where(a > b, a * 0.5, b), lambda a, b: np.where(a > b, a * 0.5, b),
   choose=lambda rng, a, b: () if a.shape == b.shape and a.dtype == b.dtype else None,
   margin=nearest)  # fmt: skip
op("scaled", 1, lambda x, c: c - 0.5 * x, lambda x, c: c - 0.5 * x,
   choose=lambda rng, x: (round(float(rng.uniform(-1, 1)), 3),))  # fmt: skip

op("sum", 1, lambda x: x.sum(), np.sum)
op("sum_axis", 1, lambda x, axis: x.sum(axis, keepdims=True),
   lambda x, axis: x.sum(axis, keepdims=True), choose=axis_of)  # fmt: skip
op("mean", 1, lambda x, axis: x.mean(axis), lambda x, axis: x.mean(axis), choose=axis_of)
op("max", 1, lambda x, axis: x.max(axis), lambda x, axis: x.max(axis), choose=axis_of,
   margin=ties)  # fmt: skip
op("prod", 1, lambda x, axis: x.prod(axis), lambda x, axis: x.prod(axis), choose=axis_of)
op("cumsum", 1, lambda x, axis: x.cumsum(axis), np.cumsum, choose=axis_of)
op("logsumexp", 1, lambda x, axis: x.logsumexp(axis),
   lambda x, axis: np.log(np.exp(x).sum(axis)), choose=axis_of)  # fmt: skip
op("softmax", 1, lambda x, axis: x.softmax(axis),
   lambda x, axis: np.exp(x) / np.exp(x).sum(axis, keepdims=True), choose=axis_of)  # fmt: skip

op("log_softmax", 1, lambda x, axis: x.log_softmax(axis),
   lambda x, axis: x - np.log(np.exp(x).sum(axis, keepdims=True)), choose=axis_of)  # fmt: skip
op("var", 1, lambda x, axis: x.var(axis), lambda x, axis: x.var(axis), choose=axis_of)
op("layer_norm", 1, lambda x, axis: tg.nn.functional.layer_norm(x, x.shape[-1], eps=0.5),
   lambda x, axis: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.5),
   choose=axis_of)  # fmt: skip
op("mse", 2, tg.mse_loss, lambda a, b: np.mean((a - b) ** 2),
   choose=lambda rng, a, b: () if a.shape == b.shape and a.size else None)  # fmt: skip
op("stack", 2, lambda a, b, axis: tg.stack([a, b], axis), lambda a, b, axis: np.stack([a, b], axis),
   choose=lambda rng, a, b: (int(rng.integers(-a.ndim - 1, a.ndim + 1)),)
   if a.shape == b.shape and a.ndim < 2 else None)  # fmt: skip

op("matmul", 2, lambda a, b: a @ b, np.matmul,
   choose=lambda rng, a, b: () if a.ndim and b.ndim and a.shape[-1] == b.shape[-min(2, b.ndim)]
   else None)  # fmt: skip
op("linear", 2, lambda x, w: tg.linear(x, w, w[:, 0]), lambda x, w: x @ w.T + w[:, 0],
   choose=lambda rng, x, w: () if x.ndim and w.ndim == 2 and x.shape[-1] == w.shape[1] > 0
   else None)  # fmt: skip

op("T", 1, lambda x: x.T, lambda x: x.T)
op("ravel", 1, lambda x: x.reshape(-1), np.ravel)
op(
    "fold",
    1,
    lambda x, shape: x.reshape(shape),
    np.reshape,
    choose=lambda rng, x: ((3, 2) if rng.random() < 0.5 else (2, 3),) if x.size == 6 else None,
)
op(
    "expand_dims",
    1,
    lambda x, axis: x.unsqueeze(axis),
    np.expand_dims,
    choose=lambda rng, x: (int(rng.integers(0, x.ndim + 1)),) if x.ndim < 2 else None,
)
op(
    "broadcast_to",
    1,
    lambda x, shape: x.broadcast_to(shape),
    np.broadcast_to,
    choose=lambda rng, x: ((2, 3),) if x.shape in ((), (3,), (2, 1), (1, 3)) else None,
)
op("concatenate", 2, lambda a, b: tg.concatenate([a, b], -1), lambda a, b: np.concatenate([a, b],
-1),
   choose=lambda rng, a, b: () if a.ndim == b.ndim > 0 and a.shape[:-1] == b.shape[:-1]
   and a.size + b.size < 12 else None)  # fmt: skip
op("flip", 1, lambda x, axis: x.flip(axis), np.flip, choose=axis_of)
op("roll", 1, lambda x, axis: x.roll(1, axis), lambda x, axis: np.roll(x, 1, axis), choose=axis_of)
op("pad", 1, lambda x: x.pad(1), lambda x: np.pad(x, 1),
   choose=lambda rng, x: () if x.ndim == 1 and x.size < 5 else None)  # fmt: skip


def some_key(rng, x):
    if not x.ndim or not x.size:
        return None
    n = x.shape[0]
    row = int(rng.integers(-n, n))
    keys = [row, slice(None, None, -1), slice(row, None), (..., 0), None, x > 0,
            rng.integers(-n, n, 3).tolist()]  # fmt: skip
    return (keys[rng.integers(len(keys))],)


def write(x, v, key):
    out = x.copy()
    out[key] = v
    return out


op("getitem", 1, lambda x, key: x[key], lambda x, key: x[key], choose=some_key)
op(
    "setitem",
    2,
    write,
    write,
    choose=lambda rng, x, v: some_key(rng, x) if not v.ndim and v.dtype == x.dtype else None,
)
op(
    "take",
    1,
    lambda x, rows: x.take(rows, 0),
    lambda x, rows: x.take(rows, 0),
    choose=lambda rng, x: (
        (rng.integers(-x.shape[0], x.shape[0], 2),) if x.size and x.ndim else None
    ),
)
op("astype", 1, lambda x, dtype: x.astype(dtype), lambda x, dtype: x.astype(dtype),
   choose=lambda rng, x: (np.float32 if x.dtype == np.float64 else np.float64,))  # fmt: skip
op("copy", 1, lambda x: x.copy(), np.copy)
op("detach", 1, lambda x: x.detach(), np.copy, cuts=True)
op("stop_gradient", 1, tg.stop_gradient, np.copy, cuts=True)
op("above", 2, lambda a, b: (a > b).astype(np.float64), lambda a, b: (a > b).astype(np.float64),
   choose=same_family, margin=nearest, cuts=True)  # fmt: skip
NARROW = {"add", "mul", "tanh", "sum", "matmul", "linear", "relu", "scaled", "T", "getitem", "max",
          "detach", "stop_gradient", "astype", "concatenate", "copy", "sum_axis"}  # fmt: skip
"""The ops for float32, a few, since each is compiled anew for it."""


# -- a program -------------------------------------------------------------------------------------


@dataclass
class Instruction:
    name: str
    inputs: tuple[int, ...]
    params: tuple[Any, ...]
    no_grad: bool = False
    frozen: frozenset[int] = frozenset()  # the leaves that are frozen while it runs

    def __str__(self) -> str:
        guard = " no_grad" * self.no_grad + f" frozen{sorted(self.frozen)}" * bool(self.frozen)
        inputs = [f"%{i}" for i in self.inputs]
        return f"{self.name}({', '.join([*inputs, *map(repr, self.params)])}){guard}"

    def cuts(self, i: int) -> bool:
        """Whether no gradient goes from here to its i-th value."""
        return self.no_grad or OPS[self.name].cuts or i in self.frozen


@dataclass
class Program:
    leaves: list[Array]
    flags: list[bool]
    steps: list[Instruction] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"%{i} = leaf {a.dtype}{list(a.shape)}{' requires_grad' * f}"
            for i, (a, f) in enumerate(zip(self.leaves, self.flags, strict=True))
        ]
        return "\n".join(lines + [f"%{i} = {s}" for i, s in enumerate(self.steps, len(lines))])

    def engine(self, tensors: list[tg.Tensor]) -> tg.Tensor:
        values = list(tensors)
        for s in self.steps:
            with contextlib.ExitStack() as stack:
                if s.no_grad:
                    stack.enter_context(tg.no_grad())
                if s.frozen:
                    stack.enter_context(tg.frozen([tensors[i] for i in s.frozen]))
                values.append(OPS[s.name].engine(*[values[i] for i in s.inputs], *s.params))
        return values[-1]

    def evaluate(
        self, leaves: list[Array], exact: bool = False, base: list[Array] | None = None
    ) -> list[Array]:
        """All values in plain NumPy.

        `exact` stays in float64 throughout. What a gradient doesn't see keeps its value of `base`.
        """
        values = list(leaves)
        for s in self.steps:
            if base is not None and (s.no_grad or OPS[s.name].cuts):
                values.append(base[len(values)])
                continue
            inputs = [base[i] if base and i in s.frozen else values[i] for i in s.inputs]
            if exact and s.name == "astype":
                values.append(inputs[0])
            else:
                values.append(np.asarray(OPS[s.name].reference(*inputs, *s.params)))
        return values

    def reached(self) -> set[int]:
        """The values that a gradient of the last one comes to, by a walk of the program alone."""
        carries = list(self.flags)
        for s in self.steps:
            carries.append(any(carries[i] and not s.cuts(i) for i in s.inputs))
        first = len(self.leaves)
        reached = {len(carries) - 1} if carries[-1] else set()
        for k in range(len(carries) - 1, first - 1, -1):
            if k in reached:
                s = self.steps[k - first]
                reached |= {i for i in s.inputs if carries[i] and not s.cuts(i)}
        return reached


def random_program(rng: np.random.Generator) -> Program:
    count = int(rng.integers(1, 5))
    single = rng.random() < 0.25
    mixed = rng.random() < 0.25
    shapes = [LEAF_SHAPES[i] for i in rng.integers(len(LEAF_SHAPES), size=count)]
    leaves = [rng.uniform(-2, 2, s).astype(np.float32).astype(np.float64) for s in shapes]
    if single or mixed:
        leaves = [a.astype(np.float32) if single or rng.random() < 0.5 else a for a in leaves]
    program = Program(leaves, [bool(rng.random() < 0.7) for _ in leaves])
    values = list(leaves)
    names = sorted(NARROW) if single else sorted(OPS)
    for _ in range(int(rng.integers(2, 12))):
        step = random_step(rng, program, values, names)
        if step is not None:
            program.steps.append(step)
            values = program.evaluate(leaves)
    return program


def random_step(
    rng: np.random.Generator, program: Program, values: list[Array], names: list[str]
) -> Instruction | None:
    name = names[rng.integers(len(names))]
    fuzz_op = OPS[name]
    # Mostly recent values, so that programs become deep, and sometimes the same one twice.
    back = rng.geometric(0.3, fuzz_op.arity) if rng.random() < 0.5 else None
    picks = (
        len(values) - back if back is not None else rng.integers(len(values), size=fuzz_op.arity)
    )
    inputs = tuple(int(max(0, i)) for i in picks)
    arrays = [values[i] for i in inputs]
    params = fuzz_op.choose(rng, *arrays)
    if params is None or fuzz_op.margin(*arrays) < MARGIN:
        return None
    with np.errstate(all="ignore"):
        out = np.asarray(fuzz_op.reference(*arrays, *params))
    if out.ndim > 2 or not np.all(np.abs(out) < LARGEST):
        return None
    guard = rng.random()
    flagged = [i for i in range(len(program.leaves)) if rng.random() < 0.5]
    frozen = frozenset(flagged) if 0.1 < guard < 0.25 else frozenset()
    return Instruction(name, inputs, params, no_grad=guard < 0.07, frozen=frozen)


# -- one case --------------------------------------------------------------------------------------


def numeric_gradient(program: Program, base: list[Array], leaf: int, seed: Array) -> Array:
    """Central differences in float64 of sum(seed * last value)."""
    leaves = [a.astype(np.float64) for a in program.leaves]
    out = np.zeros(leaves[leaf].shape)
    for entry in np.ndindex(out.shape):
        sides = []
        for sign in (1, -1):
            moved = leaves[leaf].copy()
            moved[entry] += sign * STEP
            values = program.evaluate([*leaves[:leaf], moved, *leaves[leaf + 1 :]], True, base)
            sides.append(np.sum(values[-1] * seed))
        out[entry] = (sides[0] - sides[1]) / (2 * STEP)
    return out


def engine_gradients(
    rng: np.random.Generator, out: tg.Tensor, tensors: list[tg.Tensor], seed: Array
) -> list[tg.Tensor | None]:
    """By `backward`, by `backward` twice (which accumulates), or by `grad`."""
    way = rng.integers(3)
    g = tg.Tensor(seed)
    if way == 2:
        wanted = [t for t in tensors if t.requires_grad]
        found = dict(zip(wanted, tg.grad(out, wanted, g, allow_unused=True), strict=True))
        return [found.get(t) for t in tensors]
    if way == 1:
        out.backward(g * 0.5, retain_graph=True)
        g = g * 0.5
    out.backward(g)
    return [t.grad for t in tensors]


def check_case(program: Program, rng: np.random.Generator) -> None:
    singles = any(a.dtype == np.float32 for a in program.leaves) or any(
        s.name == "astype" for s in program.steps
    )
    tolerance = {"rtol": 2e-3, "atol": 2e-3} if singles else {"rtol": 1e-5, "atol": 1e-6}
    tensors = [
        tg.Tensor(a, requires_grad=f) for a, f in zip(program.leaves, program.flags, strict=True)
    ]
    out = program.engine(tensors)
    expected = program.evaluate(program.leaves)[-1]
    assert out.shape == expected.shape, f"shape {out.shape} instead of {expected.shape}"
    assert out.dtype == expected.dtype, f"{out.dtype} instead of {expected.dtype}"
    np.testing.assert_allclose(out, expected, err_msg="value", **tolerance)

    seed = rng.uniform(0.5, 1.5, out.shape).astype(out.dtype)
    reached = program.reached()
    assert out.requires_grad == (len(program.leaves) + len(program.steps) - 1 in reached)
    if not out.requires_grad:
        with pytest.raises(RuntimeError, match="no path"):
            out.backward(tg.Tensor(seed))
        return
    gradients = engine_gradients(rng, out, tensors, seed)
    base = program.evaluate([a.astype(np.float64) for a in program.leaves], exact=True)
    for i, g in enumerate(gradients):
        assert (g is not None) == (i in reached), f"leaf %{i} got {g}"
        if g is not None:
            assert g.dtype == tensors[i].dtype
            numeric = numeric_gradient(program, base, i, seed)
            np.testing.assert_allclose(g, numeric, err_msg=f"gradient of %{i}", **tolerance)


def run_case(number: int) -> Program:
    """Make and check one case; a failure says how to get it again."""
    rng = np.random.default_rng([SEED, number])
    program = random_program(rng)
    if not program.steps:
        return program
    try:
        check_case(program, rng)
    except Exception as error:
        raise AssertionError(
            f"case {number} of seed {SEED} (run_case({number}) makes it again):\n{program}\n{error}"
        ) from error
    return program


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk):
    for number in range(chunk, CASES, CHUNKS):
        run_case(number)


# -- the fuzzer itself -----------------------------------------------------------------------------


def test_programs_hold_what_they_should():
    """Every op, each way of cutting a path, and leaves with a gradient and without."""
    programs = [random_program(np.random.default_rng([0, n])) for n in range(1500)]
    steps = [s for p in programs for s in p.steps]
    assert {s.name for s in steps} == set(OPS)
    assert any(s.no_grad for s in steps)
    assert any(set(s.inputs) & s.frozen for s in steps)
    flagged = [(p.reached(), i) for p in programs for i, f in enumerate(p.flags) if f]
    share = np.mean([i in reached for reached, i in flagged])
    assert 0.3 < share < 0.9
    assert sum(len({i for s in p.steps for i in s.inputs}) > 4 for p in programs) > 300


def found_within(cases: int) -> bool:
    for number in range(cases):
        try:
            run_case(number)
        except AssertionError:
            return True
    return False


def test_a_wrong_rule_is_found(monkeypatch):
    tanh = REGISTRY["tanh"]
    right, names = tanh.rule(0)
    monkeypatch.setattr(tanh, "rule", lambda position: (lambda *v: right(*v) * 1.01, names))
    tanh.plans.clear()
    try:
        assert found_within(300)
    finally:
        tanh.plans.clear()


def test_a_gradient_that_passes_a_cut_is_found(monkeypatch):
    monkeypatch.setattr(OPS["detach"], "engine", lambda x: x * 1)
    assert found_within(300)


def test_a_gradient_that_is_lost_is_found(monkeypatch):
    monkeypatch.setattr(OPS["copy"], "engine", lambda x: x.detach())
    assert found_within(300)
