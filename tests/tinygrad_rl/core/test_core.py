"""Tensors: what goes in, what comes out, what NumPy and Python see of them; and ops as declared."""

import copy
import math
import operator

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import core

ARITHMETIC = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.floordiv,
    operator.mod,
]
COMPARISONS = [
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
    operator.eq,
    operator.ne,
]


# -- what goes in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.5, "float32", ()),
        (3, "int64", ()),
        (True, "bool", ()),
        ([1, 2.5], "float32", (2,)),
        ([[1, 2], [3, 4]], "int64", (2, 2)),
        ([], "float32", (0,)),
        (np.ones(2), "float64", (2,)),
        (np.float32(1), "float32", ()),
        (np.zeros((2, 0), np.uint8), "uint8", (2, 0)),
        ([np.ones(2), np.ones(2)], "float64", (2, 2)),
        ([tg.Tensor(1.0), 2.0], "float32", (2,)),
    ],
)
def test_data_becomes(data: object, dtype: str, shape: tuple[int, ...]) -> None:
    t = tg.Tensor(data)
    assert (t.dtype, t.shape, t.ndim, t.size) == (dtype, shape, len(shape), math.prod(shape))


@pytest.mark.parametrize(
    "data",
    [np.zeros(2, np.float16), np.zeros(2, ">f4"), np.zeros(2, complex), "text", None, [2**70]],
)
def test_data_of_other_dtypes_is_refused(data: object) -> None:
    with pytest.raises(TypeError, match="not supported; use one of bool, float32"):
        tg.Tensor(data)


def test_tensor_copies_and_from_numpy_shares() -> None:
    array = np.ones(3)
    copied, shared = tg.Tensor(array), tg.from_numpy(array)
    array[0] = 5
    assert copied.tolist() == [1, 1, 1] and shared.tolist() == [5, 1, 1]
    shared.zero_()
    assert array.tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="NumPy array, not list"):
        tg.from_numpy([1.0])


# -- what comes out --------------------------------------------------------------------------------


def test_numpy_is_a_read_only_view_even_where_the_array_is_shared() -> None:
    array = np.ones(3)
    for t in (tg.Tensor(array, requires_grad=True), tg.from_numpy(array)):
        for view in (t.numpy(), np.asarray(t)):
            assert np.shares_memory(view, t.numpy())
            with pytest.raises(ValueError, match="read-only"):
                view[0] = 1
    array[0] = 2  # the user's own array stays writable


def test_np_array_copies_and_casts() -> None:
    t = tg.Tensor([1.0, 2.0])
    copied = np.array(t)
    copied[0] = 9
    assert t.tolist() == [1, 2]
    assert np.asarray(t, np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(t, np.float64, copy=False)


def test_numbers_come_out_of_tensors_of_one_element() -> None:
    t = tg.Tensor([[2.5]])
    assert t.item() == 2.5 and float(t) == 2.5 and int(t) == 2 and bool(t)
    assert f"{t:.2f}" == "2.50" and f"{tg.Tensor(3):03d}" == "003"
    assert [10, 20, 30][tg.Tensor(1)] == 20
    for read in (lambda t: t.item(), float, int, bool, lambda t: f"{t:.2f}"):
        with pytest.raises(ValueError, match=r"shape \(2,\)"):
            read(tg.Tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="0-d integer"):
        [1, 2][tg.Tensor(1.0)]


def test_len_and_iteration_go_over_the_first_axis() -> None:
    x = tg.Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    assert len(x) == 3
    rows = list(x)
    assert [r.tolist() for r in rows] == [[0, 1], [2, 3], [4, 5]]
    (rows[1] * 3).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[0, 0], [3, 3], [0, 0]]
    for fails in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            fails(tg.Tensor(1.0))


def test_repr_shows_numbers_shape_dtype_flag_and_op() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    for part in ("[1., 2.]", "shape=(2,)", "dtype=float32", "requires_grad=True"):
        assert part in repr(x)
    assert "op=exp" in repr(x.exp()) and "requires_grad" not in repr(x.detach())
    assert str(x) == f"{x}" == repr(x)
    assert len(repr(tg.Tensor(np.zeros(10**6)))) < 200


def test_hash_is_by_identity_and_equality_by_element() -> None:
    a, b = tg.Tensor([1.0, 2.0]), tg.Tensor([1.0, 3.0])
    assert {a: 1, b: 2}[a] == 1
    assert (a == b).tolist() == [True, False] and (a == b).dtype == bool


@pytest.mark.parametrize("op", ARITHMETIC)
@pytest.mark.parametrize("other", [np.array([2.0, 3.0]), np.float64(2), 2.0, 2, True])
def test_numpy_and_numbers_on_either_side_give_a_tensor(op, other) -> None:
    t = tg.Tensor(np.array([5.0, 7.0]), requires_grad=True)
    plain = t.numpy()
    if isinstance(other, bool):
        other_np: object = float(other)
    else:
        other_np = other
    for result, expected in [
        (op(t, other), op(plain, other_np)),
        (op(other, t), op(other_np, plain)),
    ]:
        assert isinstance(result, tg.Tensor)
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("op", COMPARISONS)
def test_comparisons_with_numpy_on_either_side(op) -> None:
    t, other = tg.Tensor(np.array([1.0, 2.0, 3.0])), np.array([2.0, 2.0, 2.0])
    for result, expected in [
        (op(t, other), op(t.numpy(), other)),
        (op(other, t), op(other, t.numpy())),
        (op(t, 2), op(t.numpy(), 2)),
        (op(2, t), op(2, t.numpy())),
    ]:
        assert isinstance(result, tg.Tensor) and result.dtype == bool
        assert np.array_equal(result.numpy(), expected)


def test_matmul_with_numpy_on_either_side() -> None:
    a, t = np.arange(4.0).reshape(2, 2), tg.Tensor(np.eye(2) * 2, requires_grad=True)
    for result in (a @ t, t @ a):
        assert isinstance(result, tg.Tensor) and result.requires_grad
        assert np.array_equal(result.numpy(), 2 * a)


# -- copies ----------------------------------------------------------------------------------------


def test_deepcopy_of_a_leaf_has_memory_flag_and_gradient_of_its_own() -> None:
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    alias, same = copy.deepcopy([x, x])
    assert alias is same and alias is not x
    assert alias.requires_grad and alias.is_leaf and alias.tolist() == [1, 2]
    assert alias.grad is not None and alias.grad.tolist() == [3, 3]
    with tg.no_grad():
        alias.zero_()
        alias.grad.zero_()
    assert x.tolist() == [1, 2] and x.grad is not None and x.grad.tolist() == [3, 3]


def test_deepcopy_of_a_result_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"only leaves can be deep-copied.*'mul'"):
        copy.deepcopy(tg.Tensor([1.0], requires_grad=True) * 2)


def test_pickle_and_shallow_copy_are_refused_with_advice() -> None:
    for fails in (lambda t: t.__reduce_ex__(4), copy.copy):
        with pytest.raises(TypeError, match=r"tinygrad_rl\.save"):
            fails(tg.Tensor([1.0]))


# -- ops -------------------------------------------------------------------------------------------


def test_an_op_of_kernel_and_shape_rule() -> None:
    def scaled_rows(out, x, *, factor):
        for i in range(x.shape[0]):
            out[i] = factor * x[i].sum()

    op = tg.Kernel(
        "scaled_rows",
        kernel=scaled_rows,
        shape=lambda x, factor: x.shape[:1],
        vjp={"x": lambda g, x_shape, factor: (g * factor).unsqueeze(1).broadcast_to(x_shape)},
        flops=lambda out, x, factor: x.size,
    )
    x = tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    assert op(x, factor=2.0).tolist() == [6.0, 24.0]
    assert tg.gradcheck(lambda x: op(x, factor=2.0), [x])
    assert tg.gradgradcheck(lambda x: op(x, factor=2.0), [x])


def test_an_op_that_returns_a_view_shares_the_version_counter() -> None:
    op = tg.Kernel("last_row", forward=lambda x: x[-1], vjp={"x": lambda g, y: g * 1})
    same = tg.Kernel("same", forward=lambda x: x, vjp={"x": lambda g, y: g})
    x = tg.Tensor(np.ones((2, 2)))
    for view in (op(x), same(x)):
        assert np.shares_memory(view.numpy(), x.numpy()) and view._array is not x._array
        loss = (view * tg.Tensor(np.ones(2), requires_grad=True)).sum()
        x.zero_()
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()


def test_an_op_that_saves_its_output_view_sees_writes_to_the_base() -> None:
    same = tg.Kernel("same_saved", forward=lambda x: x, vjp={"x": lambda g, y: g * y})
    base = tg.Tensor([1.0], requires_grad=True) * 2
    loss = same(base).sum()
    with tg.no_grad():
        base.zero_()
    with pytest.raises(RuntimeError, match="its output"):
        loss.backward()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"forward": lambda x: x, "vjp": {"z": lambda g: g}}, "no input 'z'"),
        ({"forward": lambda x: x, "vjp": {"x": lambda g, q: g}}, "asks for 'q'"),
        ({"forward": lambda g: g}, "'g' means something else"),
        ({}, "either kernel= and shape=, or forward="),
        ({"kernel": lambda out, x: None}, "either kernel= and shape=, or forward="),
    ],
)
def test_a_wrong_declaration_is_refused(arguments, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        tg.Kernel("wrong", **arguments)


def test_an_op_that_returns_another_dtype_or_shape_of_gradient_is_refused() -> None:
    halves = tg.Kernel("halves", forward=lambda x: x.astype(np.float16))
    with pytest.raises(TypeError, match="'halves' gave float16"):
        halves(tg.Tensor([1.0]))
    wrong = tg.Kernel("wrong_shape", forward=lambda x: x.copy(), vjp={"x": lambda g: g.sum()})
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(ValueError, match=r"rule of op 'wrong_shape'.*shape \(\)"):
        wrong(x).sum().backward()
    assert x.grad is None


def test_caller_is_the_users_line() -> None:
    where = core.caller()
    assert core.place(where)[0] == __file__
    assert core.at(None) == "?:0"
