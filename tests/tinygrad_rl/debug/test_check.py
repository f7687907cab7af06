"""The checkers must fail on what is wrong: each kind of mistake is planted and must be caught."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.core import REGISTRY, Kernel

X = np.array([[0.3, -1.2, 0.8], [1.7, -0.4, 0.6]])


@pytest.fixture(autouse=True)
def no_trace_in_the_registry():
    """Ops that a test defines are gone afterwards."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def twice(**more):
    """`2 x` as a general op; each test breaks one part of it."""
    given = {
        "forward": lambda x: x * x.dtype.type(2),
        "vjp": {"x": lambda g: g * 2},
        **more,
    }
    return Kernel("twice", **given)


def test_a_right_op_passes():
    assert tg.check_op(twice(), [X], reference=lambda x: 2 * x)
    assert tg.check_op(lambda x: tg.tanh(x) * x, [X], reference=lambda x: np.tanh(x) * x)


@pytest.mark.parametrize(
    "words, broken",
    [
        (r"gradient of input 0 is wrong at entry .* numeric 2",
         {"vjp": {"x": lambda g: g * 2.01}}),
        ("dtype: float32 inputs gave float64", {"forward": lambda x: x * np.float64(2)}),
        ("value: .*-1.4.* instead of .*-2.4",
        {"forward": lambda x: x * x.dtype.type(2) + (x < -1)}),
        ("value: shape", {"forward": lambda x: (x * x.dtype.type(2)).reshape(-1)}),
        ("non-contiguous",
         {"forward": lambda x: x * x.dtype.type(2 if x.flags.c_contiguous else 3)}),
        ("float32 value", {"forward": lambda x: x * x.dtype.type(2 if x.itemsize == 8 else 2.1)}),
        ("does not require a gradient",
         {"forward": lambda x: x * x.dtype.type(2), "vjp": None, "differentiable": False}),
    ],
)  # fmt: skip
def test_a_broken_op_is_caught(words, broken):
    op = twice(**broken)
    function = op if op.differentiable else lambda x: op(x)
    with pytest.raises(AssertionError, match=words):
        tg.check_op(function, [X], reference=lambda x: 2 * x)


def test_the_message_names_the_op_and_its_inputs():
    with pytest.raises(AssertionError, match=r"twice\(float64\[2, 3\]\) fails the check of its"):
        tg.check_op(twice(vjp={"x": lambda g: g}), [X])


def test_a_wrong_second_order_is_caught():
    """The rule's value is right, but it hides from the second derivative behind a constant."""
    op = Kernel(
        "cube",
        forward=lambda x: x**3,
        vjp={"x": lambda g, x: g * (3 * x * x).detach()},
    )
    with pytest.raises(AssertionError, match="second order"):
        tg.check_op(op, [X])


def test_a_rule_that_runs_for_a_frozen_input_is_caught():
    class Greedy(Kernel):
        """Plans for all inputs, whatever their flags."""

        def plan(self, needs):
            return super().plan((True,) * len(needs))

    op = Greedy(
        "product",
        forward=lambda a, b: a * b,
        vjp={"a": lambda g, b: g * b, "b": lambda g, a: g * a},
    )
    with (
        pytest.warns(UserWarning, match="thrown away"),
        pytest.raises(
            AssertionError, match=r"frozen input 1 \(required: \[0\]\): its rule ran 1 time"
        ),
    ):
        tg.check_op(op, [X, X + 1])


def test_frozen_inputs_must_not_change_the_others_gradient():
    def leaky(a, b):
        return a * b if b.requires_grad else a * b * 2 - (a * b).detach()

    with pytest.raises(AssertionError, match=r"frozen input 0 \(required: \[0\]\)"):
        tg.check_op(leaky, [X, X + 1])


def test_gradcheck_names_the_worst_entry():
    def wrong(x):
        return x * x + (x - x.detach()) * np.array([0.0, 0.5, 0.1])

    x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True, dtype=np.float64)
    with pytest.raises(
        AssertionError, match=r"entry \(1,\): analytic .* \(wrong: 2 of 3 entries\)"
    ):
        tg.gradcheck(wrong, [x])


def test_gradcheck_of_what_is_right():
    x = tg.Tensor(X, requires_grad=True)
    w = tg.Tensor(X.T)  # a constant: not checked
    assert tg.gradcheck(lambda x, w: (x @ w).tanh().sum(), (x, w))
    assert tg.gradgradcheck(lambda x, w: (x @ w).tanh().sum(), (x, w))
    assert tg.gradcheck(lambda x: x.detach() * 0, [x]) is True  # no dependence, no gradient


def test_gradcheck_needs_float64_and_something_to_check():
    with pytest.raises(TypeError, match="float64"):
        tg.gradcheck(tg.tanh, [tg.Tensor([1.0], requires_grad=True)])
    with pytest.raises(ValueError, match="no input requires"):
        tg.gradcheck(tg.tanh, [tg.Tensor(X)])


def test_a_broken_rule_is_caught_when_an_elementwise_op_is_defined():
    with pytest.raises(ValueError, match="wrong"):

        @tg.elementwise(x="g * (1 - y)")
        def tanh_again(x):
            return np.tanh(x)

    assert "tanh_again" not in REGISTRY


def test_broadcasting_of_an_elementwise_op_is_checked():
    op = REGISTRY["mul"]
    assert tg.check_op(op, [X, X + 1], reference=np.multiply)
    with pytest.raises(AssertionError, match="NaN and infinity"):
        tg.check_op(op, [X, X + 1], reference=lambda a, b: np.nan_to_num(a * b))
