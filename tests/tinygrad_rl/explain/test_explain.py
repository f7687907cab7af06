"""What explain takes, what it leaves behind, and how it counts paths."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.explain.made import ACTOR, OBS, line_of, mlp
from tinygrad_rl.core import mode
from tinygrad_rl.nn import functional as F


def only_cause(leaf):
    (cause,) = leaf.causes
    return cause.kind, cause.line.number


def test_nothing_is_left_behind():
    net = mlp(3, 2)
    tg.explain(lambda: net(OBS).mean())
    assert mode.observers == ()
    assert all(p.grad is None for p in net.parameters())
    with pytest.raises(ZeroDivisionError):
        tg.explain(lambda: net(OBS).mean() / (1 // 0))
    assert mode.observers == ()


def test_a_step_that_calls_backward_does_what_it_does_without():
    def train(watched):
        net = mlp(3, 4, 1)
        optimizer = tg.optim.Adam(net, lr=0.1)

        def step():
            optimizer.zero_grad()
            F.mse_loss(net(OBS), tg.Tensor(np.ones((6, 1), np.float32))).backward()
            optimizer.step()

        for _ in range(3):
            tg.explain(step) if watched else step()
        return [p.numpy().tolist() for p in net.parameters()]

    assert train(watched=True) == train(watched=False)


def test_a_loss_without_path_is_explained_although_backward_raises():
    def step():
        loss = ACTOR(OBS).detach().mean()
        loss.backward()

    e = tg.explain(step)
    assert "no path leads" in e.error
    assert only_cause(e["ACTOR.0.weight"]) == ("detached", line_of(step, "detach"))
    with pytest.raises(RuntimeError, match=r"explain\(step\)"):
        step()


def test_other_errors_go_through():
    with pytest.raises(ValueError, match="inner sizes differ"):
        tg.explain(lambda: tg.matmul(OBS, OBS).sum())


@pytest.mark.parametrize("result", [None, 3, "text", []])
def test_a_function_without_a_tensor_is_refused(result):
    with pytest.raises(TypeError, match=r"returns a tensor or calls backward"):
        tg.explain(lambda: result)


def test_not_a_function():
    with pytest.raises(TypeError, match="the function that computes the loss, not a Tensor"):
        tg.explain(OBS)


def test_unknown_name():
    with pytest.raises(KeyError, match=r"ACTOR\.0\.weight"):
        tg.explain(lambda: ACTOR(OBS).mean())["actor"]


def test_writing_in_place_keeps_the_path():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        buffer = tg.Tensor([0.0, 0.0])
        buffer.assign_(w * 2)
        return (buffer * 3).sum()

    leaf = tg.explain(loss)["w"]
    assert (leaf.status, leaf.paths) == ("reached", 1)


def test_paths_are_counted():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        h = w * 2
        return (h * h + h + h.detach()).sum()

    leaf = tg.explain(loss)["w"]
    assert (leaf.paths, leaf.blocked_paths) == (3, 1)


def test_a_backward_that_is_given_a_gradient_is_reported_with_it():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)

    def loss():
        y = w * 3.0
        y.backward(np.array([0.0, 4.0], np.float32))

    leaf = tg.explain(loss)["w"]
    assert leaf.norm == pytest.approx(12.0)
    assert leaf.norm == pytest.approx(float(np.linalg.norm(w.grad.numpy())))
