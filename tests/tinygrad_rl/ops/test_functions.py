"""Every function composed of ops, a line each in `function_rows.py`, through `check_op`."""

import numpy as np
import pytest
import scipy.special as sp

import tinygrad_rl as tg
from tests.tinygrad_rl.ops.function_rows import (
    BINARY,
    COMPOSED,
    KEYS,
    SMALLER,
    VALUES,
    A,
    B,
    gradient,
)
from tests.tinygrad_rl.ops.op_rows import INF, MASK, W, X
from tinygrad_rl.debug.checks import check_op


@pytest.mark.parametrize("function, reference, inputs", [c[1:] for c in COMPOSED],
                         ids=[c[0] for c in COMPOSED])  # fmt: skip
def test_composed(function, reference, inputs):
    assert check_op(function, inputs, reference=reference)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_getitem(key):
    assert check_op(lambda x: x[key], [W], reference=lambda x: x[key])


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_setitem(key):
    """What is written gets its gradient; what is overwritten gets none, in the same call too."""
    value = np.arange(1.0, 1 + W[key].size).reshape(W[key].shape)

    def write(x, v):
        out = x.copy()
        out[key] = v
        return out

    assert check_op(write, [W, value], reference=write)


@pytest.mark.parametrize(
    "key, error",
    [(2, IndexError), ((0, 0, 4), IndexError), ((0,) * 4, IndexError), ((..., ...), IndexError),
     ([0, 2], IndexError), ((A, B, 4), IndexError), ((A, A[:2]), IndexError), (0.5, TypeError),
     ([0.5], TypeError), ("a", TypeError), (True, TypeError), (MASK.T, IndexError),
     ((..., MASK), IndexError), (np.array(True), TypeError),
     ((np.array([0, 9]), A[:2]), IndexError)],
    ids=str,
)  # fmt: skip
def test_bad_indices_are_refused(key, error):
    with pytest.raises(error):
        tg.Tensor(W)[key]


def test_iteration_ends_and_a_0d_tensor_has_none():
    assert [t.tolist() for t in tg.Tensor(X)] == X.tolist() or np.allclose(list(tg.Tensor(X)), X)
    with pytest.raises(TypeError, match="0-d"):
        iter(tg.Tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        len(tg.Tensor(1.0))


@pytest.mark.parametrize("a, b", [
    ("int64", "int64"), ("int32", "int64"), ("uint8", "int32"), ("uint8", "uint8"), ("bool",
    "bool"),
    ("bool", "uint8"), ("float32", "bool"), ("float32", "int32"), ("float32", "float64"),
])  # fmt: skip
def test_binary_ops_promote_and_compute_as_numpy(a, b):
    with np.errstate(all="ignore"):
        for name, reference in BINARY.items():
            x, y = VALUES[a], VALUES[b][::-1].copy()
            if name == "subtract" and a == b == "bool":
                continue
            expected = reference(x, y)
            actual = getattr(tg, name)(x, y)
            assert actual.dtype == SMALLER.get(expected.dtype.name, expected.dtype), name
            np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("a", VALUES)
@pytest.mark.parametrize("number", [2, 0.5, True, -1])
def test_python_numbers_adapt_to_the_tensor(a, number):
    x = VALUES[a]
    if a == "uint8" and number == -1:
        with pytest.raises(OverflowError, match="out of bounds"):
            tg.Tensor(x) + number
    else:
        expected = x + number
        for actual in (tg.Tensor(x) + number, number + tg.Tensor(x)):
            assert actual.dtype == expected.dtype
            np.testing.assert_array_equal(actual, expected)
    np.testing.assert_array_equal(tg.Tensor(x) < number, x < number)


@pytest.mark.parametrize("a", ["int64", "int32", "uint8"])
def test_integers_stay_integers(a):
    x = VALUES[a]
    for name in ("abs", "sign", "square", "floor", "round", "negative"):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(x)
        actual = getattr(tg, name)(x)
        assert actual.dtype == expected.dtype, name
        np.testing.assert_array_equal(actual, expected, err_msg=name)
    np.testing.assert_array_equal(tg.pow(x, 3), x**3)
    np.testing.assert_array_equal(tg.clip(x, 1, None), np.clip(x, 1, None))
    assert (tg.Tensor(x) ** 2.0).dtype == np.float64
    assert tg.exp(x[1:]).dtype == np.float64


def test_integer_division_by_zero_gives_zero_as_in_numpy():
    x = np.array([3, -3, 0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(tg.Tensor(x) // 0, x // 0)
        np.testing.assert_array_equal(tg.Tensor(x) % 0, x % 0)


def test_what_booleans_and_integers_cannot_do_is_refused():
    mask = tg.Tensor([True, False])
    for bad in (lambda: -mask, lambda: mask - mask, lambda: ~tg.Tensor([1]), lambda: mask & 1.0):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(ValueError, match="negative integer powers"):
        tg.Tensor([2]) ** tg.Tensor([-1])
    np.testing.assert_array_equal(~mask | mask & True, [True, True])


@pytest.mark.parametrize("a", VALUES)
def test_reductions_keep_numpys_dtypes_but_for_small_unsigned_sums(a):
    x = VALUES[a]
    t = tg.Tensor(x)
    for name in ("sum", "prod", "mean", "max", "min", "any", "all", "cumsum", "argmax"):
        expected = np.asarray(getattr(np, name)(x))
        actual = getattr(t, name)()
        wanted = np.int64 if expected.dtype == np.uint64 else expected.dtype
        assert actual.dtype == wanted, name
        np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(t.var(), np.var(x), rtol=1e-6)


def test_subgradients_at_the_kinks():
    assert gradient(tg.relu, 0.0) == [0.0]
    assert gradient(tg.abs, 0.0) == [0.0]
    assert gradient(tg.maximum, 1.0, 1.0) == [0.5, 0.5]
    assert gradient(tg.minimum, 1.0, 1.0) == [0.5, 0.5]
    assert gradient(lambda x: x.clip(0, 1).sum(), [0.0, 1.0, 1.5]) == [[1.0, 1.0, 0.0]]
    assert gradient(lambda x: tg.hardtanh(x).sum(), [-1.0, 0.5, 1.0]) == [[0.0, 1.0, 0.0]]
    assert gradient(lambda x: x**0, 0.0) == [0.0]
    assert gradient(lambda x: x.max(), [2.0, 2.0, 1.0]) == [[0.5, 0.5, 0.0]]
    assert gradient(lambda x: x.min(0).sum(), [[1.0, 2.0], [1.0, 3.0]]) == [[[0.5, 1], [0.5, 0]]]
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [[0.0, 0.0]]
    assert gradient(lambda x, t: tg.binary_cross_entropy_with_logits(x, t), 0.0, 0.25)[0] == 0.25


def test_second_order_is_right_where_the_loss_has_a_kink_in_its_text_only():
    x = tg.Tensor(0.0, requires_grad=True)
    (g,) = tg.grad(tg.binary_cross_entropy_with_logits(x, tg.Tensor(1.0)), [x], create_graph=True)
    assert tg.grad(g, [x])[0].item() == 0.25


def test_exponentials_do_not_overflow():
    x = tg.Tensor([1000.0, 999.0, -INF])
    np.testing.assert_allclose(x.softmax(), [sp.expit(1), sp.expit(-1), 0], rtol=1e-6)
    np.testing.assert_allclose(x.logsumexp(), 1000 + np.log1p(np.exp(-1)), rtol=1e-6)
    np.testing.assert_allclose(x.log_softmax()[1], np.log(sp.expit(-1)), rtol=1e-4)
    assert tg.full((2,), -INF).logsumexp().item() == -INF
    assert tg.Tensor([INF, 0.0]).logsumexp().item() == INF
    assert tg.binary_cross_entropy_with_logits([20.0], [1.0]).item() == pytest.approx(
        2.061e-9, 1e-3
    )


def test_nan_is_not_lost():
    x = tg.Tensor([1.0, float("nan")])
    for y in (x.sum(), x.max(), x.min(), x.prod(), x.mean(), x.norm(), x.logsumexp(),
    x.softmax()[0],
              tg.relu(x)[1], tg.clip(x, 0, 1)[1], tg.elu(x)[1], tg.hardtanh(x)[1],
              tg.hardswish(x)[1],
              x.cumsum()[1], tg.huber_loss(x, x)):  # fmt: skip
        assert np.isnan(y.item())


def test_tensors_and_methods_have_the_same_names():
    for name in ("sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin", "logsumexp",
                 "softmax", "log_softmax", "cumsum", "norm", "any", "all", "matmul", "dot", "outer",
                 "trace", "tril", "triu", "reshape", "flatten", "ravel", "transpose", "permute",
                 "swapaxes", "squeeze", "expand_dims", "unsqueeze", "broadcast_to", "expand",
                 "split",
                 "chunk", "pad", "flip", "roll", "repeat", "tile", "take", "gather", "abs", "sign",
                 "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "square",
                 "reciprocal", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
                 "tanh", "sigmoid", "softplus", "relu", "leaky_relu", "elu", "selu", "celu", "gelu",
                 "silu", "mish", "hardtanh", "hardswish", "softsign", "erf", "logsigmoid",
                 "maximum",
                 "minimum", "clip", "where", "floor", "ceil", "round", "trunc",
                 "lerp"):  # fmt: skip
        assert name in tg.__all__
        assert callable(getattr(tg, name))
        assert callable(getattr(tg.Tensor, name))


@pytest.mark.parametrize("bad, words", [
    (lambda x: x + tg.zeros(4), "add: shapes don't broadcast"),
    (lambda x: x @ x, "inner sizes differ"),
    (lambda x: x @ 1.0, "at least one axis"),
    (lambda x: tg.linear(x, tg.zeros(2, 2)), "does not fit weight"),
    (lambda x: tg.linear(x, tg.zeros(2, 3), tg.zeros(3)), "bias"),
    (lambda x: x.sum(2), "axis 2 is out of range"),
    (lambda x: x.sum((0, 0)), "given twice"),
    (lambda x: x[:0].max(0), "empty axis"),
    (lambda x: x[:0].argmin(), "empty axis"),
    (lambda x: x.reshape(4, -1), "can't reshape"),
    (lambda x: x.permute(0, 0), "axis is given twice"),
    (lambda x: x.permute(1), "each of 2 axes once"),
    (lambda x: x.squeeze(0), "its size is not 1"),
    (lambda x: x.broadcast_to((3, 3)), "can't broadcast"),
    (lambda x: x.flatten(1, 0), "comes after"),
    (lambda x: tg.concatenate([x, x[0]]), "can't concatenate"),
    (lambda x: tg.concatenate([]), "at least one"),
    (lambda x: tg.stack([x, x[:1]]), "can't stack"),
    (lambda x: x.split(2, 1), "equal parts"),
    (lambda x: x.chunk(0), "at least one part"),
    (lambda x: x.pad(-1), "negative"),
    (lambda x: x.pad(((1, 1),) * 3), "widths"),
    (lambda x: x.gather(1, tg.arange(3)), "gather: index"),
    (lambda x: x.norm(3), "ord is 1, 2 or infinity"),
    (lambda x: x.gelu("exact"), "'none' or 'tanh'"),
    (lambda x: tg.tril(x[0]), "two axes"),
    (lambda x: x.diagonal(0, 1, -1), "different axes"),
    (lambda x: tg.dot(x, tg.zeros(2, 2, 2)), "inner sizes differ"),
    (lambda x: tg.einsum("ij,jk", x), "is for 2 tensors"),
    (lambda x: tg.einsum("ijk->i", x), "does not name the axes"),
    (lambda x: tg.einsum("ij->k", x), "no input has the axis 'k'"),
    (lambda x: tg.einsum("ij->ii", x), "each once"),
    (lambda x: tg.einsum("ii", x), "sizes 2 and 3"),
    (lambda x: tg.mse_loss(x, x[0]), "differ in shape"),
    (lambda x: tg.l1_loss(x, x[0]), "differ in shape"),
    (lambda x: tg.huber_loss(x, x[:1]), "differ in shape"),
    (lambda x: tg.huber_loss(x, x, 0), "positive"),
    (lambda x: tg.smooth_l1_loss(x, x[:1]), "differ in shape"),
    (lambda x: tg.smooth_l1_loss(x, x, -1), "negative"),
    (lambda x: tg.binary_cross_entropy_with_logits(x, x[0]), "differ in shape"),
    (lambda x: tg.cross_entropy(x, [0, 1, 1]), "class numbers of shape"),
    (lambda x: tg.cross_entropy(x, x[0]), "differ in shape"),
    (lambda x: tg.cross_entropy(tg.Tensor(1.0), 0), "class axis"),
])  # fmt: skip
def test_errors_name_the_culprit(bad, words):
    with pytest.raises(ValueError, match=words):
        bad(tg.Tensor(X))


def test_wrong_arguments_of_an_elementwise_op_show_its_signature():
    for bad in (lambda: tg.elu(X, beta=1), lambda: tg.elu(), lambda: tg.elu(X, 1, 2),
                lambda: tg.elu(X, x=1)):  # fmt: skip
        with pytest.raises(TypeError, match=r"elu\(x, alpha=1.0\)"):
            bad()
