"""Rowwise ops: one loop for each row eagerly, elementwise ops and reductions when compiled."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.core import REGISTRY, Rowwise
from tinygrad_rl.kernels.loops import rowwise as loop
from tinygrad_rl.ops.define import check_row_rule

INF = np.inf
BUILT_IN = [op for op in REGISTRY.values() if type(op) is Rowwise and "vjp" not in op.name]


@pytest.fixture(scope="module")
def scaled():
    return tg.rowwise("rms_scaled(x, weight, eps=0.5)", "x * weight / sqrt(mean(x * x) + eps)")


def reference(x, weight, eps, axis):
    return x * weight / np.sqrt((x * x).mean(axis, keepdims=True) + eps)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (2, 1), None, [0, 1], (), np.array([0, 1])])
@pytest.mark.parametrize("shape", [(2, 3, 4), (4,), (1,), (3, 1), ()])
def test_inputs_broadcast_whatever_lies_along_a_row(scaled, rng, axis, shape):
    x, weight = rng.normal(size=(2, 3, 4)), rng.normal(size=shape)
    numpy_axis = tuple(axis) if isinstance(axis, list | np.ndarray) else axis
    for a in (x, np.asfortranarray(x), x[::-1, :, ::-1]):
        for b, c in ((a, weight), (weight, a)) if weight.ndim == 3 else ((a, weight),):
            tensors = [tg.Tensor(v, requires_grad=True) for v in (b, c)]
            out = scaled(*tensors, axis=axis)
            np.testing.assert_allclose(out, reference(b, c, 0.5, numpy_axis), rtol=1e-12)
    assert tg.gradgradcheck(lambda a, b: scaled(a, b, axis=axis), tensors)


@pytest.mark.parametrize("shape", [(1, 3, 1), (1,), (1, 1), (2, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_rows_of_one_element_have_the_shape_of_any_other(shape, keepdims, rng):
    x = tg.Tensor(rng.normal(size=shape), requires_grad=True)
    for axis in range(len(shape)):
        for function, numpy in ((tg.Tensor.var, np.var), (tg.Tensor.mean, np.mean)):
            out = function(x, axis=axis, keepdims=keepdims)
            want = numpy(x.numpy(), axis=axis, keepdims=keepdims)
            assert out.shape == want.shape
            np.testing.assert_allclose(out, want, atol=1e-15)
            x.grad = None
            out.sum().backward()
            assert x.grad.shape == shape


@pytest.mark.parametrize("shape, axis", [((3, 3), 0), ((3, 3), 1), ((2, 2, 4), (0, 2)),
                                         ((2, 2, 4), (0, 1)), ((4, 2, 2), (0,))])  # fmt: skip
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "var", "mean", "max"])
def test_no_axis_is_taken_for_another_of_the_same_size(name, shape, axis, rng):
    function = getattr(tg.Tensor, name)
    x = tg.Tensor(rng.normal(size=shape), requires_grad=True)
    assert tg.gradcheck(lambda x: function(x, axis=axis), (x,))
    over = (axis,) if isinstance(axis, int) else axis
    order = tuple(a for a in range(x.ndim) if a not in over) + over
    moved = tg.Tensor(x.numpy().transpose(order))
    last = tuple(range(x.ndim - len(over), x.ndim))
    out, want = function(x, axis=axis).numpy(), function(moved, axis=last).numpy()
    if want.ndim == x.ndim:
        want = want.transpose(np.argsort(order))
    np.testing.assert_allclose(out, want, atol=1e-14)


def test_numbers_arrays_and_dtypes_are_promoted_as_by_numpy(scaled, rng):
    single = rng.normal(size=(2, 3)).astype(np.float32)
    assert scaled(tg.Tensor(single), 2).dtype == np.float32
    assert scaled(tg.Tensor(single), single.astype(np.float64)).dtype == np.float64
    assert scaled(np.arange(6).reshape(2, 3), 1).dtype == np.float64
    large = np.array([[1 << 40, 3, 5]])  # whose square is no int64
    for given in ((single, single * 2.0), (large, single), (single > 0, 3), (large, large)):
        eager, compiled = scaled(*given, axis=1), tg.jit(lambda a, b: scaled(a, b, axis=1))(*given)
        assert eager.dtype == compiled.dtype
        np.testing.assert_allclose(eager, compiled, rtol=1e-6)
    mixed = tg.Tensor(single, requires_grad=True), tg.Tensor(single * 2.0, requires_grad=True)
    scaled(*mixed, axis=1).sum().backward()
    assert [t.grad.dtype for t in mixed] == [t.dtype for t in mixed]


def test_what_does_not_fit_names_the_op_and_the_input(scaled):
    x = tg.ones(2, 3)
    with pytest.raises(ValueError, match="rms_scaled: shape mismatch"):
        scaled(x, tg.ones(2))
    with pytest.raises(ValueError, match="rms_scaled: 'eps' must be one number, not of shape"):
        scaled(x, x, tg.ones(3))
    with pytest.raises(ValueError, match="rms_scaled: axis 2 is out of range"):
        scaled(x, x, axis=2)
    with pytest.raises(
        TypeError, match="the inputs of rms_scaled are x, weight, eps: 1 were given"
    ):
        scaled(x)


def test_a_saved_input_that_was_changed_in_place_is_an_error(scaled):
    x, weight = tg.ones(2, 3), tg.ones(3).requires_grad_()
    out = scaled(x, weight)
    x.add_(1)
    with pytest.raises(RuntimeError, match="changed in place: 'rms_scaled'"):
        out.sum().backward()


def test_a_frozen_input_costs_no_rule(scaled):
    x, weight = tg.ones(2, 3).requires_grad_(), tg.ones(3).requires_grad_()
    with tg.frozen(weight):
        out = scaled(x, weight)
    assert [p.positions for p in [out.node.plan]] == [(0,)]
    out.sum().backward()
    assert weight.grad is None


@pytest.mark.parametrize("op", BUILT_IN, ids=lambda op: op.name)
def test_rules_of_the_built_in_ops_are_what_is_derived(op):
    for arg in op.args:
        if arg not in op.rows.numbers:
            check_row_rule(op, arg)


def test_a_wrong_rule_is_refused_and_leaves_no_op():
    with pytest.raises(ValueError, match="the gradient rule of 'half' for 'x' is wrong"):
        tg.rowwise("half(x)", "sum(x * x) / 2", x="g * x + 1e-3")
    with pytest.raises(tg.DeriveError, match="'half' has no input 'eps'"):
        tg.rowwise("half(x, eps=1)", "sum(x * x) / 2 + eps", eps="g")
    assert "half" not in REGISTRY


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("compiled", [False, True])
def test_rows_of_infinities_and_nothing(dtype, compiled):
    """As PyTorch 2.13, but that a softmax of nothing but -inf is NaN there and here."""
    x = np.array([[-INF, -INF], [INF, 1], [-INF, 2], [np.nan, 1]], dtype)

    def run(function, **more):
        return (tg.jit(function) if compiled else function)(x, **more).numpy()

    want = np.array([-INF, INF, 2, np.nan], dtype)
    np.testing.assert_array_equal(run(lambda x: tg.logsumexp(x, 1)), want)
    with np.errstate(invalid="ignore"):
        soft = run(lambda x: tg.softmax(x, 1))
    assert np.isnan(soft[[0, 1, 3]]).any(1).all()
    np.testing.assert_array_equal(soft[2], [0, 1])
    np.testing.assert_array_equal(run(lambda x: tg.log_softmax(x, 1))[2], [-INF, 0])
    empty = np.zeros((3, 0), dtype)
    assert (tg.logsumexp(empty, 1).numpy() == -INF).all()
    assert tg.softmax(empty, 1).shape == (3, 0)
    assert np.isnan(tg.Tensor(empty).mean(1).numpy()).all()


def test_a_sum_of_many_numbers_is_as_exact_as_pairwise(rng):
    x = rng.uniform(0, 1, (1, 3_000_001)).astype(np.float32)
    square = loop(
        "squares", (("sum_0", "sum", "x * x"),), "sum_0 / n", ("x",), "float32", "v", False
    )
    out = np.empty(1, np.float32)
    square(out, x.shape[1], x)
    exact = (x.astype(np.float64) ** 2).mean()
    assert abs(out[0] - exact) < 2e-7 * exact


def test_arguments_may_be_called_as_what_the_loop_calls_its_own(rng):
    out = tg.rowwise("clash(out, plus, sum_0)", "sum(out * plus) + sum_0 - max(sum_0)")
    a, b, c = (tg.Tensor(rng.normal(size=(2, 3)), requires_grad=True) for _ in range(3))
    total = (a.numpy() * b.numpy()).sum(1, keepdims=True)
    want = total + c.numpy() - c.numpy().max(1, keepdims=True)
    np.testing.assert_allclose(out(a, b, c), want, rtol=1e-12)
    assert tg.gradcheck(out, (a, b, c))
