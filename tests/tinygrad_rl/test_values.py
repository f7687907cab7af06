"""Values stay: what a user's NumPy array holds later changes no gradient of an earlier call."""

import zlib

import numpy as np
import pytest

import tinygrad_rl as tg
import tinygrad_rl.nn.functional as F


def floats(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).uniform(0.5, 1.5, shape)


def ints(*shape, below=3):
    return np.random.default_rng(shape).integers(0, below, shape)


def masks(*shape):
    return floats(*shape, seed=5) > 0.9


def put(x, key, value):
    y = x * 1
    y[key] = value
    return y


def assigned(x, value, how):
    y = x * 2
    getattr(y, how)(value)
    return y * x


# -- a user's own ops ------------------------------------------------------------------------------


def _weighted(out, x, w):
    for i in range(x.shape[0]):
        out[i] = 0
        for j in range(x.shape[1]):
            out[i] += x[i, j] * w[j]


weighted = tg.Kernel(
    "values_weighted",
    kernel=_weighted,
    shape=lambda x, w: (x.shape[0],),
    vjp={
        "x": lambda g, w, x_shape: (g.reshape(-1, 1) * w).broadcast_to(x_shape),
        "w": lambda g, x: (g.reshape(-1, 1) * x).sum(0),
    },
)
scaled = tg.Kernel(
    "values_scaled",
    forward=lambda x, *, by: x * np.asarray(by),
    vjp={"x": lambda g, by: g * np.asarray(by)},
)
either = tg.Kernel(
    "values_either",
    forward=lambda x, a: a[:],
    vjp={"x": lambda g, y: g * y, "a": lambda g, y: g * y},
)
blend = tg.Composite(
    "values_blend",
    lambda a, b: a * b * b,
    composition=lambda a, b: a * b * b,
    vjp={"a": lambda g, b: g * b * b, "b": lambda g, a, b: 2 * g * a * b},
)
pick = tg.Gather(
    "values_pick",
    source=lambda at, row: (at[0], row),
    shape=lambda x, rows: rows.shape,
    vjp={"x": lambda g, rows, x_shape: unpick(g, rows, width=x_shape[1])},
)
unpick = tg.Scatter(
    "values_unpick",
    target=lambda at, row: (at[0], row),
    shape=lambda x, rows, *, width: (x.shape[0], width),
    add=True,
    vjp={"x": lambda g, rows: pick(g, rows)},
)
gram = tg.Product("values_gram", "ki,kj->ij")


@tg.elementwise
def bent(x, a, b=0.5):
    return x * x * a / (b + a * a)


# -- one line an op: x is a leaf of shape (3, 4), the arrays are written to later -----------------

A, ROW, COLUMN, NUMBER = floats(3, 4), floats(4), floats(3, 1), np.array(1.3)
CASES = {
    "add": (lambda x, a: (x + a) ** 2, A),
    "sub": (lambda x, a: a - x * x, A),
    "mul": (lambda x, a: x * a, A),
    "mul array first": (lambda x, a: a * x, A),
    "mul row": (lambda x, a: x * a, ROW),
    "mul column": (lambda x, a: x * a, COLUMN),
    "mul 0-d": (lambda x, a: x * a, NUMBER),
    "mul float32": (lambda x, a: x * a, A.astype(np.float32)),
    "mul ints": (lambda x, a: x * a, ints(3, 4)),
    "mul bools": (lambda x, a: x * a, masks(3, 4)),
    "mul list": (lambda x, a: x * a, A.tolist()),
    "mul list of arrays": (lambda x, a: x * a, list(A)),
    "mul strided": (lambda x, a: x * a, np.asfortranarray(A)),
    "mul part": (lambda x, a: x * a[1:, ::2], floats(4, 8)),
    "mul subclass": (lambda x, a: x * a, np.ma.array(A)),
    "mul read-only view": (lambda x, a: x * np.broadcast_to(a, (3, 4)), ROW),
    "div": (lambda x, a: x / a, A),
    "div by x": (lambda x, a: a / x, A),
    "pow": (lambda x, a: x**a, A),
    "pow of array": (lambda x, a: a**x, A),
    "remainder": (lambda x, a: x % a * x, A),
    "maximum": (lambda x, a: tg.maximum(x, a), A),
    "minimum": (lambda x, a: tg.minimum(a, x), A),
    "lerp": (lambda x, a, w: tg.lerp(x, a, w), A, floats(3, 4, seed=1)),
    "leaky_relu slope": (lambda x, a: tg.leaky_relu(x - 1, a), A),
    "own elementwise": (lambda x, a: bent(x, a), A),
    "where condition": (lambda x, c: tg.where(c, x * x, -x), masks(3, 4)),
    "where others": (lambda x, c, a: tg.where(c, x, a) * x, masks(3, 4), A),
    "where method": (lambda x, c, a: x.where(c, a), masks(3, 4), A),
    "clip": (lambda x, a, b: x.clip(a, b), A - 0.2, A + 0.2),
    "clip row": (lambda x, a: x.clip(None, a), ROW),
    "matmul": (lambda x, a: x @ a, floats(4, 2)),
    "matmul array first": (lambda x, a: a @ x, floats(2, 3)),
    "matmul vector": (lambda x, a: x @ a, ROW),
    "matmul stack": (lambda x, a: x @ a, floats(2, 4, 3)),
    "dot": (lambda x, a: x.dot(a), floats(4, 2)),
    "outer": (lambda x, a: tg.outer(x, a), ROW),
    "einsum": (lambda x, a: tg.einsum("ij,jk,k->i", x, a, a[0]), floats(4, 2)),
    "einsum elementwise": (lambda x, a: tg.einsum("ij,ij->ij", x, a), A),
    "linear": (lambda x, w, b: tg.linear(x, w, b), floats(2, 4), floats(2)),
    "linear input": (lambda x, a: tg.linear(a, x), floats(5, 4)),
    "linear vector": (lambda x, a: tg.linear(a, x, a[:3]), ROW),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, 4, w, b), ROW, floats(4, seed=1)),
    "product of one's own": (lambda x, a: gram(x, a), floats(3, 2)),
    "kernel": (lambda x, w: weighted(x, w), ROW),
    "kernel that is a view of the array": (lambda x, a: either(x, a), A),
    "kernel's parameter": (lambda x, a: scaled(x * x, by=a), ROW),
    "kernel's parameter in a list": (lambda x, a: scaled(x * x, by=a), ROW.tolist()),
    "composite": (lambda x, a: blend(x, a) + blend(a, x), A),
    "rows": (lambda x, i: x[i] ** 2, ints(5)),
    "rows 2-d": (lambda x, i: x[i] ** 2, ints(2, 2)),
    "row 0-d": (lambda x, i: x[i] ** 2, np.array(1)),
    "rows listed": (lambda x, i: x[i] ** 2, [0, 2, 2]),
    "columns": (lambda x, i: x[:, i] ** 2, ints(5)),
    "points": (lambda x, i, j: x[i, j] ** 2, ints(5), ints(5, below=4)),
    "row and columns": (lambda x, j: x[1, j] ** 2, ints(5, below=4)),
    "mask": (lambda x, m: x[m] ** 2, masks(3, 4)),
    "mask of rows": (lambda x, m: x[m] ** 2, np.array([True, False, True])),
    "mask of columns": (lambda x, m: x[:, m] ** 2, masks(4)),
    "slice": (lambda x, n: x[n[0] :, : n[1]] ** 2, np.array([1, 3])),
    "take": (lambda x, i: x.take(i) ** 2, ints(2, 3, below=12)),
    "take of columns": (lambda x, i: x.take(i, 1) ** 2, ints(3)),
    "gather": (lambda x, i: x.gather(1, i) ** 2, ints(3, 2)),
    "gather of one's own": (lambda x, i: pick(x, i) ** 2, ints(3)),
    "repeat": (lambda x, n: x.repeat(n, 0) ** 2, np.array([1, 0, 2])),
    "roll": (lambda x, n: x.roll(n, (0, 1)) ** 2, np.array([1, 2])),
    "pad": (lambda x, n: x.pad(n) ** 2, np.array([[1, 0], [0, 2]])),
    "pad value": (lambda x, a: x.pad(1, a) * 2, NUMBER),
    "reshape": (lambda x, n: x.reshape(*n) ** 2, np.array([4, 3])),
    "concatenate": (lambda x, a: tg.concatenate([x, a]) ** 2, A),
    "stack": (lambda x, a: tg.stack([a, x]) ** 2, A),
    "setitem value": (lambda x, a: put(x, 1, a) ** 2, ROW),
    "setitem rows": (lambda x, i, a: put(x, i, a) ** 2, np.array([0, 2]), floats(2, 4)),
    "setitem mask": (lambda x, m: put(x, m, 2.0) ** 2, masks(3, 4)),
    "setitem of x": (lambda x, i: put(tg.zeros(3, 4), i, x[0]) ** 2, np.array([2, 0])),
    "assign_": (lambda x, a: assigned(x, a, "assign_"), A),
    "add_": (lambda x, a: assigned(x, a, "add_"), A),
    "mul_": (lambda x, a: assigned(x, a, "mul_"), A),
    "div_": (lambda x, a: assigned(x, a, "div_"), A),
    "view of an array": (lambda x, a: tg.reshape(a, 4, 3).T * x.reshape(3, 4), floats(12)),
    "slice of an array": (lambda x, a: tg.flip(a, 1) * x, A),
    "detached array": (lambda x, a: tg.stop_gradient(a) * x, A),
    "mse_loss": (lambda x, a: F.mse_loss(x, a), A),
    "l1_loss": (lambda x, a: F.l1_loss(x, a), A),
    "huber_loss": (lambda x, a: F.huber_loss(x, a, 0.1), A),
    "smooth_l1_loss": (lambda x, a: F.smooth_l1_loss(x, a, 0.1), A),
    "cross_entropy": (lambda x, i: F.cross_entropy(x, i), ints(3)),
    "cross_entropy probabilities": (lambda x, a: F.cross_entropy(x, a), A / 4),
    "binary_cross_entropy": (lambda x, a: F.binary_cross_entropy_with_logits(x, a), A / 2),
    "tril": (lambda x, a: (x * a).tril(), A),
}


def copied(value):
    if isinstance(value, list):
        return [*map(copied, value)]
    return value.copy() if isinstance(value, np.ndarray) else value


def overwrite(arrays):
    """Other values of the same kind, in place."""
    for a in arrays:
        if isinstance(a, list):
            overwrite([v for v in a if isinstance(v, np.ndarray)])
            a[:] = [a[0]] * len(a)
        else:
            a[...] = ~a if a.dtype == bool else 0 if a.dtype.kind == "i" else a * -3 + 0.1


def gradients(call, given, when=()):
    """First and second order; the arrays are overwritten at the given moments."""
    arrays = [copied(a) for a in given]
    x = tg.Tensor(floats(3, 4, seed=2), requires_grad=True)
    out = call(x, *arrays)
    if "before backward" in when:
        overwrite(arrays)
    (first,) = tg.grad((out * tg.Tensor(floats(*out.shape, seed=3))).sum(), x, create_graph=True)
    if "between the two" in when:
        overwrite(arrays)
    if not first.requires_grad:
        return first.numpy(), None
    (second,) = tg.grad((first * tg.Tensor(floats(3, 4, seed=4))).sum(), x, allow_unused=True)
    return first.numpy(), second if second is None else second.numpy()


@pytest.mark.parametrize("when", ["before backward", "between the two"])
@pytest.mark.parametrize("name", CASES)
def test_an_array_that_is_changed_after_the_call_changes_no_gradient(name, when):
    call, *given = CASES[name]
    for got, want in zip(gradients(call, given, [when]), gradients(call, given), strict=True):
        np.testing.assert_array_equal(got, want)


STEPS = [n for n in CASES if "of an array" not in n and not n.startswith("kernel that")]


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_with_arrays_that_are_changed_after_each_call(seed):
    rng = np.random.default_rng(zlib.crc32(b"values") + seed)
    names = rng.choice(STEPS, 4)

    def run(change):
        x = tg.Tensor(floats(3, 4, seed=2), requires_grad=True)
        total, y = x.sum(), x
        for name in names:
            call, *given = CASES[name]
            arrays = [copied(a) for a in given]
            out = call(y, *arrays)
            if change:
                overwrite(arrays)
            total = total + (out * out).sum()
            y = out * 0.5 + 0.3 if out.shape == (3, 4) else y * 1.1
        total.backward()
        return x.grad.numpy()

    np.testing.assert_array_equal(run(True), run(False))
