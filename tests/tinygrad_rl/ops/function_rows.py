"""A line for each function composed of ops: inputs, and the same by NumPy."""

import numpy as np
import scipy.special as sp

import tinygrad_rl as tg
from tests.tinygrad_rl.ops.op_rows import (
    ELEMENTWISE,
    EMPTY,
    INF,
    POINT,
    P,
    W,
    X,
    Y,
    huber,
    sigmoid,
    smooth_l1,
)

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
     lambda a, b: huber(a - b, 1.5).mean(), [X, Y]),
    ("smooth_l1_loss", lambda a, b: tg.smooth_l1_loss(a, b, 1.5),
     lambda a, b: smooth_l1(a - b, 1.5).mean(), [X, Y]),
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


# -- corners ---------------------------------------------------------------------------------------


def gradient(function, *values):
    tensors = [tg.Tensor(np.array(v, np.float64), requires_grad=True) for v in values]
    return [g.tolist() for g in tg.grad(function(*tensors), tensors)]
