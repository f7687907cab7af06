"""trace_backward: every rule in its order, with the numbers that autograd computes."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.nn import functional as F


def test_the_steps_of_a_small_example_by_hand():
    """loss = (w x - y)^2 at w = 3, x = 2, y = 1: d loss / dw = 2 (6 - 1) 2 = 20."""
    w = tg.Tensor([3.0], requires_grad=True)
    x, y = tg.Tensor([2.0]), tg.Tensor([1.0])
    loss = tg.square(w * x - y).sum()
    trace = tg.trace_backward(loss)
    calls = [step.call for step in trace.steps]
    assert calls == ["%4 sum", "%3 square", "%2 sub", "%1 mul"]
    square, mul = trace.steps[1], trace.steps[3]
    assert (square.gradients[0].rule, square.gradients[0].value.tolist()) == ("g * (x + x)", [10.0])
    assert (mul.gradients[0].argument, mul.gradients[0].rule, mul.gradients[0].to) == (
        "a",
        "g * b",
        "w",
    )
    assert mul.skipped == ("b",)
    assert {name: g.tolist() for name, g in trace.leaves.items()} == {"w": [20.0]}
    assert mul.code == "loss = tg.square(w * x - y).sum()"


def test_same_gradients_as_backward_and_nothing_is_touched():
    net = tg.nn.MLP((3, 8, 2), rng=np.random.default_rng(0))
    x = tg.Tensor(np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32))
    loss = F.mse_loss(net(x), tg.Tensor(np.ones((5, 2), np.float32)))
    trace = tg.trace_backward(loss)
    assert all(p.grad is None for p in net.parameters())
    with tg.count_flops() as counter:
        loss.backward()
    assert trace.flops == counter.total
    for name, p in net.named_parameters():
        assert trace.leaves[f"net.{name}"].tolist() == p.grad.numpy().tolist()


def test_frozen_inputs_are_named_as_not_computed():
    net = tg.nn.Linear(2, 1)
    a = tg.Tensor([[1.0, 2.0]], requires_grad=True)
    with tg.frozen(net):
        loss = net(a).sum()
    (linear,) = [s for s in tg.trace_backward(loss).steps if s.call.endswith("linear")]
    assert linear.skipped == ("weight", "bias")
    assert [s.argument for s in linear.gradients] == ["x"]


def test_printed_page():
    w = tg.Tensor(np.ones((40, 30), np.float32), requires_grad=True)
    v = tg.Tensor([1.0, 2.0], requires_grad=True)
    text = str(tg.trace_backward((w * 2).sum() + v.sum()))
    assert "backward: 4 steps" in text
    assert "<40x30, norm 69.28>" in text  # 2 in each of 1200 places
    assert "v: [1., 1.]" in text
    assert "test_walkthrough.py:" in text


def test_names_can_be_given():
    trace = tg.trace_backward(
        (tg.Tensor([1.0], requires_grad=True) * 2).sum(),
        names={"other": tg.Tensor([1.0])},
    )
    assert list(trace.leaves) == ["leaf 1 (1,)"]
    t = [tg.Tensor([1.0], requires_grad=True)]
    loss = (t[0] * 2).sum()
    assert list(tg.trace_backward(loss, names={"mine": t[0]}).leaves) == ["mine"]


def test_every_op_of_the_registry_has_a_readable_rule():
    from tinygrad_rl.core import REGISTRY
    from tinygrad_rl.debug.walkthrough import rule_text

    for op in REGISTRY.values():
        for i, arg in enumerate(op.args):
            has_rule = arg in op.vjp or (op.differentiable and hasattr(op, "rule_scalar"))
            if has_rule and arg not in getattr(getattr(op, "scalar", None), "conditions", ()):
                text = rule_text(op, i)
                assert text, op
                assert "lambda" not in text, op


def test_errors_of_backward_come_here_too():
    w = tg.Tensor([1.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="no path leads"):
        tg.trace_backward(w.detach().sum())
    loss = (w * w).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="used up"):
        tg.trace_backward(loss)
    v = tg.Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="scalar"):
        tg.trace_backward(v * v)


def test_calls_of_one_statement_are_told_apart_by_column():
    actor, critic = tg.nn.Linear(3, 2), tg.nn.Linear(2, 1)
    obs = tg.Tensor(np.ones((4, 3), np.float32))
    loss = -critic(tg.tanh(actor(obs))).mean()
    trace = tg.trace_backward(loss)
    assert [s.part for s in trace.steps] == [
        "-critic(tg.tanh(actor(obs))).mean()",
        "critic(tg.tanh(actor(obs))).mean()",
        "critic(tg.tanh(actor(obs)))",
        "tg.tanh(actor(obs))",
        "actor(obs)",
    ]
    assert {s.code for s in trace.steps} == {"loss = -critic(tg.tanh(actor(obs))).mean()"}
    columns = [s.column - trace.steps[0].column for s in trace.steps]
    assert columns == [0, 1, 1, 8, 16]
    last = trace.steps[-1]
    assert f"test_walkthrough.py:{last.line}:{last.column}  actor(obs)" in str(trace)
