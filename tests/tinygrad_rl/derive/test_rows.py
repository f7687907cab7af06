"""Expressions with sums and extremes over a row: what is read, and what calculus makes of them."""

import math

import numpy as np
import pytest

from tinygrad_rl.derive import DeriveError, parse_rows

SOFTMAX = "exp(x - max(x)) / sum(exp(x - max(x)))"
TEXTS = {
    "softmax": (SOFTMAX, "x"),
    "logsumexp": ("max(x) + log(sum(exp(x - max(x))))", "x"),
    "variance": ("mean((x - mean(x)) ** 2)", "x"),
    "layer norm": ("(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + 0.1) * w + b", "xwb"),
    "cosine": ("sum(a * b) / sqrt(sum(a * a) * sum(b * b))", "ab"),
    "share of the smallest": ("(x - min(x)) / (max(x) - min(x) + 1) * n", "x"),
    "sum of a sum": ("sum(x * sum(x * x))", "x"),
    "nothing but elements": ("tanh(x) * y", "xy"),
}


def value(rows, **values):
    """Each row by itself, element by element, in plain Python."""
    n = len(next(iter(values.values())))
    known = {"n": n}
    functions = {"sum": sum, "max": max, "min": min}

    def at(scalar, j):
        point = {a: v[j] for a, v in values.items()} | known
        return scalar(*(point.get(a, math.nan) for a in scalar.args))

    for t in rows.totals:
        known[t.name] = functions[t.kind](at(t.element, j) for j in range(n))
    return [at(rows.value, j) for j in range(n)] if rows.is_elementwise else at(rows.value, 0)


def test_totals_come_in_order_and_each_once():
    rows = parse_rows(SOFTMAX, ("x",))
    assert [(t.name, t.kind, t.element.text) for t in rows.totals] == [
        ("max_0", "max", "x"),
        ("sum_1", "sum", "exp(x - max_0)"),
    ]
    assert rows.value.text == "exp(x - max_0) / sum_1"
    assert rows.text == SOFTMAX
    assert rows.is_elementwise
    assert not parse_rows("mean(x) + inf * 0", ("x",)).is_elementwise


def test_two_arguments_make_no_total():
    rows = parse_rows("max(x, sum(x))", ("x",))
    assert [t.kind for t in rows.totals] == ["sum"]
    assert value(rows, x=[1.0, 2.0]) == [3.0, 3.0]


@pytest.mark.parametrize("name", TEXTS)
def test_vjp_is_the_slope_of_g_times_the_value(name, rng):
    text, args = TEXTS[name]
    rows = parse_rows(text, tuple(args))
    values = {a: rng.uniform(0.3, 2, 4).tolist() for a in args}
    g = rng.normal(size=4).tolist() if rows.is_elementwise else [rng.normal()] * 4

    def loss(changed):
        out = value(rows, **changed)
        return np.dot(g, out) if rows.is_elementwise else g[0] * out

    for arg in args:
        derived = value(rows.vjp(arg), g=g, **values)
        for j in range(4):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [v + step * (k == j) for k, v in enumerate(values[arg])]
                sides.append(loss({**values, arg: moved}))
            assert derived[j] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_ties_share_the_gradient_of_an_extreme():
    assert value(parse_rows("max(x)", ("x",)).vjp("x"), g=[3.0] * 3, x=[2.0, 1.0, 2.0]) == [
        1.5,
        0.0,
        1.5,
    ]


def test_of_a_number_for_a_row_the_rule_is_summed_over_it():
    rows = parse_rows("g_ * exp(x - y)", ("g_", "x", "y"), per_row=("g_", "y"))
    assert rows.is_elementwise
    assert not rows.vjp("g_").is_elementwise
    assert rows.vjp("g_").text == "sum(g * exp(x - y))"
    assert rows.vjp("x").is_elementwise


def test_a_number_for_all_makes_no_element():
    rows = parse_rows("sum(x) / k", ("x", "k"), numbers=("k",))
    assert not rows.is_elementwise
    assert rows.vjp("x").spread
    assert not rows.vjp("k").is_elementwise


@pytest.mark.parametrize(
    ("text", "args", "reason"),
    [
        ("sum(x * q)", ("x",), "name 'q' is not defined"),
        ("sum(n)", ("n",), "'n' is the number of elements of a row"),
        ("sum(x, axis=0)", ("x",), "their arguments by their places"),
        ("np.exp(x)", ("x",), "functions stand by their names"),
        ("prod(x)", ("x",), "known here"),
    ],
)
def test_what_cannot_be_read_is_refused(text, args, reason):
    with pytest.raises(DeriveError, match=reason):
        parse_rows(text, args)
