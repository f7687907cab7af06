"""Equal values, zeros and ties: a derivative of 0 where the formula has 0 / 0, to any order."""

import numpy as np
import pytest

import tinygrad_rl as tg
import tinygrad_rl.nn.functional as F

INF, NAN = np.inf, np.nan


def orders(f, x, jitted=False, factor=1.0):
    """Value, gradient, and the gradient of a weighted sum of that."""

    def run(x):
        y = f(x)
        weights = tg.Tensor(np.linspace(1, 2, y.size, dtype=x.dtype).reshape(y.shape))
        (g,) = tg.grad((y * weights).sum(), x, create_graph=True)
        if not g.requires_grad:
            return y, g, g * 0
        more = tg.Tensor(np.linspace(0.5, 1.5, x.size, dtype=x.dtype).reshape(x.shape))
        (h,) = tg.grad((g * more).sum(), x, materialize_grads=True)
        return y, g, h

    x = tg.Tensor(x, requires_grad=True)
    results = (tg.jit(run) if jitted else run)(x)
    return [r.numpy() for r in results]


SPREADS = {
    "std": lambda x: x.std(),
    "std axis": lambda x: x.std(-1),
    "std first axis": lambda x: x.std(0),
    "std keepdims": lambda x: x.std(-1, keepdims=True),
    "std two axes": lambda x: x.std((0, 1)),
    "std ddof": lambda x: x.std(-1, ddof=1),
    "std function": lambda x: tg.std(x, 1, ddof=2),
    "norm": lambda x: x.norm() * 1,
    "norm axis": lambda x: x.norm(axis=-1),
    "norm keepdims": lambda x: x.norm(axis=0, keepdims=True),
    "norm 1": lambda x: x.norm(1, axis=-1),
    "norm inf": lambda x: x.norm(INF, axis=-1),
    "var": lambda x: x.var(-1) * 0,
    "abs": abs,
}


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e8, 1e-20])
@pytest.mark.parametrize("name", SPREADS)
def test_of_equal_values_the_gradient_is_0(name, value, dtype, jitted):
    if value and "std" not in name:
        return
    y, g, h = orders(SPREADS[name], np.full((3, 7), value, dtype), jitted)
    for array in (y, g, h):
        np.testing.assert_array_equal(array, 0)
        assert array.dtype == dtype


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("f", [lambda x: x.std(1), lambda x: x.norm(axis=1)], ids=["std", "norm"])
def test_rows_that_are_equal_leave_the_others_alone(f, jitted):
    rows = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 4.0]])
    _, g, h = orders(f, rows, jitted)
    assert (g[0] == 0).all()
    assert (h[0] == 0).all()

    def weighted(x):
        return f(x.reshape(1, 3)) * 2

    assert tg.gradcheck(weighted, [tg.Tensor(rows[1], True)])
    assert tg.gradgradcheck(weighted, [tg.Tensor(rows[1], True)])
    x = tg.Tensor(rows[1:], requires_grad=True)
    (alone,) = tg.grad(2 * f(x).sum(), x)
    np.testing.assert_allclose(g[1:], alone.numpy(), rtol=1e-12)


@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(1,), (2,), (3, 4)])
@pytest.mark.parametrize("name", ["std", "var"])
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
def test_spread_is_that_of_numpy(name, shape, ddof):
    x = np.random.default_rng(3).normal(1e3, 1, shape)
    got, want = getattr(tg, name)(x, -1, ddof=ddof), getattr(np, name)(x, -1, ddof=ddof)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-9, atol=1e-15)
    assert tg.std(np.arange(4)).dtype == np.float64
    assert np.isnan(tg.std(tg.zeros(0, 3), 0).numpy()).all()


# -- what PyTorch gives there ----------------------------------------------------------------------

# name: function, input, gradient of the sum of the output times 1 .. 2, gradient of that
TIES = {
    "maximum": (lambda x: tg.maximum(x, 1.0), [1.0], [0.5], [0.0]),
    "max": (lambda x: x.max(-1), [2.0, 2.0, 1.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]),
    "x ** 0": (lambda x: x ** tg.Tensor(0.0), [0.0], [0.0], [0.0]),
    "x ** 1": (lambda x: x ** tg.Tensor(1.0), [0.0], [1.0], [0.0]),
    "x ** 2": (lambda x: x ** tg.Tensor(2.0), [0.0], [0.0], [1.0]),
    "0 ** x": (lambda x: tg.power(0.0, x), [0.0], [0.0], [0.0]),
    "prod of one 0": (lambda x: x.prod(), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0], [6.0, 1.5, 1.0]),
    "prod of two": (lambda x: x.prod(), [0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [3.0, 1.5, 0.0]),
    "softmax of -inf": (lambda x: x.softmax(), [-INF, 0.0], [0.0, 0.0], [0.0, 0.0]),
    "logsumexp of -inf": (lambda x: x.logsumexp(), [-INF, 0.0], [0.0, 1.0], [0.0, 0.0]),
    "clip": (lambda x: x.clip(0.0, 1.0), [0.0], [1.0], [0.0]),
    "huber": (lambda x: F.huber_loss(x, np.zeros(1)), [0.0], [0.0], [0.5]),
    "sqrt stays honest": (lambda x: x.sqrt(), [0.0], [INF], [-INF]),
    "root of a square stays honest": (lambda x: (x * x).sqrt(), [0.0], [NAN], [NAN]),
    "log of 0 stays honest": (lambda x: x * x.log(), [0.0], [NAN], [NAN]),
    "softmax of nothing stays honest": (lambda x: x.softmax(), [-INF, -INF], [NAN] * 2, [NAN] * 2),
}


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", TIES)
def test_a_tie_or_a_zero_has_the_derivative_that_pytorch_gives(name, jitted):
    f, x, first, second = TIES[name]
    with np.errstate(all="ignore"):
        _, g, h = orders(f, np.array(x), jitted)
    np.testing.assert_array_equal(g, first)
    np.testing.assert_array_equal(np.where(np.isfinite(h) | np.isnan(h), h, -INF), second)


# -- integers --------------------------------------------------------------------------------------


@tg.elementwise
def halves(a, b):
    return a // b + a // 2 + a // -1


DIVISIONS = {
    "//": (lambda a, b: a // b, np.floor_divide),
    "%": (lambda a, b: a % b, np.remainder),
    "// of one's own": (halves, lambda a, b: a // b + a // 2 + a // -1),
    "fused": (lambda a, b: (a // b + 1) % 5, lambda a, b: (a // b + 1) % 5),
    "// -1": (lambda a, b: a // -1, lambda a, b: a // -1),
    "% -1": (lambda a, b: a % -1, lambda a, b: a % -1),
    "// 0": (lambda a, b: a // 0, lambda a, b: a // 0),
    "% 0": (lambda a, b: a % 0, lambda a, b: a % 0),
}


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("dtype", [np.int64, np.int32])
@pytest.mark.parametrize("name", DIVISIONS)
def test_integers_are_divided_as_in_numpy_also_the_lowest_by_minus_1(name, dtype, jitted):
    f, by_numpy = DIVISIONS[name]
    if dtype == np.int32 and "own" in name:
        return  # expressions of one op are computed in int64
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    values = np.array([low, low + 1, -7, -1, 0, 1, 7, high], dtype)
    a, b = (np.tile(m.ravel(), 40) for m in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = by_numpy(a, b)
    run = tg.jit(f) if jitted else f
    got = run(tg.Tensor(a), tg.Tensor(b))
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.numpy(), want)
    row = run(tg.Tensor(np.tile(values, (3, 1))), tg.Tensor(values))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(row.numpy()[1], by_numpy(values, values))
