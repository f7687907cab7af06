"""The engine of the page: sixty lines that work alone, are right, and say what is here and there.

The names below are the page's: each is also the name in tinygrad_rl.
"""

import random
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.docs.pages import fenced_blocks
from tinygrad_rl import autodiff, grad_mode
from tinygrad_rl.core import REGISTRY, Node, node

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-own-engine.md").read_text("utf-8")


def engine_source() -> str:
    """The blocks of sections 1 to 5 that assert nothing."""
    built, _, _ = PAGE.partition("\n## 6. ")
    blocks = ("\n".join(lines) for info, _, lines in fenced_blocks(built) if info == "python")
    return "\n\n".join(block for block in blocks if "assert " not in block) + "\n"


def run(source: str) -> SimpleNamespace:
    namespace: dict[str, object] = {}
    exec(compile(source, "engine.py", "exec"), namespace)
    return SimpleNamespace(**namespace)


ENGINE = run(engine_source())


def test_it_has_sixty_lines():
    lines = [line for line in engine_source().splitlines() if line.strip()]
    assert 50 <= len(lines) <= 60
    assert max(map(len, lines)) <= 100


def test_its_names_are_those_of_tinygrad_rl():
    result = tg.tanh(tg.Tensor(1.0, requires_grad=True))
    mine = ENGINE.tanh(ENGINE.Tensor(1.0, requires_grad=True))
    for name in set(vars(mine)) - {"value"}:
        assert hasattr(tg.Tensor, name), name
    for name in set(vars(mine.node)) - {"rules"}:
        assert hasattr(result.node, name), name
    for name in vars(ENGINE.tanh):
        assert hasattr(tg.tanh, name), name
    assert isinstance(result.node, Node)
    assert len(result.node.plan.rules) == len(mine.node.rules) == 1
    assert callable(node.record)
    assert callable(autodiff.sweep)
    assert callable(autodiff.backward)
    assert grad_mode.frozen is tg.frozen


def expression(seed: int, leaves: list) -> object:
    """Twenty calls at random, on leaves and results alike, in whichever engine the leaves are."""
    rng = random.Random(seed)
    terms = list(leaves)
    for _ in range(20):
        a, b = rng.choice(terms), rng.choice(terms)
        kind = rng.randrange(5)
        terms.append([a + b, a * b, a.tanh(), -a, a * 0.7 + 0.3][kind].tanh())
    return sum(terms[-5:], start=leaves[0] * leaves[1] * leaves[2])


@pytest.mark.parametrize("seed", range(20))
def test_gradients_are_those_of_tinygrad_rl_and_of_differences(seed):
    at = np.random.default_rng(seed).normal(size=3)
    mine = [ENGINE.Tensor(float(v), requires_grad=True) for v in at]
    theirs = [tg.Tensor(v, requires_grad=True) for v in at]
    expression(seed, mine).backward()
    expression(seed, theirs).backward()
    for i in range(3):
        e = 1e-6 * (np.arange(3) == i)
        up, down = (
            expression(seed, [ENGINE.Tensor(float(v)) for v in x]) for x in (at + e, at - e)
        )
        found = mine[i].grad
        assert found == pytest.approx(float(theirs[i].grad), rel=1e-9, abs=1e-12)
        assert found == pytest.approx((up.value - down.value) / 2e-6, rel=1e-5, abs=1e-7)


def test_a_chain_may_be_longer_than_the_stack_is_deep():
    w = ENGINE.Tensor(1.0, requires_grad=True)
    h = w
    for _ in range(20_000):
        h = h * 1.0
    h.backward()
    assert w.grad == 1.0
    del h


def test_gradients_add_up_and_a_loss_without_a_path_is_refused():
    w = ENGINE.Tensor(2.0, requires_grad=True)
    for _ in range(2):
        (w * w).backward()
    assert w.grad == 8.0
    with pytest.raises(RuntimeError, match="no path"):
        ENGINE.stop_gradient(w).backward()


def test_a_frozen_input_has_no_rule_and_its_flag_comes_back():
    w, u = (ENGINE.Tensor(v, requires_grad=True) for v in (2.0, 3.0))
    with ENGINE.frozen(u):
        y = w * u
    assert y.node.parents == [w]
    assert len(y.node.rules) == 1
    assert u.requires_grad
    y.backward()
    assert (w.grad, u.grad) == (3.0, None)


# -- what tinygrad_rl adds: a check for each row of the table --------------------------------------


def leaf(*values):
    return tg.Tensor(np.array(values), requires_grad=True)


def value():
    x = leaf(2.0)
    y = x * x
    with tg.no_grad():
        x.add_(1.0)
    with pytest.raises(RuntimeError, match=r"called at .*:\d+, saved .* changed at .*:\d+"):
        y.backward()


def op():
    (step,) = tg.trace_backward(tg.log(leaf(2.0))).steps
    assert tg.log.vjp == {}
    assert step.gradients[0].rule == "g * (1 / x)"
    layer = tg.nn.Linear(4, 5)
    assert layer(tg.zeros((2, 4))).node.parents == (layer.weight, layer.bias)


def required():
    x = leaf(2.0)
    with tg.no_grad():
        y = x * x
    assert y.node is None
    assert y.cuts[0].line.code == "y = x * x"
    with tg.frozen(x):
        assert (x * x).node is None


def half_kernel(out, x):
    for i in range(x.size):
        out[i] = x[i] / 2


def vjp():
    before = dict(REGISTRY)
    half = tg.Kernel("half", kernel=half_kernel, shape=lambda x: x.shape)
    REGISTRY.clear()
    REGISTRY.update(before)
    with pytest.raises(NotImplementedError, match="no gradient rule"):
        half(leaf(1.0))
    smaller = leaf(1.5) < 2.0
    assert (smaller.op.differentiable, smaller.node) == (False, None)


def saved():
    x, c = leaf(2.0), tg.Tensor([3.0])
    assert (x * c).node.saved == (c,)
    assert (x + c).node.saved == ()


def rules():
    x = leaf(2.0)
    (first,) = tg.grad(x**3, x, create_graph=True)
    assert tg.grad(first, x)[0].tolist() == [12.0]


def hand_on():
    bias = leaf(0.0, 0.0)
    seen = []
    bias.register_hook(lambda g: seen.append(g.tolist()))
    (tg.ones((3, 2)) + bias).sum().backward()
    assert bias.grad.tolist() == [3.0, 3.0]
    assert seen == [[3.0, 3.0]]


def consumers():
    layer, x = tg.nn.Linear(4, 5), tg.Tensor(np.ones((1, 4), np.float32), requires_grad=True)
    loss = layer(x).sum()
    with tg.count_flops() as counter:
        tg.grad(loss, x, retain_graph=True)
    assert counter.total == 40
    assert tg.trace_backward(loss).flops == 80
    assert layer.weight.grad is None
    loss.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        loss.backward()


def refusal():
    x = leaf(2.0)
    with pytest.raises(RuntimeError, match=r"no path leads from it(?s:.*)detached: .*:\d+"):
        x.detach().sum().backward()


def frozen():
    layer = tg.nn.Linear(4, 5)
    with pytest.raises(ZeroDivisionError), tg.frozen(layer):
        assert not layer.weight.requires_grad
        _ = 1 / 0
    assert layer.weight.requires_grad
    with pytest.raises(ValueError, match="matched no tensor"):
        tg.frozen(iter(()))


def stop():
    assert tg.stop_gradient(leaf(1.0)).op.differentiable is False


def compiled():
    x = leaf(2.0)

    @tg.jit
    def step():
        loss = (x * x).sum()
        loss.backward()
        return loss

    step()
    assert "def " in step.source()
    assert "grad_x" in step.source()


ADDED = {
    "`self.value`": value,
    '`Op("mul", ...)`': op,
    "`x.requires_grad`": required,
    "`op.vjp`": vjp,
    "`self.saved`": saved,
    "`self.rules`": rules,
    "`hand_on`, `heapq`": hand_on,
    "`list(sweep(...))`": consumers,
    "`RuntimeError`": refusal,
    "`frozen`": frozen,
    "`stop_gradient`": stop,
    "Python, call by call": compiled,
}


def table() -> dict[str, str]:
    """What stands in the first and in the second column of each row."""
    _, _, section = PAGE.partition("\n## What tinygrad_rl adds")
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")]
    return {row[1].strip(): row[2].strip() for row in rows[2:]}


def test_each_row_of_the_table_has_a_check_and_its_files():
    assert set(table()) == set(ADDED)
    for cell in table().values():
        files = re.findall(r"`([^`]+)`", cell)
        assert files
        for file in files:
            assert (ROOT / "tinygrad_rl" / file).exists(), file


@pytest.mark.parametrize("row", ADDED)
def test_what_tinygrad_rl_adds(row):
    ADDED[row]()
