"""Calculus on source: derivatives of every function and construct against central differences."""

import math

import numpy as np
import pytest

from tinygrad_rl.derive import DERIVATIVES, DeriveError, parse, parse_text

POINTS = {"arcsin": 0.3, "arccos": 0.3, "log1p": 0.7}
RATE = 0.25


def slope(f, point, i, h=1e-6):
    high, low = list(point), list(point)
    high[i] += h
    low[i] -= h
    return (f(*high) - f(*low)) / (2 * h)


@pytest.mark.parametrize("name", DERIVATIVES)
def test_the_table_of_derivatives(name):
    args = "uv"[: len(DERIVATIVES[name])]
    f = parse_text(f"{name}({', '.join(args)})", tuple(args))
    for point in ([0.37, 1.6], [0.83, 0.4]):
        point = point[: len(args)]
        for i, arg in enumerate(args):
            assert f.derivative(arg)(*point) == pytest.approx(
                slope(f, point, i), rel=1e-6, abs=1e-9
            )


@pytest.mark.parametrize("text", [
    "x + a * x - a", "x / a", "x * x * x", "x ** 3", "x ** -1.5", "x ** a", "a ** x", "-x + +a",
    "x % a", "x // a", "x if x > a else a * x", "exp(x if x > 0.5 else a) * x",
    "1 / (1 + exp(-a * x))",
    "maximum(x, a) * minimum(x, 2 * a)", "x * (x > a)", "x * (x > a and not a > 3)",
    "sin(cos(tan(x)))", "log(1 + x * x)", "abs(x - a) ** 0.5", "5",
])  # fmt: skip
@pytest.mark.parametrize("point", [(0.7, 1.3), (2.2, 0.6)])
def test_derivatives_of_expressions_twice_over(text, point):
    f = parse_text(text, ("x", "a"))
    for i, arg in enumerate(("x", "a")):
        first = f.derivative(arg)
        assert first(*point) == pytest.approx(slope(f, point, i), rel=1e-6, abs=1e-8)
        for k, other in enumerate(("x", "a")):
            assert first.derivative(other)(*point) == pytest.approx(
                slope(first, point, k), rel=1e-5, abs=1e-7
            )


def test_a_function_reads_as_one_expression():
    def scaled(x, a):
        """Documented."""
        half = x / 2
        s = half * a
        return s * s + RATE

    f = parse(scaled)
    assert f.args == ("x", "a")
    assert f.text == "x / 2 * a * (x / 2 * a) + 0.25"
    assert f.derivative("x").names == {"x", "a"}


def test_every_spelling_of_a_function_is_known():
    def mixed(x):
        return (
            math.exp(x) + np.tanh(x) + abs(x) + max(x, 0.5) + math.fabs(x) + math.pi + np.arctan(x)
        )

    f = parse(mixed)
    assert f(0.3) == pytest.approx(mixed(0.3))
    assert "arctan(x)" in f.text


def test_numbers_take_the_kernels_type():
    f = parse_text("0.5 * x + 1", ("x",))
    assert f.render("float32") == "float32(0.5) * x + float32(1)"
    assert parse_text("x ** 2 + x ** 0.3", ("x",)).render("float64").startswith("x * x + pow(x,")
    assert parse_text("maximum(x, 2)", ("x",)).render("int64") == "x if x > 2 else 2"


def test_what_a_function_makes_of_its_arguments_is_known():
    assert parse_text("a if c else b", ("c", "a", "b")).conditions == {"c"}
    assert parse_text("a if c else c", ("c", "a")).conditions == set()
    assert parse_text("a > b", ("a", "b")).is_boolean
    assert not parse_text("a * (a > b)", ("a", "b")).is_boolean
    assert parse_text("a / b", ("a", "b")).is_floating
    assert not parse_text("abs(a) * 2", ("a",)).is_floating
    assert parse_text("a + b * a", ("a", "b")).is_logical
    assert not parse_text("a - b", ("a", "b")).is_logical


def test_arguments_called_g_and_y_get_other_names():
    f = parse_text("g * y + x", ("g", "y", "x")).renamed()
    assert f.args == ("g_", "y_", "x")
    assert f(2, 3, 4) == 10


def test_outside_its_domain_a_function_is_nan():
    assert math.isnan(parse_text("log(x)", ("x",))(-1.0))
    assert math.isnan(parse_text("erf(x) + sqrt(x)", ("x",))(-1.0))


def loop(x):
    for _ in range(3):
        x = x * x
    return x


def branch(x):
    if x > 0:
        return x
    return -x


def augmented(x):
    x += 1
    return x


def unknown(x):
    return math.gamma(x)


def undefined(x):
    return x + nowhere  # noqa: F821


def texts(x):
    return x + "one"


def subscripted(x):
    return x[0]


def starred(*x):
    return x


def keyword(x):
    return math.exp(x=x)


def nothing(x):
    x = x + 1


def bits(x):
    return x | 1


def inverted(x):
    return ~x


def arity(x):
    return math.pow(x)


def comprehension(x):
    return sum(x for _ in range(3))


def tuple_(x):
    return x, x


@pytest.mark.parametrize("function, reason, line", [
    (loop, "statement For", 1), (branch, "statement If", 1), (augmented, "statement AugAssign", 1),
    (unknown, "no derivative is known for 'gamma'", 1), (undefined, "nowhere", 1),
    (texts, "constants must be numbers", 1), (subscripted, "Subscript", 1), (starred,
    "one name each", 0),
    (keyword, "positional", 1), (nothing, "returns nothing", 0), (bits, "BitOr", 1),
    (inverted, "~ is not defined", 1), (arity, "has 1 of its arguments", 1), (comprehension,
    "GeneratorExp", 1),
    (tuple_, "Tuple", 1),
])  # fmt: skip
def test_what_cannot_be_derived_is_refused_with_line_and_reason(function, reason, line):
    with pytest.raises(DeriveError, match=reason) as error:
        parse(function)
    assert function.__name__ in str(error.value)
    assert f'test_derive.py", line {function.__code__.co_firstlineno + line}' in str(error.value)


def test_missing_source_is_refused():
    scope = {}
    exec("def made(x):\n    return x * 2", scope)
    with pytest.raises(DeriveError, match="source of 'made' is not available"):
        parse(scope["made"])
    with pytest.raises(DeriveError, match="written with def"):
        parse(lambda x: x)


def test_a_rule_with_an_unknown_name_is_refused():
    with pytest.raises(DeriveError, match="cosine"):
        parse_text("g * cosine(x)", ("g", "x"))
