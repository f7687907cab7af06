"""Ops that a user defines: derived, with rules of their own, refused; and general ones."""

import math

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.core import REGISTRY

X = np.array([[0.3, -1.2, 0.8], [1.7, -0.4, 0.6]])


@pytest.fixture(autouse=True)
def no_trace_in_the_registry():
    """Ops that a test defines are gone afterwards."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def test_two_lines_make_an_op():
    @tg.elementwise
    def swish(x, beta):
        return x / (1 + math.exp(-beta * x))

    beta = np.full_like(X, 1.5)
    assert tg.check_op(swish, [X, beta], reference=lambda x, b: x / (1 + np.exp(-b * x)))
    assert REGISTRY["swish"] is swish
    y = swish(tg.Tensor([1.0], requires_grad=True), 2.0)
    assert y.dtype == np.float32
    assert y.requires_grad


def test_defaults_and_names_of_arguments():
    @tg.elementwise
    def bump(x, width=2.0, height=1.0):
        return height * math.exp(-x * x / width)

    x = tg.Tensor(X)
    np.testing.assert_allclose(bump(x, height=3.0), 3 * np.exp(-X * X / 2))
    np.testing.assert_allclose(bump(x, 0.5), np.exp(-X * X / 0.5))
    with pytest.raises(
        TypeError, match=r"bump\(x, width=2.0, height=1.0\), not bump\(_, depth=_\)"
    ):
        bump(x, depth=1.0)


def test_an_op_may_call_other_ops_and_use_g_and_y_as_names():
    @tg.elementwise
    def ramp(x):
        return x if x > 0 else 0

    @tg.elementwise
    def mix(g, y):
        return ramp(g) * y + tg.sigmoid(y)

    assert tg.check_op(
        mix,
        [X, X.T.reshape(2, 3)],
        reference=lambda g, y: np.where(g > 0, g, 0) * y + 1 / (1 + np.exp(-y)),
    )


def test_a_better_rule_of_ones_own():
    @tg.elementwise(x="0.5 * g / y")
    def root(x):
        return math.sqrt(x)

    assert tg.check_op(root, [np.abs(X)], reference=np.sqrt)
    assert root.rule_scalar("x").text == "0.5 * g / y"


def define(rules, function):
    return tg.elementwise(**rules)(function)


def cube(x):
    return x * x * x


def scaled(x, a):
    return a * x


def far(x):
    return math.sqrt(x - 20)


@pytest.mark.parametrize("rules, function, words", [
    ({"x": "g * 3 * x"}, cube, r"'cube' for 'x' is wrong: at x = -2.37 it gives -7.11 .* 16.85"),
    ({"x": "g * g * 3 * x * x"}, cube, "for g = -0.5"),
    ({"x": "3 * x * x"}, cube, "for g = -0.5"),
    ({"a": "g * a"}, scaled, "'scaled' for 'a' is wrong: at x = "),
    ({"x": "g / sqrt(x - 20)"}, far, "is wrong: at x = 41.7"),
])  # fmt: skip
def test_a_wrong_rule_is_refused_with_the_point_and_both_numbers(rules, function, words):
    with pytest.raises(ValueError, match=words):
        define(rules, function)
    assert function.__name__ not in REGISTRY


def test_a_rule_that_cannot_be_checked_is_refused():
    def farther(x):
        return math.sqrt(x - 1000)

    with pytest.raises(ValueError, match="can't be checked"):
        define({"x": "g / (2 * y)"}, farther)
    assert tg.elementwise(farther)(tg.Tensor(1004.0)).item() == 2.0  # derived, it needs no check


def test_a_rule_for_what_is_no_argument_is_refused():
    with pytest.raises(tg.DeriveError, match="no argument 'z'"):
        define({"z": "g"}, cube)
    with pytest.raises(tg.DeriveError, match="nonsense"):
        define({"x": "g * nonsense"}, cube)


def test_a_refused_op_leaves_the_one_of_its_name_alone():
    def exp(x):
        return math.gamma(x)

    before = REGISTRY["exp"]
    with pytest.raises(tg.DeriveError, match="gamma"):
        tg.elementwise(exp)
    assert REGISTRY["exp"] is before


def test_a_loop_is_refused_with_its_line():
    with pytest.raises(tg.DeriveError, match="statement For") as error:

        @tg.elementwise
        def power_of(x):
            for _ in range(3):
                x = x * x
            return x

    assert "for _ in range(3)" in str(error.value)
    assert "test_elementwise_definition.py" in str(error.value)
    assert "tg.Op" in str(error.value)


def test_a_comparison_has_no_gradient():
    @tg.elementwise
    def inside(x, r):
        return x * x < r

    x = tg.Tensor(X, requires_grad=True)
    assert inside(x, 1.0).dtype == bool
    assert not inside(x, 1.0).requires_grad


# -- general ops -----------------------------------------------------------------------------------


def make_window(vjp=True):
    """Sums over windows of `width` neighbours: shape rule, kernel, VJP rule, FLOPs."""

    def kernel(out, x, *, width):
        for i in range(out.shape[0]):
            total = 0.0
            for k in range(width):
                total += x[i + k]
            out[i] = total

    def shape(x, *, width):
        if x.ndim != 1 or x.shape[0] < width:
            raise ValueError(f"window of {width} does not fit into shape {x.shape}")
        return (x.shape[0] - width + 1,)

    def back(g, width):
        return window(g.pad(width - 1), width=width)

    window = tg.Kernel("window", kernel=kernel, shape=shape, vjp={"x": back} if vjp else None,
                   flops=lambda out, x, width: out.size * width)  # fmt: skip
    return window


def test_a_general_op():
    window = make_window()
    row = X.reshape(-1)
    assert tg.check_op(window, [row], {"width": 3},
                       reference=lambda x, width: np.convolve(x, np.ones(width),
                       "valid"))  # fmt: skip
    with tg.count_flops() as counter:
        window(row, width=2)
    assert counter.by_op["window"] == 10
    with pytest.raises(ValueError, match=r"window of 9 does not fit into shape \(6,\)"):
        window(row, width=9)


def test_a_missing_rule_raises_when_the_call_is_recorded():
    window = make_window(vjp=False)
    with pytest.raises(
        NotImplementedError, match="'window' has no gradient rule for its input 'x'"
    ):
        window(tg.Tensor(X[0], requires_grad=True), width=2)
    assert not window(tg.Tensor(X[0]), width=2).requires_grad
    with tg.no_grad():
        window(tg.Tensor(X[0], requires_grad=True), width=2)


def test_a_rule_is_needed_only_for_inputs_that_want_a_gradient():
    op = tg.Kernel("half_known", forward=lambda a, b: a * b, vjp={"a": lambda g, b: g * b})
    a, b = tg.Tensor(X, requires_grad=True), tg.Tensor(X)
    op(a, b).backward(tg.ones_like(a))
    np.testing.assert_array_equal(a.grad, X)
    with pytest.raises(NotImplementedError, match="'b'"):
        op(b, a)


@pytest.mark.parametrize("given, words", [
    ({"forward": lambda x: x, "vjp": {"z": lambda g: g}}, "no input 'z'"),
    ({"forward": lambda x: x, "vjp": {"x": lambda g, w: g}}, "asks for 'w'"),
    ({"forward": lambda g: g}, "means something else"),
    ({"forward": lambda x: x, "kernel": lambda out, x: None}, "either"),
    ({"kernel": lambda out, x: None}, "either"),
])  # fmt: skip
def test_a_badly_declared_op_is_refused(given, words):
    with pytest.raises(TypeError, match=words):
        tg.Kernel("bad", **given)
    assert "bad" not in REGISTRY


def test_a_rule_that_gives_another_shape_is_an_error():
    op = tg.Kernel(
        "sloppy", forward=lambda x: x * 2, vjp={"x": lambda g: g.sum((0, 1))[None] * tg.ones(4)}
    )
    x = tg.Tensor(X, requires_grad=True)
    with pytest.raises(
        ValueError, match=r"rule of op 'sloppy' .* gave shape \(4,\) for an input of"
    ):
        op(x).backward(tg.ones_like(x))
