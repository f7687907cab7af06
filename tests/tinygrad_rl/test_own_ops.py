"""A user's own ops, one of each kind, in a file outside the package: nothing else knows them."""

import sys

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler import phases

# -- the user's file -------------------------------------------------------------------------------


def windows(x, *, size):
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(-2, -1))


patches = tg.View(
    "patches",
    forward=windows,
    index=lambda at: (*at[:-4], at[-4] + at[-2], at[-3] + at[-1]),
)
every_second = tg.View(
    "every_second", forward=lambda x: x[..., ::2], index=lambda at: (*at[:-1], at[-1] * 2)
)
length = tg.Reduction(
    "length",
    start=0,
    combine="total + x * x",
    finish="sqrt(total)",
    vjp={"x": lambda g, x, y: g * x / y},
)
soft_maximum = tg.Reduction(
    "soft_maximum",
    start=-np.inf,
    combine="maximum(total, x) + (log1p(exp(-abs(total - x))) if total != x else log(2))",
    vjp={"x": lambda g, x, y: g * tg.exp(x - y)},
)
mean_square = tg.Reduction(
    "mean_square",
    start=0,
    combine="total + x * x",
    finish="total / n",
    vjp={"x": lambda g, x, x_shape, axis: g * x * (2 / np.prod([x_shape[a] for a in axis]))},
)
gram = tg.Product("gram", "ki,kj->ij")
pick = tg.Gather(
    "pick",
    source=lambda at, row: (at[0], row),
    shape=lambda x, rows: rows.shape,
    vjp={"x": lambda g, rows, x_shape: unpick(g, rows, width=x_shape[1])},
)
unpick = tg.Scatter(
    "unpick",
    target=lambda at, row: (at[0], row),
    shape=lambda x, rows, *, width: (x.shape[0], width),
    add=True,
    vjp={"x": lambda g, rows: pick(g, rows)},
)

scaled_sum = tg.Composite(
    "scaled_sum",
    lambda a, b, *, by: a + by * b,
    composition=lambda a, b, by: a + by * b,
    vjp={"a": lambda g: g, "b": lambda g, by: g * by},
)


def conv2d(x, weight):
    """Images (N, C, H, W) and filters (O, C, k, k) to (N, O, H - k + 1, W - k + 1)."""
    n, c = x.shape[:2]
    o, _, k, _ = weight.shape
    rows = patches(x, size=k)  # (N, C, H', W', k, k), no copy
    h, w = rows.shape[2:4]
    rows = rows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * k * k)
    out = rows @ weight.reshape(o, c * k * k).T
    return out.reshape(n, h, w, o).transpose(0, 3, 1, 2)


# -- what follows from it --------------------------------------------------------------------------

rng = np.random.default_rng(3)
X = rng.normal(size=(4, 6))
IMAGE = rng.normal(size=(2, 2, 5, 4))
FILTER = rng.normal(size=(3, 2, 2, 2))
ROWS = np.array([[0, 2], [1, -1], [5, 5], [3, 0]])


def picked(x, rows):
    return np.take_along_axis(x, rows % x.shape[1], 1)


def unpicked(x, rows, width):
    out = np.zeros((len(x), width), x.dtype)
    np.add.at(out, (np.arange(len(x))[:, None], rows), x)
    return out


def by_hand(x, weight):
    n, _, h, w = x.shape
    o, _, k, _ = weight.shape
    out = np.zeros((n, o, h - k + 1, w - k + 1))
    for i in range(h - k + 1):
        for j in range(w - k + 1):
            out[:, :, i, j] = np.einsum("ncpq,ocpq->no", x[:, :, i : i + k, j : j + k], weight)
    return out


REDUCED = {"axis": (1,), "keepdims": False}
OPS = {
    "patches": (patches, [IMAGE], {"size": 2}, windows),
    "every_second": (every_second, [X], {}, lambda x: x[..., ::2]),
    "length": (length, [X], REDUCED, lambda x, axis, keepdims: np.linalg.norm(x, axis=axis[0])),
    "soft_maximum": (
        soft_maximum,
        [X],
        {"axis": (0, 1), "keepdims": True},
        lambda x, axis, keepdims: np.log(np.exp(x).sum(axis, keepdims=keepdims)),
    ),
    "mean_square": (mean_square, [X], REDUCED, lambda x, axis, keepdims: (x * x).mean(axis)),
    "gram": (gram, [X, X[:, :3]], {}, lambda a, b: a.T @ b),
    "pick": (pick, [X, ROWS], {}, picked),
    "unpick": (unpick, [X[:, :2], ROWS], {"width": 6}, unpicked),
    "scaled_sum": (scaled_sum, [X, X[:1]], {"by": 0.5}, lambda a, b, by: a + by * b),
    "conv2d": (conv2d, [IMAGE, FILTER], {}, by_hand),
}


@pytest.mark.parametrize("name", OPS)
def test_own_op_keeps_every_promise(name):
    op, inputs, params, reference = OPS[name]
    assert tg.check_op(op, inputs, params, reference)


@pytest.mark.parametrize("params", [{}, {"axis": -1}, {"axis": 0, "keepdims": True}], ids=str)
def test_a_reduction_is_checked_with_its_parameters_as_a_caller_gives_them(params):
    assert tg.check_op(length, [X], params)


def step(x, image, weight, rows):
    """All of them in one function, with the gradient of it."""
    loss = length(x * 2, 1).sum() + soft_maximum(every_second(x), 0).sum() + mean_square(x)
    loss = loss + scaled_sum(x, x[0], by=2.0).sum() + gram(x, x + 1).sum() + pick(x, rows).sum()
    loss = loss + length(conv2d(image, weight))
    return (loss, *tg.grad(loss, (x, image, weight)))


def arguments():
    leaves = [tg.Tensor(a, requires_grad=True) for a in (X, IMAGE, FILTER)]
    return [*leaves, tg.Tensor(ROWS)]


def test_own_ops_compiled_agree_with_uncompiled():
    compiled = tg.jit(step)
    for got, expected in zip(compiled(*arguments()), step(*arguments()), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_own_ops_fuse_like_built_in_ones():
    """A view costs no code, a reduction shares the loop of what comes before it."""
    compiled = tg.jit(lambda x: length(every_second(x) * 2 + 1, 1))
    compiled(tg.Tensor(X))
    (loop,) = compiled.plan().steps
    assert [i.op.name for i in loop.members] == ["mul", "add", "length"]
    assert "x[i, j * 2]" in compiled.source()
    compiled = tg.jit(lambda x: gram(x, x))
    compiled(tg.Tensor(X))
    assert "matmul_tn(" in compiled.source()  # the transpose is folded into the product


def test_own_ops_are_divided_among_threads(monkeypatch):
    monkeypatch.setattr(phases, "WORTH", 0)
    monkeypatch.setattr(phases, "ROWS", 2)
    monkeypatch.setattr(phases, "BLOCK", 1)
    monkeypatch.setattr(sys.modules["tinygrad_rl.compiler.compiled"], "get_num_threads", lambda: 2)
    compiled = tg.jit(step)
    for got, expected in zip(compiled(*arguments()), step(*arguments()), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    plan = compiled.plan()
    divided = {type(s.op).__name__ for s in plan.steps if plan.axes[s] == 0 and hasattr(s, "op")}
    assert plan.parts == 2 and {"Product", "Gather"} <= divided


def test_own_ops_are_drawn():
    x = tg.Tensor(X, requires_grad=True)

    def loss():
        return length(every_second(x)).sum()

    explanation = tg.explain(loss)
    assert explanation["x"].status == "reached"
    assert "every_second" in explanation.svg("op") and "length" in explanation.svg("op")


@pytest.mark.parametrize("compiled", [False, True])
def test_own_reductions_of_integers_are_floats_where_an_expression_is(compiled):
    def step(x):
        return length(x, 1), mean_square(x, 0)

    x = np.array([[3, 4], [5, 12]])
    norms, squares = (tg.jit(step) if compiled else step)(tg.Tensor(x))
    assert norms.dtype == squares.dtype == np.float64
    assert norms.tolist() == [5.0, 13.0] and squares.tolist() == [17.0, 80.0]


# -- a wrong declaration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index", [lambda at: (at[0],), lambda at: (at[0] * 2,), lambda at: (at[0] + 2,)]
)
def test_wrong_index_is_refused(index):
    wrong = tg.View("wrong", forward=lambda x: x[1:], index=index)
    with pytest.raises(AssertionError, match="reads other places than its NumPy function"):
        tg.check_op(wrong, [X[0]])
    with pytest.raises(ValueError, match="reads other places than its NumPy function"):
        tg.jit(lambda x: wrong(x) + 1)(tg.Tensor(X[0]))


def test_wrong_combine_is_found():
    wrong = tg.Reduction(
        "wrong",
        start=0,
        combine="total + abs(x)",
        forward=lambda x, *, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims),
        vjp={"x": lambda g: g},
    )
    with pytest.raises(AssertionError, match="declaration"):
        tg.check_op(wrong, [X], REDUCED)


def test_wrong_places_are_found():
    wrong = tg.Gather(
        "wrong",
        source=lambda at, row: (at[0], row),
        shape=lambda x, rows: rows.shape,
        forward=lambda x, rows: picked(x, rows)[::-1].copy(),
    )
    with pytest.raises(AssertionError, match="declaration"):
        tg.check_op(wrong, [X, ROWS], reference=lambda x, rows: picked(x, rows)[::-1])


@pytest.mark.parametrize(
    "subscripts", ["ij,jk", "ij,jk->ki", "ijk,kl->il", "ij,ij->ij", "ii,ij->j"]
)
def test_product_of_something_else_is_refused(subscripts):
    with pytest.raises(ValueError, match="two matrices with one axis in common"):
        tg.Product("wrong", subscripts)


def test_op_itself_is_abstract():
    with pytest.raises(TypeError, match="declare a Kernel, View, Reduction"):
        tg.Op("wrong", (("x",), (), False))


def test_row_out_of_range_is_an_error_compiled_too():
    compiled = tg.jit(lambda x, rows: pick(x, rows))
    np.testing.assert_array_equal(compiled(tg.Tensor(X), tg.Tensor(ROWS)), picked(X, ROWS))
    outside = tg.Tensor(np.where(ROWS == 5, 6, ROWS))
    with pytest.raises(IndexError, match="out of bounds"):
        pick(tg.Tensor(X), outside)
    with pytest.raises(IndexError, match="an index is out of range for an axis of size 6"):
        compiled(tg.Tensor(X), outside)
