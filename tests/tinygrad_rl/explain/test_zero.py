"""A gradient that is exactly zero: explain names the op, and how many rows it lost there."""

import numpy as np
import pytest

import tinygrad_rl as tg


@pytest.mark.parametrize(
    ("squash", "kind"),
    [
        (lambda x: tg.relu(x - 1000.0), "dead ReLU"),
        (lambda x: tg.tanh(x + 1000.0), "saturated tanh"),
        (lambda x: tg.clip(x, 500.0, 600.0), "outside clip's bounds"),
        (lambda x: tg.floor(x), "flat everywhere"),
        (lambda x: x * 0.0, "multiplied by zero"),
        (lambda x: x @ tg.Tensor(np.zeros((2, 2), np.float32)), "zero derivative"),
    ],
)
def test_zero_gradient_names_the_flat_op_and_the_share(squash, kind):
    w = tg.Tensor([[0.5, 2.0], [1.0, -2.0], [0.1, 0.2]], requires_grad=True)
    leaf = tg.explain(lambda: squash(w).sum())["w"]
    assert (leaf.status, leaf.norm) == ("zero", 0.0)
    (cause,) = leaf.causes
    assert cause.title == kind
    if kind != "zero derivative":
        assert "3 of 3 rows (100%)" in cause.detail


def test_two_ops_that_only_together_let_nothing_through():
    w = tg.Tensor([[0.5], [1.5], [2.5], [3.5]], requires_grad=True)
    leaf = tg.explain(lambda: tg.clip(tg.relu(w - 1.0), 10.0, None).sum())["w"]
    assert [c.title for c in leaf.causes] == ["outside clip's bounds"]
    leaf = tg.explain(lambda: (tg.relu(w - 2.0) * tg.Tensor([[1.0], [1.0], [0.0], [0.0]])).sum())[
        "w"
    ]
    assert {c.title for c in leaf.causes} == {"dead ReLU", "multiplied by zero"}


def test_contributions_that_cancel():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    leaf = tg.explain(lambda: (w * 3.0).sum() - (w * 3.0).sum())["w"]
    assert (leaf.status, leaf.causes[0].kind, leaf.paths) == ("zero", "cancels", 2)


def test_an_op_of_ones_own_says_what_its_zero_derivative_is_called():
    @tg.elementwise
    def gate(x):
        return x if x > 0 else 0

    gate.flat = "closed gate"
    w = tg.Tensor([-1.0, -2.0], requires_grad=True)
    (cause,) = tg.explain(lambda: gate(w).sum())["w"].causes
    assert (cause.kind, cause.title) == ("zero derivative", "closed gate")


def test_an_empty_batch():
    w = tg.Tensor([[1.0], [2.0]], requires_grad=True)
    leaf = tg.explain(lambda: tg.relu(tg.Tensor(np.zeros((0, 2), np.float32)) @ w).sum())["w"]
    assert (leaf.status, leaf.norm) == ("zero", 0.0)
