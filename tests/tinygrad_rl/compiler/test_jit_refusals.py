"""What `jit` refuses, and that everything is as it was afterwards."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler.tracing import TraceError
from tinygrad_rl.core import mode


def close(a, b, rtol=1e-5):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-6)


def weights(*shape, seed=0, dtype=np.float64):
    numbers = np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)
    return tg.Tensor(numbers, requires_grad=True)


def snapshot(*tensors):
    """Everything that an aborted call must leave as it was."""
    return [
        (t._array.copy().tolist(), t.accumulated,
         None if t.accumulated is None else t.accumulated.tolist(), t.requires_grad,
         t.node, 0 if t.storage is None else t.storage.version)
        for t in tensors
    ] + [mode.observers, mode.interpret, mode.grad]  # fmt: skip


@pytest.mark.parametrize("case", ["view and base", "view written", "base written", "argument"])
def test_two_names_for_memory_that_is_written_are_refused(case):
    base = tg.Tensor(np.arange(6.0).reshape(2, 3))
    view = base[1]
    before = base.tolist()

    def f(x):
        if case == "view and base":
            return base.add_(x.sum()) * view.sum()
        if case == "view written":
            base[0].add_(1.0)
        elif case == "base written":
            row = base[0]
            base.zero_()
            return row * 2
        else:
            base.zero_()
        return x * 2

    with pytest.raises(TraceError, match=r"share memory|view"):
        tg.jit(f)(view if case == "argument" else tg.ones(3))
    assert base.tolist() == before


def test_an_argument_that_comes_to_lie_in_written_memory_is_refused_at_any_call():
    base = tg.Tensor(np.arange(6.0).reshape(2, 3))

    @tg.jit
    def f(x):
        base.add_(1.0)
        return x * 2

    f(tg.Tensor(np.zeros(3)))
    with pytest.raises(TraceError, match="x and base share memory"):
        f(base[1])
    assert base.tolist() == [[1, 2, 3], [4, 5, 6]]


# -- what is refused, and leaves everything as it was ----------------------------------------------


def read_float(x, w, s):
    return float((x * w).sum())


def read_bool(x, w, s):
    return x if (x > 0).any() else w


def read_item(x, w, s):
    return x * s.item()


def read_numpy(x, w, s):
    return x + (x * 2).numpy()


def read_list(x, w, s):
    return x * w.tolist()[0]


def read_tensor(x, w, s):
    return tg.Tensor(x * 2)


def read_mask(x, w, s):
    return x[x > 0]


def read_values(x, w, s):
    return sum(float(v) for v in x)


def read_format(x, w, s):
    return len(f"{x.sum():.2f}")


def random_numbers(x, w, s):
    return x + tg.randn(2, generator=np.random.default_rng(0), dtype=np.float64)


def raises(x, w, s):
    raise KeyError("the user's own")


def grad_mode(x, w, s):
    tg.set_grad_enabled(False)
    return x * w


def history(x, w, s):
    s.assign_((x * w).sum())
    return s


def outer_history(x, w, s):
    return tg.grad((OUTER[0] * x).sum(), [w])


OUTER = []


@pytest.mark.parametrize(
    "bad, error, words",
    [(read_float, TraceError, "float"), (read_bool, TraceError, "tg.where"),
     (read_item, TraceError, "item"), (read_numpy, TraceError, "numpy"),
     (read_list, TraceError, "tolist"), (read_tensor, TraceError, "Tensor"),
     (read_mask, TraceError, "numpy"), (read_values, TraceError, "Python number"),
     (read_format, TraceError, "item"), (random_numbers, TraceError, "draw them outside"),
     (raises, KeyError, "own"), (grad_mode, TraceError, "grad mode"),
     (history, TraceError, "no_grad"), (outer_history, TraceError, "from outside")],
    ids=lambda v: getattr(v, "__name__", None),
)  # fmt: skip
def test_what_is_refused_leaves_everything_as_it_was(bad, error, words):
    w, s = weights(2), tg.Tensor(2.0)
    w.grad = tg.Tensor(np.ones(2))
    x = tg.from_numpy(np.array([1.0, -2.0]))
    OUTER[:] = [w * 3]
    nodes = [OUTER[0].node.released]

    def f(x):
        with tg.no_grad():
            w.mul_(3.0)
            s.add_(1.0)
            w.mul_(2.0)
        w.requires_grad = False
        w.requires_grad = True
        (x * w).sum().backward()
        w.grad = None
        return bad(x, w, s)

    before = snapshot(w, s, x, *OUTER)
    compiled = tg.jit(f)
    for _ in range(2):
        with pytest.raises(error, match=words):
            compiled(x)
        assert snapshot(w, s, x, *OUTER) == before
        assert [OUTER[0].node.released] == nodes
    assert compiled.cache_info()[:2] == (0, 0)
    with pytest.raises(RuntimeError, match="nothing is compiled"):
        compiled.source()


def test_an_argument_with_history_can_be_used_but_not_gone_back_through():
    w = weights(2)
    x = w * 3
    close(tg.jit(lambda x: tg.grad((x * x).sum(), [x])[0])(x), 2 * x.numpy())
    with pytest.raises(TraceError, match=r"argument 0.*'mul'.*detach"):
        tg.jit(lambda x: (x * x).sum().backward())(x)
    assert w.grad is None
