"""A line for each op of the registry: inputs, and the same by NumPy; see `test_ops.py`."""

import numpy as np
import scipy.special as sp

from tinygrad_rl.ops import index, inplace, join, losses, products, reduce, shape

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
    "root": (np.sqrt, P),
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


def block_in_zeros(x, bounds, shape):
    out = np.zeros(shape)
    out[np.ix_(*[first + step * np.arange(n) for first, n, step in bounds])] = x
    return out


def rows_added(x, rows, size):
    out = np.zeros((size, *x.shape[rows.ndim :]))
    for place, row in zip(rows, x, strict=True):
        out[place] += row
    return out


def setitem(x, value, where):
    out = x.copy()
    np.put(out, where, value)
    return out


def logsumexp(x, axis, keepdims=False):
    return sp.logsumexp(x, axis, keepdims=keepdims)


def layer_norm(x, weight, bias, eps, axis):
    centered = x - x.mean(axis, keepdims=True)
    return centered / np.sqrt((centered**2).mean(axis, keepdims=True) + eps) * weight + bias


def huber(e, d):
    return np.where(abs(e) <= d, e * e / 2, d * (abs(e) - d / 2))


def smooth_l1(e, b):
    return np.where(abs(e) < b, 0.5 * e * e / b, abs(e) - b / 2)


def cross_entropy(x, t):
    return np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))


def mean_of(costs):
    """The loss that is the mean over all elements of what each pair costs."""
    return lambda a, b, *numbers, axis: costs(a, b, *numbers).mean(axis)


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
    (reduce.mean_op, np.mean, [W], {"axis": (0, 2), "keepdims": True}),
    (reduce.mean_op, np.mean, [X], ALL),
    (reduce.var_op, lambda x, n, **at: np.var(x, ddof=1, **at), [X, np.array(1.0)], {"axis": 0}),
    (reduce.var_op, lambda x, n, **at: np.var(x, **at), [W, np.array(0.0)],
     {"axis": (0, 2), "keepdims": True}),
    (reduce.logsumexp_op, logsumexp, [X], {"axis": 1}),
    (reduce.logsumexp_op, logsumexp, [W], {"axis": (0, 2), "keepdims": True}),
    (reduce.softmax_op, sp.softmax, [X], {"axis": -1}),
    (reduce.softmax_op, sp.softmax, [W], {"axis": (0, 1)}),
    (reduce.softmax_op, sp.softmax, [np.zeros((0, 3))], {"axis": 1}),
    (reduce.log_softmax_op, sp.log_softmax, [X], {"axis": 0}),
    (reduce.log_softmax_op, sp.log_softmax, [W], {"axis": None}),
    (reduce.layer_norm_op, layer_norm, [X, P[0], Y[0], np.array(0.1)], {"axis": 1}),
    (reduce.layer_norm_op, layer_norm, [W, W[0] + 2, W[0], np.array(0.1)], {"axis": (1, 2)}),
    (reduce.layer_norm_op, layer_norm, [W, P[:, :1, None], POINT, np.array(0.1)], {"axis": 1}),
    (losses.mse_loss, mean_of(lambda a, b: (a - b) ** 2), [X, Y], {"axis": None}),
    (losses.mse_loss, mean_of(lambda a, b: (a - b) ** 2), [X, Y[:, :1]], {"axis": 1}),
    (losses.l1_loss, mean_of(lambda a, b: abs(a - b)), [X, Y], {"axis": None}),
    (losses.huber_loss, mean_of(lambda a, b, d: huber(a - b, d)), [X, Y, POINT], {"axis": None}),
    (losses.smooth_l1_loss, mean_of(lambda a, b, d: smooth_l1(a - b, d)), [X, Y, POINT],
     {"axis": None}),
    (losses.binary_cross_entropy, mean_of(cross_entropy), [X, P / 4], {"axis": None}),
    (reduce.cumsum_op, np.cumsum, [W], {"axis": 1}),
    (reduce.cumsum_op, np.cumsum, [EMPTY], {"axis": 0}),
    (reduce.argmax_op, np.argmax, [W], {"axis": 2}),
    (reduce.argmin_op, np.argmin, [W], {"axis": 0}),
    (products.matmul_, np.matmul, [X, Y.T], {}),
    (products.matmul_, np.matmul, [W, W[0].T], {}),
    (products.matmul_, np.matmul, [W[0], W.swapaxes(1, 2)], {}),
    (products.matmul_, np.matmul, [EMPTY, Y.T], {}),
    (products.matmul_, np.matmul, [np.zeros((2, 0)), np.zeros((0, 3))], {}),
    (products.matmul_tn, lambda a, b: np.matmul(a.T, b), [X, Y], {}),
    (products.linear_, lambda x, w, b: x @ w.T + b, [X, Y, P[:, 0]], {}),
    (products.linear_, lambda x, w, b: x @ w.T + b, [X[0], Y, P[:, 0]], {}),
    (products.linear_, lambda x, w, b: x @ w.T + b, [W, W[0], P[0]], {}),
    (products.linear_, lambda x, w, b: x @ w.T + b, [EMPTY, Y, P[:, 0]], {}),
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
    (index.slice_, lambda x, bounds: x[1, ::-1], [W], {"bounds": (1, (2, 3, -1), (0, 4, 1))}),
    (index.slice_scatter, lambda x, bounds, shape: np.stack([0 * x, x]), [X[0]],
     {"bounds": (1, (0, 3, 1)), "shape": (2, 3)}),
    (index.slice_scatter, block_in_zeros, [X[:1, :2]], {"bounds": BLOCK, "shape": (2, 3)}),
    (index.slice_scatter, lambda x, bounds, shape: np.zeros(shape), [EMPTY],
     {"bounds": ((0, 0, 1), (0, 3, 1)), "shape": (2, 3)}),
    (index.take_, lambda x, rows: x[rows], [P.T, ROWS], {}),
    (index.take_, lambda x, rows: x[rows], [W, np.array([[0, 1], [1, 1]])], {}),
    (index.take_, lambda x, rows: x[rows], [X, np.zeros((0, 2), int)], {}),
    (index.take_, lambda x, rows: x[rows], [X, np.array(-1)], {}),
    (index.scatter_add, rows_added, [W.reshape(4, 6), ROWS], {"size": 3}),
    (join.concatenate_, lambda *t, axis: np.concatenate(t, axis), [X, Y, EMPTY], {"axis": 0}),
    (join.concatenate_, lambda *t, axis: np.concatenate(t, axis), [X, Y[:, :1]], {"axis": 1}),
    (join.stack_, lambda *t, axis: np.stack(t, axis), [X, Y, P], {"axis": 1}),
    (join.stack_, lambda *t, axis: np.stack(t, axis), [POINT, POINT + 1], {"axis": 0}),
    (inplace.put, setitem, [X, P[0, :2], np.array([4, 1])], {}),
    (inplace.put, setitem, [X, P, np.array([[4, 1, 4], [1, 1, 0]])], {}),
    (inplace.put, setitem, [POINT, P[0, 0], np.array(0)], {}),
]  # fmt: skip
