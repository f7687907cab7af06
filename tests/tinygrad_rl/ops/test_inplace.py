"""Writing into tensors: the right gradient or an error, never a wrong gradient."""

import operator

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.made import close, leaf

WRITES = {
    "assign_": lambda t: t.assign_(5.0),
    "copy_": lambda t: t.copy_(np.ones(2)),
    "add_": lambda t: t.add_(1.0),
    "sub_": lambda t: t.sub_(1.0),
    "mul_": lambda t: t.mul_(2.0),
    "div_": lambda t: t.div_(2.0),
    "pow_": lambda t: t.pow_(2.0),
    "zero_": lambda t: t.zero_(),
    "setitem": lambda t: operator.setitem(t, 0, 9.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_leaf_that_requires_grad_is_written_to_only_under_no_grad(write) -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="no_grad"):
        write(x)
    close(x, [1.0, 2.0])
    with tg.no_grad():
        write(x)
    assert x.is_leaf and x.requires_grad and x.tolist() != [1.0, 2.0]


def test_operators_write_in_place_and_keep_the_object() -> None:
    base = np.array([6.0, 8.0])
    t = tg.from_numpy(base)
    same = t
    t += 2
    t -= np.array([1.0, 2.0])
    t *= 3
    t /= 2
    t **= 2
    assert t is same
    close(t, ((np.array([6.0, 8.0]) + 2 - [1, 2]) * 3 / 2) ** 2)
    assert np.array_equal(base, t.numpy())


def test_floats_do_not_go_into_an_integer_tensor() -> None:
    t = tg.Tensor([1, 2])
    with pytest.raises(TypeError, match="does not fit into int64"):
        t += 0.5
    t += 1
    assert t.tolist() == [2, 3]
    t.assign_([1.9, -1.9])  # said explicitly, as NumPy's copyto with casting
    assert t.tolist() == [1, -1]


@pytest.mark.parametrize(
    ("write", "slope"),
    [
        (lambda h, w: h.add_(w), (1, 1)),
        (lambda h, w: h.sub_(w), (1, -1)),
        (lambda h, w: h.mul_(w), (5, 3)),
        (lambda h, w: h.div_(w), (1 / 5, -3 / 25)),
        (lambda h, w: h.pow_(w), (5 * 3.0**4, 3.0**5 * np.log(3.0))),
        (lambda h, w: h.assign_(w), (0, 1)),
    ],
)
def test_a_result_with_history_is_written_to_with_the_right_gradient(write, slope) -> None:
    x, w = leaf(3.0), leaf(5.0)
    h = x * 1
    write(h, w)
    dx, dw = tg.grad(h.sum(), (x, w), materialize_grads=True)
    close(dx, [slope[0]])
    close(dw, [slope[1]])


def test_a_tensor_times_itself_in_place() -> None:
    x = leaf(3.0)
    h = x * 1
    h.mul_(h)
    close(tg.grad(h.sum(), x)[0], [6.0])


def test_a_constant_that_is_given_history_gets_it() -> None:
    x, t = leaf(1.0, 2.0), tg.Tensor(np.zeros(2))
    t.assign_(x * 3)
    assert t.requires_grad and not t.is_leaf
    close(tg.grad((t * t).sum(), x)[0], [18.0, 36.0])


def test_a_result_that_is_overwritten_with_a_constant_is_one() -> None:
    t = leaf(1.0) * 2
    t.zero_()
    assert not t.requires_grad and t.is_leaf


def test_history_that_is_assigned_has_hooks_of_its_own() -> None:
    x, t = leaf(1.0), tg.Tensor(np.zeros(1))
    value = x * 3
    value.register_hook(lambda g: g * 100)
    t.assign_(value)
    t.retain_grad()
    (t + 0 * value).sum().backward()
    close(t.grad, [1.0])
    close(x.grad, [300.0])


def test_retain_grad_follows_a_tensor_that_is_written_to() -> None:
    x = leaf(1.0)
    h = x * 2
    h.retain_grad()
    h.mul_(5.0)
    (h * 3).sum().backward()
    close(h.grad, [3.0])


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[0:1],
        lambda t: t.reshape(2, 1),
        lambda t: t.T,
        lambda t: t.unsqueeze(0),
        lambda t: t.permute(0),
    ],
)
def test_a_base_and_its_view_with_history_are_not_written_to(view) -> None:
    for which in ("base", "view"):
        base = leaf(1.0, 2.0) * 1
        seen = view(base)
        target = base if which == "base" else seen
        with pytest.raises(RuntimeError, match=r"shares its memory.*copy\(\)"):
            target.mul_(2)
        close(base, [1.0, 2.0])


def test_history_is_not_written_into_a_view_of_a_constant() -> None:
    base = tg.Tensor(np.zeros(3))
    with pytest.raises(RuntimeError, match="shares its memory"):
        base[0:2].assign_(leaf(1.0, 2.0) * 2)
    base[0:2].assign_([1.0, 2.0])  # constants are fine, and the base sees them
    assert base.tolist() == [1.0, 2.0, 0.0]


def test_a_write_through_a_view_is_seen_by_what_saved_the_base() -> None:
    w, base = leaf(1.0, 2.0), tg.Tensor(np.array([3.0, 4.0]))
    loss = (w * base).sum()
    base[0:1].zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize("make", [lambda: tg.Tensor([1.0]).broadcast_to((3, 1)), lambda: frozen()])
def test_memory_that_is_read_only_is_not_written_to(make) -> None:
    with pytest.raises(RuntimeError, match="read-only"):
        make().zero_()


def frozen() -> tg.Tensor:
    array = np.ones(2)
    array.flags.writeable = False
    return tg.from_numpy(array)


def test_a_value_must_fit_and_is_broadcast() -> None:
    t = tg.Tensor(np.zeros((2, 3)))
    t.assign_([1.0, 2.0, 3.0])
    assert t.tolist() == [[1, 2, 3]] * 2
    for wrong in (np.zeros(2), np.zeros((1, 2, 3))):
        with pytest.raises(ValueError, match="broadcast"):
            t.assign_(wrong)
    t.assign_(t[:, ::-1])  # overlapping memory
    assert t.tolist() == [[3, 2, 1]] * 2


def test_setitem_passes_gradients_to_what_is_left_and_to_what_came() -> None:
    x, v = leaf(1.0, 2.0, 3.0), leaf(10.0, 20.0)
    h = x * 1
    h[1:] = v
    dx, dv = tg.grad((h * np.array([1.0, 2.0, 3.0])).sum(), (x, v))
    close(h, [1.0, 10.0, 20.0])
    close(dx, [1.0, 0.0, 0.0])
    close(dv, [2.0, 3.0])


def test_setitem_with_a_place_named_twice_gives_the_gradient_to_the_last() -> None:
    v, h = leaf(10.0, 20.0, 30.0), tg.Tensor(np.zeros(3))
    h[[0, 0, 2]] = v
    close(h, [20.0, 0.0, 30.0])
    close(tg.grad(h.sum(), v)[0], [0.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "key", [0, -1, slice(None, None, 2), ..., None, [1, 0], np.array([True, False, True])]
)
def test_setitem_takes_numpys_keys(key) -> None:
    array = np.arange(6.0).reshape(3, 2)
    t = tg.Tensor(array)
    t[key] = 7.0
    array[key] = 7.0
    assert np.array_equal(t.numpy(), array)
