"""`jit` in a function's place: the same numbers and state afterwards, or an error and no change."""

import threading
from typing import NamedTuple

import numpy as np
import pytest

import tinygrad_rl as tg


def close(a, b, rtol=1e-5):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=1e-6)


def weights(*shape, seed=0, dtype=np.float64):
    numbers = np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)
    return tg.Tensor(numbers, requires_grad=True)


# -- what selects a compiled form ------------------------------------------------------------------


def test_it_traces_again_for_what_differs_and_says_why():
    runs = []

    def scale(x, factor=2, *, shift=None):
        runs.append(1)
        y = x * factor
        return y if shift is None else y + shift

    f = tg.jit(scale)
    x = tg.ones(3)
    f(x)
    f(x * 2)
    assert len(runs) == 1 and f.cache_info()[:2] == (1, 1)
    f(tg.ones(2, 2))
    f(tg.ones(2, 2, dtype=np.float64))
    f(tg.ones(2, 2, dtype=np.float64), 3)
    f(tg.ones(2, 2, dtype=np.float64), 3.0)
    f(tg.ones(2, 2, dtype=np.float64), 3.0, shift=tg.ones(2))
    f(tg.ones(2, 2, dtype=np.float64, requires_grad=True), 3.0, shift=tg.ones(2))
    with tg.no_grad():
        f(tg.ones(2, 2, dtype=np.float64, requires_grad=True), 3.0, shift=tg.ones(2))
    info = f.cache_info()
    assert info.traces == len(runs) == 8
    assert info.reasons == (
        "first call",
        "argument 'x': float32[3] -> float32[2, 2]",
        "argument 'x': float32[2, 2] -> float64[2, 2]",
        "number of arguments: 1 -> 2",
        "argument 'factor': 3 -> 3.0",
        "argument 'shift': not given -> float32[2]",
        "argument 'x': float64[2, 2] -> float64[2, 2] requires_grad",
        "grad mode: True -> False",
    )
    f(x)
    assert f.cache_info().traces == 8
    close(f(x, 5), [5, 5, 5])


def test_a_flipped_flag_selects_other_code_and_a_flag_flipped_back_the_old():
    w, v = weights(3, seed=1), weights(3, seed=2)

    def step(x):
        w.grad = v.grad = None
        (x * w * v).sum().backward()

    f = tg.jit(step)
    x = tg.ones(3, dtype=np.float64)
    f(x)
    assert v.grad is not None
    w.requires_grad = False
    f(x)
    assert w.grad is None and v.grad is not None
    assert f.cache_info().reasons[-1] == "requires_grad of w: True -> False"
    assert "grad_w" not in f.source()
    w.requires_grad = True
    f(x)
    close(w.grad, v)
    assert f.cache_info()[:2] == (1, 2)
    with tg.frozen(v):
        f(x)
    assert v.grad is None and f.cache_info().traces == 3


def test_a_flag_that_the_function_leaves_changed_is_changed_by_every_call():
    w = weights(2)

    def unfreeze(x):
        w.requires_grad = True
        return x + w

    w.requires_grad = False
    f = tg.jit(unfreeze)
    for _ in range(2):
        f(tg.ones(2))
        assert w.requires_grad
        w.requires_grad = False
    assert f.cache_info()[:2] == (1, 1)


def test_other_objects_count_by_identity():
    class Config:
        scale = 2.0

    a, b = Config(), Config()
    f = tg.jit(lambda x, config: x * config.scale)
    for config in (a, a, b):
        f(tg.ones(1), config)
    reasons = ("first call", "argument 'config': an object of Config -> another")
    assert f.cache_info() == (1, 2, reasons, 2)


def test_the_same_tensor_twice_is_not_confused_with_two():
    f = tg.jit(lambda a, b: (a * b, tg.grad((a * b).sum(), [a])[0]))
    x, y = weights(2, seed=1), weights(2, seed=2)
    for a, b in ((x, x), (x, y), (y, y), (y, x)):
        product, gradient = f(a, b)
        close(product, a.numpy() * b.numpy())
        close(gradient, 2 * a.numpy() if a is b else b.numpy())
    assert f.cache_info().traces == 2


def test_an_argument_that_is_a_parameter_too_is_an_argument_only_in_that_call():
    w = tg.Tensor([1.0, 2.0])
    f = tg.jit(lambda x: x + w)
    close(f(w), [2, 4])
    close(f(tg.Tensor([10.0, 20.0])), [11, 22])


# -- arguments and results -------------------------------------------------------------------------


class Pair(NamedTuple):
    first: tg.Tensor
    second: tg.Tensor


def test_arguments_and_results_of_every_form():
    @tg.jit
    def f(tree, *, extra):
        a, [b, c] = tree["a"], tree["list"]
        return {
            "sum": a + b,
            "pair": Pair(a * extra, c),
            "same": (b, b),
            "n": 3,
            "no": [None, "text"],
        }

    tree = {"a": np.ones(2), "list": [tg.Tensor([1.0, 2.0]), np.float32(4)]}
    for _ in range(2):
        out = f(tree, extra=np.arange(2.0))
        assert list(out) == ["sum", "pair", "same", "n", "no"]
        close(out["sum"], [2, 3])
        assert type(out["pair"]) is Pair and out["n"] == 3 and out["no"] == [None, "text"]
        close(out["pair"].first, [0, 1])
        assert out["pair"].second.dtype == np.float32 and out["pair"].second.item() == 4
        # What is returned untouched is the very tensor that came in.
        assert out["same"][0] is out["same"][1] is tree["list"][0]


def test_results_are_new_at_every_call_and_share_no_memory():
    w = tg.Tensor([1.0, 2.0])

    @tg.jit
    def f(x):
        y = x + w
        return y, y, y.sum(), x.sum() * 0 + 2, w[0], w

    first = f(tg.Tensor([1.0, 1.0]))
    numbers = [t.tolist() for t in first]
    f(tg.Tensor([5.0, 5.0]))
    assert [t.tolist() for t in first] == numbers == [[2, 3], [2, 3], 5, 2, 1, [1, 2]]
    assert not np.shares_memory(first[0].numpy(), first[1].numpy())
    assert first[-1] is w


def test_a_result_that_is_no_number_is_refused():
    @tg.jit
    def f(x):
        return {"x": x, "batch": object()}

    with pytest.raises(TypeError, match="not object"):
        f(tg.ones(1))
    with pytest.raises(TypeError, match="piece by piece"):

        @tg.jit
        def g(x):
            yield x


def test_non_contiguous_arguments_and_states():
    base = np.arange(24.0).reshape(4, 6)
    w = tg.from_numpy(base[::2, ::-2])
    flat = tg.from_numpy(base.T)
    f = tg.jit(lambda x: (x @ w.T, w.reshape(-1) * 2, flat @ base, (x + w).sum(0), flat[1:3]))
    plain = f._function
    for x in (np.ones((3, 6))[:, ::2], np.asfortranarray(np.arange(6.0).reshape(2, 3))):
        if x.shape[0] == 3:
            x = x[:2]
        for a, b in zip(f(tg.from_numpy(x)), plain(tg.from_numpy(x)), strict=True):
            close(a, b)


def test_methods_are_compiled_for_each_object():
    class Layer(tg.nn.Module):
        def __init__(self, k):
            super().__init__()
            self.weight = tg.full((2,), k)

        @tg.jit
        def forward(self, x):
            return x * self.weight

    a, b = Layer(2.0), Layer(3.0)
    for _ in range(2):
        close(a(tg.ones(2)), [2, 2])
        close(b(tg.ones(2)), [3, 3])
    assert Layer.forward.cache_info()[:2] == (2, 2)
    assert "weight" in Layer.forward.source()


def test_a_jitted_function_inside_another_is_part_of_it():
    inner = tg.jit(lambda x: x * 2)
    outer = tg.jit(lambda x: inner(x) + 1)
    close(outer(tg.ones(2)), [3, 3])
    assert outer.cache_info().traces == 1 and inner.cache_info().traces == 0


def test_who_watches_ops_sees_the_plain_function():
    f = tg.jit(lambda x: x @ x)
    x = tg.ones(4, 4)
    with tg.count_flops() as count:
        f(x)
    assert count.total == 2 * 4**3
    assert f.cache_info().traces == 0


def test_threads_share_a_jitted_function():
    f = tg.jit(lambda x: (x * x).sum())
    wrong = []

    def work(k):
        for n in range(50):
            value = 100.0 * k + n
            if f(np.full(4, value)).item() != 4 * value * value:
                wrong.append(value)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert f.cache_info().traces == 1


# -- state -----------------------------------------------------------------------------------------


def test_state_is_written_in_place():
    a, b, k, count = (tg.Tensor(v) for v in ([1.0, 2.0], [3.0, 4.0], 5.0, 0))
    n = tg.Tensor(7.0)

    @tg.jit
    def f(x):
        old = a.copy()
        a.assign_(b)
        b.assign_(old)  # a swap
        scalar = k.copy()
        k.assign_(n)
        n.assign_(scalar)
        count.add_(1)
        count.add_(1)
        a[0] = x
        return a + b, a, count

    for turn in (1, 2, 3):
        x = 10.0 * turn
        before = b.tolist()
        total, same, counted = f(np.float32(x))
        assert a.tolist() == [x, before[1]] and same is a
        assert (k.item(), n.item()) == ((7.0, 5.0) if turn % 2 else (5.0, 7.0))
        assert counted.item() == count.item() == 2 * turn
        close(total, a.numpy() + b.numpy())


def test_a_state_that_only_takes_anothers_numbers():
    a, b = tg.zeros(3), tg.ones(3)
    step = tg.jit(lambda: tg.optim.polyak([a], [b], 1))
    step()
    b.assign_([4.0, 5.0, 6.0])
    step()
    assert a.tolist() == [4, 5, 6]
    turn = tg.Tensor(np.arange(4.0).reshape(2, 2))
    tg.jit(lambda: turn.assign_(turn.T))()
    assert turn.tolist() == [[0, 2], [1, 3]]


def test_numbers_made_inside_start_anew_at_every_call():
    @tg.jit
    def f(x):
        total = tg.zeros(2)
        other = tg.Tensor([1.0, 1.0])
        for k in range(3):
            total.add_(x * k)
        other[0] = 5.0
        w = tg.ones(2, requires_grad=True)
        (w * x).sum().backward()
        return total, other, w.grad

    for k in (1.0, 2.0):
        total, other, gradient = f(np.full(2, k, np.float32))
        assert (total.tolist(), other.tolist()) == ([3 * k, 3 * k], [5, 1])
        assert gradient.tolist() == [k, k]
    with tg.frozen(weights(1)):
        f(np.ones(2, np.float32))
    assert f.cache_info().traces == 1


def test_an_argument_is_written_in_place():
    @tg.jit
    def f(x):
        x.mul_(2)

    memory = np.ones((3, 4))
    for array in (memory, memory[:, ::2]):
        x = tg.from_numpy(array)
        loss = (x * weights(*array.shape)).sum()
        f(x)
        with pytest.raises(RuntimeError, match="changed in place"):
            loss.backward()
    assert memory[0].tolist() == [4, 2, 4, 2]
    memory.flags.writeable = False
    with pytest.raises(RuntimeError, match="read-only"):
        f(tg.from_numpy(memory))


def test_numbers_that_are_the_same_at_every_call_may_be_read():
    @tg.jit
    def f(x):
        table = tg.arange(4)
        return x * sum(table.tolist()) + x[np.array([True, False])].sum() + x.shape[0]

    close(f(tg.Tensor([1.0, 2.0])), [9, 15])


def test_an_index_out_of_range_raises_at_the_call():
    x = tg.Tensor(np.arange(6.0).reshape(3, 2))
    counter = tg.Tensor(0.0)

    @tg.jit
    def f(index):
        rows = x.take(index, 0)
        counter.add_(1)
        return rows

    assert f(np.array([2, -3])).tolist() == [[4, 5], [0, 1]]
    for bad in (3, -4):
        with pytest.raises(IndexError, match="axis of size 3"):
            f(np.array([0, bad]))
    assert f(np.array([1, 1])).tolist() == [[2, 3], [2, 3]]
    assert f.cache_info().traces == 1


def test_nan_and_infinity_are_seen():
    f = tg.jit(lambda x: (x.sum(), x.max(0), x.mean() * 0, tg.relu(x), x.argmax(), tg.exp(x)))
    x = np.array([1.0, np.nan, np.inf, -np.inf])
    for a, b in zip(f(x), f._function(tg.from_numpy(x)), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert np.isnan(f(x)[0].item())


@pytest.mark.parametrize("name", ["exp", "matmul", "array", "step", "class_", "é"])
def test_a_function_may_have_any_name(name):
    def f(total, row, i, memory, x_out):
        inf = tg.exp(total) @ row
        array = (inf + i).cumsum(0) + memory.cumsum(0)
        return array * x_out

    f.__name__ = name
    values = [np.full((2, 2), k + 0.5) for k in range(5)]
    close(tg.jit(f)(*values), f(*map(tg.from_numpy, values)))
