"""Optimizers against plain NumPy versions of the algorithms that PyTorch documents, in float64."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl import nn, optim

STEPS = 7


class ReferenceSGD:
    """torch.optim.SGD as documented, dampening 0: the buffer starts as the first gradient."""

    def __init__(self, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        self.lr, self.momentum = lr, momentum
        self.weight_decay, self.nesterov = weight_decay, nesterov
        self.buffer = None

    def __call__(self, p, g):
        g = g + self.weight_decay * p
        if self.momentum:
            self.buffer = g.copy() if self.buffer is None else self.momentum * self.buffer + g
            g = g + self.momentum * self.buffer if self.nesterov else self.buffer
        return p - self.lr * g


class ReferenceAdam:
    """torch.optim.Adam and AdamW as documented."""

    def __init__(self, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
        self.lr, self.betas, self.eps = lr, betas, eps
        self.weight_decay, self.decoupled = weight_decay, decoupled
        self.t, self.m, self.v = 0, 0.0, 0.0

    def __call__(self, p, g):
        self.t += 1
        if self.decoupled:
            p = p * (1 - self.lr * self.weight_decay)
        else:
            g = g + self.weight_decay * p
        beta1, beta2 = self.betas
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g * g
        m_hat = self.m / (1 - beta1**self.t)
        v_hat = self.v / (1 - beta2**self.t)
        return p - self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


CASES = {
    "sgd": (optim.SGD, ReferenceSGD, {"lr": 0.1}),
    "sgd decay": (optim.SGD, ReferenceSGD, {"lr": 0.1, "weight_decay": 0.3}),
    "sgd momentum": (optim.SGD, ReferenceSGD, {"lr": 0.1, "momentum": 0.9}),
    "sgd nesterov": (
        optim.SGD,
        ReferenceSGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.3, "nesterov": True},
    ),
    "adam": (optim.Adam, ReferenceAdam, {"lr": 0.1}),
    "adam betas": (optim.Adam, ReferenceAdam, {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.1}),
    "adam decay": (optim.Adam, ReferenceAdam, {"lr": 0.1, "weight_decay": 0.3}),
    "adam no momentum": (optim.Adam, ReferenceAdam, {"lr": 0.1, "betas": (0.0, 0.999)}),
    "adamw": (
        optim.AdamW,
        lambda **k: ReferenceAdam(decoupled=True, **k),
        {"lr": 0.1, "weight_decay": 0.3},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_updates_are_pytorchs(case, dtype, tolerance, rng: np.random.Generator) -> None:
    make, reference, settings = case
    start = rng.normal(size=(3, 4))
    p = tg.Tensor(start.astype(dtype), requires_grad=True)
    expected, step = start, reference(**settings)
    optimizer = make([p], **settings)
    for _ in range(STEPS):
        g = rng.normal(size=(3, 4))
        p.grad = tg.Tensor(g.astype(dtype))
        optimizer.step()
        expected = step(expected, g)
        np.testing.assert_allclose(p.numpy(), expected, rtol=tolerance, atol=tolerance)
    assert p.dtype == dtype and p.is_leaf and p.requires_grad


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_parameter_without_a_gradient_is_left_out_of_a_step(case) -> None:
    make, reference, settings = case
    a, b = (tg.Tensor(np.array([1.0, 2.0]), requires_grad=True) for _ in range(2))
    optimizer = make([a, b], **settings)
    step = reference(**settings)
    expected = np.array([1.0, 2.0])
    for k in range(4):
        a.grad = tg.Tensor(np.array([1.0, -1.0]))
        b.grad = tg.Tensor(np.array([1.0, -1.0])) if k % 2 else None
        before = b.numpy().copy()
        optimizer.step()
        if k % 2:
            expected = step(expected, np.array([1.0, -1.0]))
        else:
            assert np.array_equal(b.numpy(), before)
    np.testing.assert_allclose(b.numpy(), expected, rtol=1e-12)


def test_adam_counts_in_float64_beyond_what_float32_can() -> None:
    p = tg.Tensor([1.0], requires_grad=True)
    optimizer = optim.Adam([p], 0.1)
    state = optimizer.state_dict()
    state["step"] = [np.array(2.0**24)]
    optimizer.load_state_dict(state)
    p.grad = tg.Tensor([1.0])
    optimizer.step()
    assert optimizer.state_dict()["step"][0] == 2**24 + 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_state_dict_continues_exactly(case, rng: np.random.Generator) -> None:
    make, _, settings = case
    gradients = rng.normal(size=(6, 3))
    p = tg.Tensor(np.ones(3), requires_grad=True)
    optimizer = make([p], **settings)
    saved: tuple = ()
    for k, g in enumerate(gradients):
        if k == 3:
            saved = (p.numpy().copy(), optimizer.state_dict())
        p.grad = tg.Tensor(g)
        optimizer.step()
    q = tg.Tensor(saved[0], requires_grad=True)
    other = make([q], **settings)
    other.load_state_dict(saved[1])
    for g in gradients[3:]:
        q.grad = tg.Tensor(g)
        other.step()
    assert np.array_equal(p.numpy(), q.numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("exp_avg"), r"entries \['exp_avg_sq', 'step'\]"),
        (lambda s: s.update(exp_avg=s["exp_avg"][:1]), "'exp_avg' has 1 entry for 2 parameters"),
        (lambda s: s["exp_avg"].__setitem__(1, np.zeros(5)), r"exp_avg\[1\] is float64 of shape"),
        (lambda s: s["exp_avg"].__setitem__(1, np.full(3, "x")), r"exp_avg\[1\]"),
        (
            lambda s: s["step"].__setitem__(1, np.array(-1.0)),
            r"step\[1\] is -1.0, expected a whole",
        ),
        (lambda s: s["step"].__setitem__(1, np.array(0.5)), r"step\[1\] is 0.5, expected a whole"),
        (lambda s: s["step"].__setitem__(1, np.array(np.nan)), r"step\[1\] is nan"),
        (lambda s: s["step"].__setitem__(1, np.array(np.inf)), r"step\[1\] is inf"),
    ],
)
def test_state_that_does_not_fit_changes_nothing(change, message: str) -> None:
    optimizer = optim.Adam([tg.Tensor(np.ones(k), requires_grad=True) for k in (2, 3)])
    state = {k: [a + 1 for a in v] for k, v in optimizer.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert not any(a.any() for arrays in optimizer.state_dict().values() for a in arrays)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD([], 0.1), "no parameters: was a generator"),
        (lambda p: optim.SGD([p * 2], 0.1), "leaves"),
        (lambda p: optim.SGD([p], -0.1), "lr"),
        (lambda p: optim.SGD([p], 0.1, nesterov=True), "momentum"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), r"betas\[1\]"),
        (lambda p: optim.Adam([p], eps=float("nan")), "eps"),
        (lambda p: optim.AdamW([p], weight_decay=-1), "weight_decay"),
    ],
)
def test_wrong_settings_are_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(tg.Tensor([1.0], requires_grad=True))


def test_an_optimizer_takes_a_module_a_list_or_a_generator_and_each_tensor_once() -> None:
    net = nn.Linear(2, 3)
    for params in (net, net.parameters(), (p for p in net.parameters()), [net, net.weight]):
        assert len(optim.SGD(params, 0.1).params) == 2


# -- polyak ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.0, 0.005, 0.5, 1.0])
def test_polyak_is_the_weighted_mean(tau: float) -> None:
    target, source = tg.Tensor(np.array([1.0, 2.0])), tg.Tensor(np.array([5.0, -2.0]))
    optim.polyak([target], [source], tau)
    expected = (1 - tau) * np.array([1.0, 2.0]) + tau * np.array([5.0, -2.0])
    np.testing.assert_allclose(target.numpy(), expected, rtol=1e-15)
    assert source.tolist() == [5.0, -2.0]


def test_polyak_at_its_limits_does_not_look_at_the_other_side() -> None:
    bad, good = tg.Tensor([float("nan"), float("inf")]), tg.Tensor([1.0, 2.0])
    target = tg.Tensor([3.0, 4.0])
    optim.polyak([target], [bad], 0.0)
    assert target.tolist() == [3.0, 4.0]
    optim.polyak([bad], [good], 1.0)
    assert bad.tolist() == [1.0, 2.0]


def test_polyak_moves_modules_and_records_nothing() -> None:
    one, other = nn.Linear(2, 3), nn.Linear(2, 3)
    optim.polyak(one, other, 1)
    assert np.array_equal(one.weight.numpy(), other.weight.numpy())
    assert one.weight.is_leaf and one.weight.requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, b: optim.polyak(a, b, 1.5), r"tau must be in \[0, 1\]"),
        (lambda a, b: optim.polyak(a, b, float("nan")), r"tau must be in \[0, 1\]"),
        (lambda a, b: optim.polyak([a], [b.weight], 0.5), "2 target tensors but 1 source"),
        (lambda a, b: optim.polyak(a, nn.Linear(3, 2), 0.5), r"\(3, 2\).*differ in shape"),
        (lambda a, b: optim.polyak([], [], 0.5), "0 target tensors"),
    ],
)
def test_polyak_refuses_what_does_not_fit(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(nn.Linear(2, 3), nn.Linear(2, 3))


# -- clipping --------------------------------------------------------------------------------------


def with_gradients(*gradients: list[float]) -> list[tg.Tensor]:
    tensors = []
    for g in gradients:
        t = tg.Tensor(np.zeros(len(g)), requires_grad=True)
        t.grad = tg.Tensor(np.array(g))
        tensors.append(t)
    return tensors


def test_clipping_scales_all_gradients_together() -> None:
    a, b = with_gradients([3.0, 0.0], [0.0, 4.0])
    first = a.grad
    norm = optim.clip_grad_norm([a, b], 1.0)
    assert norm.item() == 5.0 and a.grad is first
    np.testing.assert_allclose([*a.grad.numpy(), *b.grad.numpy()], [0.6, 0, 0, 0.8], rtol=1e-6)


def test_clipping_leaves_a_small_norm_alone() -> None:
    (a,) = with_gradients([0.3, 0.4])
    assert optim.clip_grad_norm(a, 1.0).item() == 0.5
    assert a.grad.tolist() == [0.3, 0.4]


def test_clipping_ignores_the_stale_gradient_of_a_frozen_tensor() -> None:
    a, stale = with_gradients([0.3, 0.4], [1e6])
    with tg.frozen(stale):
        assert optim.clip_grad_norm([a, stale], 1.0).item() == 0.5
    assert stale.grad.tolist() == [1e6] and a.grad.tolist() == [0.3, 0.4]


def test_clipping_shows_a_gradient_that_is_not_finite() -> None:
    a, b = with_gradients([1.0], [float("nan")])
    assert np.isnan(optim.clip_grad_norm([a, b], 1.0).item())
    assert np.isnan(a.grad.item()) and np.isnan(b.grad.item())
    a, b = with_gradients([1.0], [float("inf")])
    assert np.isinf(optim.clip_grad_norm([a, b], 1.0).item())
    assert a.grad.item() == 0 and np.isnan(b.grad.item())


def test_clipping_needs_gradients_and_a_positive_norm() -> None:
    with pytest.raises(ValueError, match="no parameter has a gradient"):
        optim.clip_grad_norm([tg.Tensor([1.0], requires_grad=True)], 1.0)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="max_norm"):
            optim.clip_grad_norm(with_gradients([1.0]), wrong)


def test_steps_are_ops_that_a_compiler_can_see() -> None:
    # Nothing is read into Python inside a step: a compiled update holds all of it.
    p = tg.Tensor([1.0, 2.0], requires_grad=True)

    class Reads(tg.core.Observer):
        def __init__(self) -> None:
            self.how: list[str] = []

        def on_read(self, tensor, how) -> None:
            self.how.append(how)

    for make in (
        lambda: optim.SGD([p], 0.1, momentum=0.9),
        lambda: optim.Adam([p]),
        lambda: optim.AdamW([p]),
    ):
        optimizer, reads = make(), Reads()
        p.grad = tg.Tensor([1.0, 1.0])
        tg.core.mode.observers = (reads,)
        try:
            optim.clip_grad_norm([p], 1.0)
            optimizer.step()
            optim.polyak([p], [p], 0.5)
        finally:
            tg.core.mode.observers = ()
        assert reads.how == []
