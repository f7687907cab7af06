"""Every op of the registry and every function composed of them, a line each, through `check_op`."""

import sys

import numpy as np
import pytest
import scipy.special as sp

import tinygrad_rl as tg
from tinygrad_rl.core import REGISTRY, Op
from tinygrad_rl.debug.checks import check_op
from tinygrad_rl.ops import index, inplace, join, linear, reduce, shape

INF = float("inf")
X = np.array([[-1.7, -0.6, 0.3], [0.45, 1.2, 2.6]])  # both signs, no two alike, off every kink
Y = np.array([[0.8, -1.1, 2.3], [-0.7, 0.35, -1.9]])
P = np.array([[0.2, 0.7, 1.3], [1.9, 2.4, 3.1]])  # positive
U = np.array([[-0.9, -0.5, -0.1], [0.2, 0.6, 0.8]])  # inside (-1, 1)
W = np.arange(24.0).reshape(2, 3, 4) % 7 * 0.3 - 0.8
MASK = np.array([[True, False, True], [False, False, True]])
ROWS = np.array([2, 0, -1, 2])
EMPTY = np.zeros((0, 3))
POINT = np.array(1.5)


def sigmoid(x):
    return sp.expit(x).astype(x.dtype)


ELEMENTWISE = {
    "add": (np.add, X, Y),
    "sub": (np.subtract, X, Y),
    "mul": (np.multiply, X, Y),
    "div": (np.divide, X, Y),
    "floor_divide": (np.floor_divide, X, Y),
    "remainder": (np.remainder, X, Y),
    "neg": (np.negative, X),
    "positive": (np.positive, X),
    "pow": (np.power, P, Y),
    "square": (np.square, X),
    "reciprocal": (np.reciprocal, X),
    "sqrt": (np.sqrt, P),
    "rsqrt": (lambda x: 1 / np.sqrt(x), P),
    "lerp": (lambda a, b, weight: a + weight * (b - a), X, Y, U),
    "exp": (np.exp, X),
    "exp2": (np.exp2, X),
    "expm1": (np.expm1, X),
    "log": (np.log, P),
    "log2": (np.log2, P),
    "log10": (np.log10, P),
    "log1p": (np.log1p, P),
    "sin": (np.sin, X),
    "cos": (np.cos, X),
    "tan": (np.tan, U),
    "arcsin": (np.arcsin, U),
    "arccos": (np.arccos, U),
    "arctan": (np.arctan, X),
    "sinh": (np.sinh, X),
    "cosh": (np.cosh, X),
    "tanh": (np.tanh, X),
    "erf": (sp.erf, X),
    "abs": (np.abs, X),
    "zero": (np.zeros_like, X),
    "sign": (np.sign, X),
    "floor": (np.floor, X),
    "ceil": (np.ceil, X),
    "trunc": (np.trunc, X),
    "round": (np.round, X),
    "maximum": (np.maximum, X, Y),
    "minimum": (np.minimum, X, Y),
    "clip": (np.clip, X, Y - 2.05, Y + 2.05),
    "where": (np.where, MASK, X, Y),
    "relu": (lambda x: np.maximum(x, 0), X),
    "leaky_relu": (lambda x, slope: np.where(x > 0, x, slope * x), X, P),
    "elu": (lambda x, a: np.where(x > 0, x, a * np.expm1(x)), X, P),
    "selu": (
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        X,
    ),
    "celu": (lambda x, a: np.where(x > 0, x, a * np.expm1(x / a)), X, P),
    "sigmoid": (sigmoid, X),
    "softplus": (lambda x: np.logaddexp(x, 0), X),
    "logsigmoid": (lambda x: -np.logaddexp(-x, 0), X),
    "silu": (lambda x: x * sigmoid(x), X),
    "mish": (lambda x: x * np.tanh(np.logaddexp(x, 0)), X),
    "gelu_erf": (lambda x: 0.5 * x * (1 + sp.erf(x / np.sqrt(2))), X),
    "gelu_tanh": (lambda x: 0.5 * x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))), X),
    "softsign": (lambda x: x / (1 + np.abs(x)), X),
    "hardtanh": (
        lambda x, a, b: np.where(x <= a, a, np.where(x >= b, b, x)),
        X,
        Y - 2.05,
        Y + 2.05,
    ),
    "hardswish": (
        lambda x: np.where(x <= -3, 0, np.where(x >= 3, x, x * (x + 3) / 6)).astype(x.dtype),
        X,
    ),
    "huber": (lambda e, d: np.where(abs(e) <= d, e * e / 2, d * (abs(e) - d / 2)), X, P),
    "smooth_l1": (lambda e, b: np.where(abs(e) < b, 0.5 * e * e / b, abs(e) - b / 2), X, P),
    "binary_cross_entropy": (
        lambda x, t: np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x))),
        X,
        P / 4,
    ),
    "first_moment": (lambda m, g, weight: m + weight * (g - m), X, Y, U),
    "second_moment": (lambda v, g, beta: beta * v + (1 - beta) * g * g, P, X, U),
    "adam_step": (
        lambda p, m, v, size, eps: p - size * m / (np.sqrt(v) + eps),
        *(X, Y, P, P[::-1], P.T.reshape(2, 3)),
    ),
    "polyak_step": (lambda target, source, tau: (1 - tau) * target + tau * source, X, Y, U),
    "equal": (np.equal, X, np.where(MASK, X, Y)),
    "not_equal": (np.not_equal, X, np.where(MASK, X, Y)),
    "less": (np.less, X, Y),
    "less_equal": (np.less_equal, X, Y),
    "greater": (np.greater, X, Y),
    "greater_equal": (np.greater_equal, X, Y),
    "logical_and": (np.logical_and, X, MASK * Y),
    "logical_or": (np.logical_or, X * MASK, Y * ~MASK),
    "logical_not": (np.logical_not, X * MASK),
}


def unslice(x, bounds, shape):
    out = np.zeros(shape)
    out[np.ix_(*[first + step * np.arange(n) for first, n, step in bounds])] = x
    return out


def put_add(x, rows, size):
    out = np.zeros((size, *x.shape[rows.ndim :]))
    for place, row in zip(rows, x, strict=True):
        out[place] += row
    return out


def setitem(x, value, where):
    out = x.copy()
    np.put(out, where, value)
    return out


BLOCK = ((1, 1, 1), (2, 2, -2))
ALL, NONE = {"axis": (0, 1), "keepdims": False}, {"axis": (), "keepdims": False}
# (op, reference, inputs, params); an op with several cases has several lines.
GENERAL = [
    (reduce.sum_op, np.sum, [X], ALL),
    (reduce.sum_op, np.sum, [W], {"axis": (0, 2), "keepdims": True}),
    (reduce.sum_op, np.sum, [EMPTY], {"axis": (0,), "keepdims": False}),
    (reduce.sum_op, np.sum, [POINT], NONE),
    (reduce.max_op, np.max, [X], ALL),
    (reduce.max_op, np.max, [W], {"axis": (1,), "keepdims": True}),
    (reduce.max_op, np.max, [EMPTY], {"axis": (1,), "keepdims": False}),
    (reduce.min_op, np.min, [X], {"axis": (1,), "keepdims": False}),
    (reduce.min_op, np.min, [POINT], NONE),
    (reduce.cumsum_op, np.cumsum, [W], {"axis": 1}),
    (reduce.cumsum_op, np.cumsum, [EMPTY], {"axis": 0}),
    (reduce.argmax_op, np.argmax, [W], {"axis": 2}),
    (reduce.argmin_op, np.argmin, [W], {"axis": 0}),
    (linear.matmul_, np.matmul, [X, Y.T], {}),
    (linear.matmul_, np.matmul, [W, W[0].T], {}),
    (linear.matmul_, np.matmul, [W[0], W.swapaxes(1, 2)], {}),
    (linear.matmul_, np.matmul, [EMPTY, Y.T], {}),
    (linear.matmul_, np.matmul, [np.zeros((2, 0)), np.zeros((0, 3))], {}),
    (linear.linear_, lambda x, w, b: x @ w.T + b, [X, Y, P[:, 0]], {}),
    (linear.linear_, lambda x, w, b: x @ w.T + b, [X[0], Y, P[:, 0]], {}),
    (linear.linear_, lambda x, w, b: x @ w.T + b, [W, W[0], P[0]], {}),
    (linear.linear_, lambda x, w, b: x @ w.T + b, [EMPTY, Y, P[:, 0]], {}),
    (shape.reshape_, np.reshape, [X], {"shape": (3, 2)}),
    (shape.reshape_, np.reshape, [EMPTY], {"shape": (3, 0, 2)}),
    (shape.reshape_, np.reshape, [POINT], {"shape": (1, 1)}),
    (shape.permute_, np.transpose, [W], {"axes": (2, 0, 1)}),
    (shape.permute_, np.transpose, [POINT], {"axes": ()}),
    (shape.broadcast_op, np.broadcast_to, [X[:, :1]], {"shape": (2, 2, 3)}),
    (shape.broadcast_op, np.broadcast_to, [POINT], {"shape": (0, 2)}),
    (shape.stop_gradient_, np.copy, [X], {}),
    (shape.to_integer, lambda x, dtype: x.astype(dtype), [X], {"dtype": np.dtype(np.int32)}),
    (shape.to_integer, lambda x, dtype: x.astype(dtype), [X * MASK], {"dtype": np.dtype(bool)}),
    (shape.copy_op, np.copy, [X], {}),
    (shape.copy_op, np.copy, [EMPTY], {}),
    (index.slice_, lambda x, bounds: x[1:2, 2::-2], [X], {"bounds": BLOCK}),
    (index.slice_, lambda x, bounds: x[:0], [X], {"bounds": ((0, 0, 1), (0, 3, 1))}),
    (index.slice_scatter, unslice, [X[:1, :2]], {"bounds": BLOCK, "shape": (2, 3)}),
    (index.slice_scatter, lambda x, bounds, shape: np.zeros(shape), [EMPTY],
     {"bounds": ((0, 0, 1), (0, 3, 1)), "shape": (2, 3)}),
    (index.take_, lambda x, rows: x[rows], [P.T, ROWS], {}),
    (index.take_, lambda x, rows: x[rows], [W, np.array([[0, 1], [1, 1]])], {}),
    (index.take_, lambda x, rows: x[rows], [X, np.zeros((0, 2), int)], {}),
    (index.take_, lambda x, rows: x[rows], [X, np.array(-1)], {}),
    (index.scatter_add, put_add, [W.reshape(4, 6), ROWS], {"size": 3}),
    (join.concatenate_, lambda *t, axis: np.concatenate(t, axis), [X, Y, EMPTY], {"axis": 0}),
    (join.concatenate_, lambda *t, axis: np.concatenate(t, axis), [X, Y[:, :1]], {"axis": 1}),
    (inplace.put, setitem, [X, P[0, :2], np.array([4, 1])], {}),
    (inplace.put, setitem, [X, P, np.array([[4, 1, 4], [1, 1, 0]])], {}),
    (inplace.put, setitem, [POINT, P[0, 0], np.array(0)], {}),
]  # fmt: skip


def builtin_ops():
    """Every op that a module of the package holds; the compiler's stands for a whole program."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("tinygrad_rl.") and "compiler" not in name
    ]
    return {v.name for m in modules for v in vars(m).values() if isinstance(v, Op)}


def test_every_op_of_the_registry_has_a_row():
    rows = {*ELEMENTWISE, *(op.name for op, *_ in GENERAL), "astype"}
    assert builtin_ops() <= set(REGISTRY)
    assert builtin_ops() == rows


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    reference, *inputs = ELEMENTWISE[name]
    assert check_op(REGISTRY[name], inputs, reference=reference)


@pytest.mark.parametrize("op, reference, inputs, params", GENERAL, ids=[c[0].name for c in GENERAL])
def test_general(op, reference, inputs, params):
    assert check_op(op, inputs, params, reference)


def test_astype_gives_the_gradient_back_in_the_inputs_own_dtype():
    x = tg.Tensor(X, requires_grad=True)
    y = x.astype(np.float32)
    y.backward(tg.ones_like(y))
    assert y.dtype == np.float32
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, np.ones_like(X))
    assert tg.gradgradcheck(lambda x: x.astype(np.float64) * x, [x])
    assert not x.astype(np.int64).requires_grad
    assert x.astype(np.float64) is x


# -- composed functions ----------------------------------------------------------------------------


def softmax(x, axis):
    return np.exp(x - x.max(axis, keepdims=True)) / np.exp(x - x.max(axis, keepdims=True)).sum(
        axis, keepdims=True
    )


def block(x, widths):
    return np.pad(x, widths, constant_values=7.0)


ZEROS = np.array([[0.0, 2.0, -1.5], [0.0, 0.0, 3.0]])
PICK = np.array([[0, 2, 0], [1, 1, 2]])
LOGITS, CLASSES = W.reshape(4, 6), np.array([0, 5, 2, 2])
# (name, function, reference, inputs)
COMPOSED = [
    ("mean", lambda x: x.mean(), np.mean, [X]),
    ("mean_axis", lambda x: tg.mean(x, (0, -1), keepdims=True),
     lambda x: x.mean((0, -1), keepdims=True), [W]),
    ("var", lambda x: x.var(1), lambda x: x.var(1), [X]),
    ("var_ddof", lambda x: x.var(ddof=1), lambda x: x.var(ddof=1), [X]),
    ("std", lambda x: x.std(0, keepdims=True), lambda x: x.std(0, keepdims=True), [X]),
    ("prod", lambda x: x.prod(), np.prod, [X]),
    ("prod_axis", lambda x: x.prod(1), lambda x: x.prod(1), [W]),
    ("prod_axes", lambda x: x.prod((0, 2), keepdims=True),
     lambda x: x.prod((0, 2), keepdims=True), [W]),
    ("prod_of_zeros", lambda x: x.prod(1), lambda x: x.prod(1), [ZEROS]),
    ("prod_of_none", lambda x: x.prod(0), lambda x: x.prod(0), [EMPTY]),
    ("prod_0d", lambda x: x.prod(), np.prod, [POINT]),
    ("max_axes", lambda x: x.max((0, 2)), lambda x: x.max((0, 2)), [W]),
    ("min", lambda x: x.min(), np.min, [X]),
    ("argmax", lambda x: x.argmax(keepdims=True), lambda x: np.argmax(x, keepdims=True), [X]),
    ("argmin", lambda x: x.argmin(1), lambda x: np.argmin(x, 1), [X]),
    ("cumsum_flat", lambda x: x.cumsum(), np.cumsum, [X]),
    ("cumsum_0d", lambda x: x.cumsum(), np.cumsum, [POINT]),
    ("logsumexp", lambda x: x.logsumexp(), sp.logsumexp, [X]),
    ("logsumexp_axis", lambda x: x.logsumexp(1, keepdims=True),
     lambda x: sp.logsumexp(x, 1, keepdims=True), [W]),
    ("softmax", lambda x: x.softmax(), lambda x: softmax(x, -1), [X]),
    ("softmax_axes", lambda x: x.softmax((0, 1)), lambda x: softmax(x, (0, 1)), [X]),
    ("softmax_empty", lambda x: x.softmax(0), np.copy, [EMPTY]),
    ("log_softmax", lambda x: x.log_softmax(0), lambda x: np.log(softmax(x, 0)), [X]),
    ("norm", lambda x: x.norm(), np.linalg.norm, [X]),
    ("norm_axis", lambda x: x.norm(axis=1, keepdims=True),
     lambda x: np.linalg.norm(x, axis=1, keepdims=True), [X]),
    ("norm_1", lambda x: x.norm(1, 1), lambda x: np.linalg.norm(x, 1, 1), [X]),
    ("norm_inf", lambda x: x.norm(INF, 1), lambda x: np.linalg.norm(x, INF, 1), [X]),
    ("any", lambda x: (x > 1).any(1), lambda x: (x > 1).any(1), [X]),
    ("all", lambda x: tg.all(x, keepdims=True), lambda x: np.all(x, keepdims=True), [ZEROS]),
    ("all_of_none", lambda x: x.all(0), lambda x: x.all(0), [EMPTY]),
    ("matmul_vectors", lambda a, b: a @ b, np.matmul, [X[0], Y[0]]),
    ("matmul_vector_right", lambda a, b: a @ b, np.matmul, [W.swapaxes(1, 2), Y[0]]),
    ("matmul_vector_left", lambda a, b: a @ b, np.matmul, [Y[0], W]),
    ("dot", tg.dot, np.dot, [X, Y.T]),
    ("dot_stacks", tg.dot, np.dot, [X, W]),
    ("dot_number", tg.dot, np.dot, [POINT, X]),
    ("outer", tg.outer, np.outer, [X, Y]),
    ("trace", lambda x: x.trace(), np.trace, [X]),
    ("trace_offset", lambda x: x.trace(1, 1, 2), lambda x: np.trace(x, 1, 1, 2), [W]),
    ("diagonal", lambda x: tg.diagonal(x, -1, 2, 1), lambda x: np.diagonal(x, -1, 2, 1), [W]),
    ("tril", lambda x: tg.tril(x, -1), lambda x: np.tril(x, -1), [W]),
    ("triu", lambda x: tg.triu(x, 1), lambda x: np.triu(x, 1), [X]),
    ("linear_without_bias", tg.linear, lambda x, w: x @ w.T, [W, W[0]]),
    ("flatten", lambda x: x.flatten(1), lambda x: x.reshape(2, 12), [W]),
    ("flatten_0d", lambda x: x.flatten(), lambda x: x.reshape(1), [POINT]),
    ("ravel", lambda x: x.ravel(), np.ravel, [X]),
    ("reshape", lambda x: x.reshape((4, -1)), lambda x: x.reshape(4, -1), [W]),
    ("transpose", lambda x: x.transpose(), np.transpose, [W]),
    ("transpose_axes", lambda x: x.transpose(1, 0, 2), lambda x: x.transpose(1, 0, 2), [W]),
    ("T", lambda x: x.T, lambda x: x.T, [X]),
    ("swapaxes", lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1), [W]),
    ("squeeze", lambda x: x[None, :, None].squeeze(), np.copy, [X]),
    ("squeeze_axis", lambda x: x[None, :, None].squeeze((0,)), lambda x: x[:, None], [X]),
    ("expand_dims", lambda x: tg.expand_dims(x, 1), lambda x: np.expand_dims(x, 1), [X]),
    ("unsqueeze", lambda x: x.unsqueeze(-1), lambda x: x[..., None], [X]),
    ("expand", lambda x: x[:, None].expand(4, -1, 5, -1),
     lambda x: np.broadcast_to(x[:, None], (4, 2, 5, 3)), [X]),
    ("cat", lambda *t: tg.cat(t, 1), lambda *t: np.concatenate(t, 1), [X, Y]),
    ("stack", lambda *t: tg.stack(t, -1), lambda *t: np.stack(t, -1), [X, Y]),
    ("split", lambda x: tg.split(x, 3, 1)[1], lambda x: np.split(x, 3, 1)[1], [X]),
    ("split_indices", lambda x: tg.stack([p.sum() for p in x.split([1, 3, -1, 9], 2)]),
     lambda x: np.stack([p.sum() for p in np.split(x, [1, 3, -1, 9], 2)]), [W]),
    ("chunk", lambda x: x.chunk(3, 2)[-1], lambda x: x[..., 2:], [W]),
    ("pad", lambda x: tg.pad(x, ((1, 0), (2, 3))), lambda x: np.pad(x, ((1, 0), (2, 3))), [X]),
    ("pad_value", lambda x: tg.pad(x, (0, 1), 7.0), lambda x: block(x, (0, 1)), [X]),
    ("flip", lambda x: x.flip(), np.flip, [X]),
    ("flip_axis", lambda x: x.flip((0, -1)), lambda x: np.flip(x, (0, -1)), [W]),
    ("roll", lambda x: x.roll(-2), lambda x: np.roll(x, -2), [X]),
    ("roll_axes", lambda x: x.roll((1, 5), (0, 2)), lambda x: np.roll(x, (1, 5), (0, 2)), [W]),
    ("repeat", lambda x: x.repeat(2), lambda x: np.repeat(x, 2), [X]),
    ("repeat_each", lambda x: x.repeat([2, 0, 1], 1), lambda x: np.repeat(x, [2, 0, 1], 1), [X]),
    ("tile", lambda x: x.tile((2, 1, 2)), lambda x: np.tile(x, (2, 1, 2)), [X]),
    ("tile_last", lambda x: x.tile(2), lambda x: np.tile(x, 2), [X]),
    ("take_flat", lambda x: x.take([5, 0, -1, 5]), lambda x: x.take([5, 0, -1, 5]), [X]),
    ("take_axis", lambda x: x.take(PICK, 2), lambda x: x.take(PICK, 2), [W]),
    ("gather", lambda x: x.gather(1, PICK), lambda x: np.take_along_axis(x, PICK, 1), [X]),
    ("gather_fewer", lambda x: x.gather(0, PICK[:1, :2] % 2), lambda x: x[[[0, 0]], [[0, 1]]], [X]),
    ("gelu", lambda x: x.gelu(approximate="tanh"), ELEMENTWISE["gelu_tanh"][0], [X]),
    ("clip_low", lambda x: x.clip(low=-0.5), lambda x: np.clip(x, -0.5, None), [X]),
    ("power_2", lambda x: x**2, lambda x: x**2, [X]),
    ("power_3", lambda x: x**3, lambda x: x**3, [X]),
    ("power_half", lambda x: x**-0.5, lambda x: x**-0.5, [P]),
    ("power_of_2", lambda x: 2**x, lambda x: 2**x, [X]),
    ("operators", lambda x: (1 - x) / (2 + x * x) - 3 / (4 + x) + 5 % x - 7 // x,
     lambda x: (1 - x) / (2 + x * x) - 3 / (4 + x) + 5 % x - 7 // x, [X]),
    ("einsum_matrix", lambda a, b: tg.einsum("ij,kj->ik", a, b),
     lambda a, b: np.einsum("ij,kj->ik", a, b), [X, Y]),
    ("einsum_implicit", lambda a, b: tg.einsum("ba,bc", a, b),
     lambda a, b: np.einsum("ba,bc", a, b), [X, Y]),
    ("einsum_batch", lambda a, b: tg.einsum("...ij,kj->...ki", a, b),
     lambda a, b: np.einsum("...ij,kj->...ki", a, b), [W, W[0, :2]]),
    ("einsum_dots_broadcast", lambda a, b: tg.einsum("...i,...i->...", a, b),
     lambda a, b: np.einsum("...i,...i->...", a, b), [W, W[:, :1]]),
    ("einsum_hadamard", lambda a, b: tg.einsum("ij,ij->ji", a, b),
     lambda a, b: np.einsum("ij,ij->ji", a, b), [X, Y]),
    ("einsum_outer", lambda a, b: tg.einsum("ij,kl->kilj", a, b),
     lambda a, b: np.einsum("ij,kl->kilj", a, b), [X, Y]),
    ("einsum_three", lambda a, b, c: tg.einsum("ij,jkl,kl->i", a, b, c),
     lambda a, b, c: np.einsum("ij,jkl,kl->i", a, b, c), [X[:, :2], W, W[0]]),
    ("einsum_trace", lambda a: tg.einsum("ii", a), np.trace, [X[:, :2]]),
    ("einsum_diagonals", lambda a, b: tg.einsum("iij,jj->ij", a, b),
     lambda a, b: np.einsum("iij,jj->ij", a, b), [W[:, :2], Y[:, :2].repeat(2, 0).repeat(2, 1)]),
    ("einsum_sum", lambda a: tg.einsum("abc->b", a), lambda a: a.sum((0, 2)), [W]),
    ("mse_loss", tg.mse_loss, lambda a, b: ((a - b) ** 2).mean(), [X, Y]),
    ("l1_loss", tg.l1_loss, lambda a, b: abs(a - b).mean(), [X, Y]),
    ("huber_loss", lambda a, b: tg.huber_loss(a, b, 1.5),
     lambda a, b: ELEMENTWISE["huber"][0](a - b, 1.5).mean(), [X, Y]),
    ("smooth_l1_loss", lambda a, b: tg.smooth_l1_loss(a, b, 1.5),
     lambda a, b: ELEMENTWISE["smooth_l1"][0](a - b, 1.5).mean(), [X, Y]),
    ("smooth_l1_loss_0", lambda a, b: tg.smooth_l1_loss(a, b, 0),
     lambda a, b: abs(a - b).mean(), [X, Y]),
    ("binary_cross_entropy", tg.binary_cross_entropy_with_logits,
     lambda x, t: -(t * np.log(sigmoid(x)) + (1 - t) * np.log(1 - sigmoid(x))).mean(), [X, P / 4]),
    ("cross_entropy", lambda x: tg.cross_entropy(x, CLASSES),
     lambda x: -np.log(softmax(x, 1))[range(4), CLASSES].mean(), [LOGITS]),
    ("cross_entropy_probabilities", tg.cross_entropy,
     lambda x, t: -(t * np.log(softmax(x, 1))).sum(1).mean(), [X, P]),
    ("cross_entropy_one", lambda x: tg.cross_entropy(x, 2),
     lambda x: -np.log(softmax(x, 0))[2], [X[0]]),
    ("cross_entropy_images", lambda x: tg.cross_entropy(x, PICK[:, :1].repeat(4, 1)),
     lambda x: -np.log(softmax(x, 1))[[[0], [1]], PICK[:, :1], range(4)].mean(), [W]),
    ("layer_norm", lambda x, w, b: tg.nn.functional.layer_norm(x, 3, w, b),
     lambda x, w, b: (x - x.mean(-1, keepdims=True))
     / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * w + b, [X, P[0], Y[0]]),
]  # fmt: skip


@pytest.mark.parametrize("function, reference, inputs", [c[1:] for c in COMPOSED],
                         ids=[c[0] for c in COMPOSED])  # fmt: skip
def test_composed(function, reference, inputs):
    assert check_op(function, inputs, reference=reference)


# -- x[...] ----------------------------------------------------------------------------------------

A, B = np.array([1, 0, 1]), np.array([[2], [-1]])
KEYS = [
    1, -1, slice(None), slice(None, None, -1), slice(5, 0, -2), None, ..., (), (0, 1), (..., 0),
    (None, 1, ..., None), (slice(1), -1), (0, slice(0)), A, (A, 2), (0, A), (A, A), (A, B),
    (slice(None), A, B), (A, slice(None), B), (0, slice(None), B), (slice(None), 0, B),
    (..., A), (A, ...), (slice(None), A, ..., B), (A, None, B), (None, A, B), [0, 1, 1], [],
    ([0], [2]), np.array(1), (np.int64(1), np.array(-1)), W > 0, (W > 0)[:, :, 0],
    (slice(None), W[0, :, 0] > 0), slice(-3, None, -2), (..., slice(4, 4, -1)), (..., W[0, 0] > 0),
    (W[:, 0, 0] > 0, ..., None, 0),
    (A, slice(None, None, -2), slice(1, 3)), np.zeros((2, 3, 4), bool), (W[:, 0, 0] < 0, 1),
    (np.array(0), ..., np.array([3, 0])), A.astype(np.uint8), (slice(2), B.astype(np.int32), 0),
]  # fmt: skip


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


# -- dtypes ----------------------------------------------------------------------------------------

VALUES = {
    "float32": np.array([1.5, -2.0, 0.0], np.float32),
    "float64": np.array([1.5, -2.0, 0.0]),
    "int64": np.array([2**62 + 1, -7, 0]),
    "int32": np.array([3, -7, 0], np.int32),
    "uint8": np.array([200, 7, 0], np.uint8),
    "bool": np.array([True, False, True]),
}
BINARY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
    "floor_divide": np.floor_divide, "remainder": np.remainder, "maximum": np.maximum,
    "minimum": np.minimum, "less": np.less, "not_equal": np.not_equal,
}  # fmt: skip
SMALLER = {"int8": np.int64}  # NumPy's result for two booleans in // and %, which we don't have


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


# -- corners ---------------------------------------------------------------------------------------


def gradient(function, *values):
    tensors = [tg.Tensor(np.array(v, np.float64), requires_grad=True) for v in values]
    return [g.tolist() for g in tg.grad(function(*tensors), tensors)]


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
    (lambda x: x.permute(1), "each of the 2 axes once"),
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
