"""Memory that two tensors share: a write to one gradient never changes another, nor an array."""

from collections import UserList, deque

import numpy as np
import pytest

import tinygrad_rl as tg


def leaf(*shape):
    return tg.Tensor(np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape), True)


def assign_nothing(g):
    g.assign_(g * 0)


def set_first(g):
    g[0] = 7.0


def without_result(write):
    def hook(g):
        write(g)

    return hook


def write_and_return(g):
    g.mul_(3)
    return g


def return_another(g):
    g.mul_(3)
    return g + 1


# Each writes into the gradient that it is given; beside it, what then is this tensor's gradient.
WRITES = {
    "mul_": (lambda g: g.mul_(2), lambda g: g * 2),
    "mul_ without a result": (without_result(lambda g: g.mul_(2)), lambda g: g * 2),
    "add_": (without_result(lambda g: g.add_(1)), lambda g: g + 1),
    "zero_": (without_result(lambda g: g.zero_()), lambda g: g * 0),
    "assign_": (assign_nothing, lambda g: g * 0),
    "setitem": (set_first, lambda g: np.concatenate([g[:1] * 0 + 7, g[1:]])),
    "write and return": (write_and_return, lambda g: g * 3),
    "return another": (return_another, lambda g: g * 3 + 1),
    "+=": (lambda g: g.__iadd__(1), lambda g: g + 1),
}
# Ways to one result from x and y, both of shape (2, 3), whose gradients share memory on the way.
SUMS = {
    "x + y": lambda x, y: x + y,
    "sum of all": lambda x, y: (x + y).sum(),
    "sum of a row": lambda x, y: x.sum(0) + y.sum(0),
    "mean": lambda x, y: x.mean() + y.mean(),
    "reshape": lambda x, y: x.reshape(6) + y.reshape(6),
    "transpose": lambda x, y: x.T + y.T,
    "broadcast": lambda x, y: x.broadcast_to((2, 2, 3)) + y,
    "slices": lambda x, y: x[:, 1:] + y[:, :2],
    "concatenate": lambda x, y: tg.concatenate([x, y, x]),
    "stack": lambda x, y: tg.stack([x, y]).sum(0),
    "positive": lambda x, y: +x + +y,
    "copy": lambda x, y: x.copy() + y,
    "astype": lambda x, y: x.astype(np.float64) + y,
    "in place": lambda x, y: (x * 1).add_(y),
}


def gradients(make, way, create_graph, where, hook):
    x, y = leaf(2, 3), leaf(2, 3)
    a, b = (x, y) if where == "leaf" else (+x, +y)
    if hook is not None:
        a.register_hook(hook)
    out = make(a, b)
    seed = tg.Tensor(np.arange(1.0, 1 + out.size).reshape(out.shape))
    if way == "grad":
        got = tg.grad(out, (x, y), seed, create_graph=create_graph)
    else:
        out.backward(seed, create_graph=create_graph)
        got = x.grad, y.grad
    np.testing.assert_array_equal(seed.numpy().ravel(), np.arange(1.0, 1 + out.size))
    return [g.numpy().copy() for g in got]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("where", ["leaf", "result"])
@pytest.mark.parametrize("how", WRITES)
@pytest.mark.parametrize("name", SUMS)
def test_a_hook_that_writes_into_its_gradient_changes_no_other(name, how, where, create_graph):
    hook, expected = WRITES[how]
    for way in ("backward", "grad"):
        plain = gradients(SUMS[name], way, create_graph, where, None)
        x, y = gradients(SUMS[name], way, create_graph, where, hook)
        np.testing.assert_array_equal(x, expected(plain[0]))
        np.testing.assert_array_equal(y, plain[1])


def test_a_hook_that_writes_later_to_what_it_saw_or_returned_changes_nothing():
    x, y = leaf(3), leaf(3)
    seen, buffer = [], tg.zeros(3, dtype=np.float64)
    z = x + y
    z.register_hook(lambda g: seen.append(g))
    for t, by in ((x, 2.0), (y, 3.0)):
        t.register_hook(lambda g, by=by: buffer.assign_(g * by))
        t.register_hook(without_result(lambda g: seen[0].zero_()))
    z.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 2, 2])
    np.testing.assert_array_equal(y.grad.numpy(), [3, 3, 3])
    buffer.zero_()
    np.testing.assert_array_equal(y.grad.numpy(), [3, 3, 3])


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("jitted", [False, True])
def test_the_grad_of_two_leaves_is_two_arrays(name, jitted):
    x, y, seed = leaf(2, 3), leaf(2, 3), None

    def step(seed):
        x.grad = y.grad = None
        out = SUMS[name](x, y)
        out.backward(seed)
        return out.sum()

    seed = tg.Tensor(np.ones(SUMS[name](x, y).shape))
    run = tg.jit(step) if jitted else step
    for _ in range(2):
        run(seed)
        before = y.grad.numpy().copy()
        x.grad.mul_(2)
        x.grad.add_(1)
        np.testing.assert_array_equal(y.grad.numpy(), before)
        np.testing.assert_array_equal(seed.numpy(), np.ones(seed.shape))
        seed.mul_(1)


def test_jitted_hooks_that_write_into_their_gradient():
    def step(x, y):
        x.register_hook(lambda g: g.mul_(3))
        z = x + y
        z.register_hook(without_result(lambda g: g.assign_(g * 2)))
        (z * z).sum().backward()

    run = tg.jit(step)
    for _ in range(2):
        x, y = leaf(3), leaf(3)
        run(x, y)
        np.testing.assert_array_equal(x.grad.numpy(), [24, 48, 72])
        np.testing.assert_array_equal(y.grad.numpy(), [8, 16, 24])


# -- the gradient to start from --------------------------------------------------------------------


@pytest.mark.parametrize("on_leaf", [False, True])
@pytest.mark.parametrize("kind", ["array", "tensor", "from_numpy"])
def test_the_gradient_that_was_given_and_the_one_that_came_out_are_two(kind, on_leaf):
    array = np.ones(3)
    given = {"array": array, "tensor": tg.Tensor(array), "from_numpy": tg.from_numpy(array)}[kind]
    x = leaf(3)
    (x if on_leaf else +x).backward(given)
    x.grad.mul_(5)
    np.testing.assert_array_equal(np.asarray(given), [1, 1, 1])
    array[:] = 9
    if isinstance(given, tg.Tensor):
        given.zero_()
    np.testing.assert_array_equal(x.grad.numpy(), [5, 5, 5])


def test_an_array_to_start_from_that_is_changed_before_the_second_order():
    x, seed = leaf(3), np.ones(3)
    (first,) = tg.grad(x**3, x, seed, create_graph=True)
    seed[:] = 100
    np.testing.assert_array_equal(first.numpy(), 3 * x.numpy() ** 2)
    first.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 6 * x.numpy())


@pytest.mark.parametrize("name", SUMS)
def test_results_of_grad_are_in_memory_of_their_own(name):
    x, y = leaf(2, 3), leaf(2, 3)
    out = SUMS[name](x, y)
    seed = np.ones(out.shape)
    a, b = tg.grad(out, (x, y), seed)
    before = b.numpy().copy()
    a.mul_(7)
    np.testing.assert_array_equal(b.numpy(), before)
    np.testing.assert_array_equal(seed, np.ones(out.shape))


def test_a_retained_gradient_is_not_that_of_a_leaf():
    x = leaf(3)
    y = +x
    y.retain_grad()
    y.sum().backward()
    y.grad.mul_(4)
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 1])


# -- from_numpy ------------------------------------------------------------------------------------


def test_from_numpy_sees_the_array_and_its_gradients_are_of_the_values_at_the_call():
    array = np.array([2.0, 3.0])
    x, shared = leaf(2), tg.from_numpy(array)
    y = x * shared + x * shared.reshape(2)
    array[:] = 100
    np.testing.assert_array_equal(shared.numpy(), [100, 100])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4, 6])


@pytest.mark.parametrize("view", [lambda t: t, lambda t: t.reshape(2), lambda t: t[::-1]])
def test_from_numpy_of_a_leaf_that_is_written_to_before_backward(view):
    array = np.array([2.0, 3.0])
    x = tg.from_numpy(array).requires_grad_()
    y = (view(x) ** 3).sum()
    array[1] = 100
    with pytest.raises(RuntimeError, match=r"test_aliases.py.*NumPy array that was written to"):
        y.backward(retain_graph=True)
    array[1] = 3
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [12, 27])


def test_from_numpy_of_a_leaf_that_is_written_to_by_another_tensor():
    array = np.array([2.0, 3.0])
    x = tg.from_numpy(array).requires_grad_()
    y = (x * x).sum()
    tg.from_numpy(array).mul_(2)
    with pytest.raises(RuntimeError, match="NumPy array that was written to"):
        y.backward()
    y = (x * x).sum()
    with tg.no_grad():
        x.mul_(2)
    with pytest.raises(RuntimeError, match=r"changed in place.*changed at .*test_aliases.py"):
        y.backward()


def test_a_view_by_numpy_of_a_tensor_that_is_changed():
    x, t = leaf(2), tg.Tensor([2.0, 3.0])
    y = x * t.numpy()
    t.zero_()
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 3])


@pytest.mark.parametrize("transform", [tg.vjp, tg.jvp, tg.hvp])
def test_transforms_at_an_array_that_is_changed_by_the_function(transform):
    array = np.array([2.0, 3.0])
    v = np.ones(2) if transform is not tg.vjp else None

    def cube(x):
        y = (x**3).sum()
        array[:] = 50
        return y

    with pytest.raises(RuntimeError, match="NumPy array that was written to"):
        transform(cube, array, v)


# -- tensors as data -------------------------------------------------------------------------------

NUMBER = tg.Tensor(1.5, requires_grad=True)
VECTOR = tg.Tensor([1.0, 2.0], requires_grad=True)
DATA = {
    "list of leaves": lambda: tg.Tensor([NUMBER, NUMBER]),
    "list of results": lambda: tg.Tensor([NUMBER * 2, 1.0]),
    "tuple": lambda: tg.Tensor((1.0, NUMBER)),
    "nested": lambda: tg.Tensor([[1.0, 2.0], [NUMBER * 2, 3.0]]),
    "rows": lambda: tg.Tensor([VECTOR, VECTOR * 2]),
    "array and tensor": lambda: tg.Tensor([np.ones(2), VECTOR]),
    "deque": lambda: tg.Tensor(deque([NUMBER])),
    "UserList": lambda: tg.Tensor(UserList([NUMBER])),
    "with a dtype": lambda: tg.Tensor([NUMBER], dtype=np.float64),
    "with a flag": lambda: tg.Tensor([NUMBER], requires_grad=True),
    "operand": lambda: VECTOR * [NUMBER, 1.0],
    "argument": lambda: tg.sum([NUMBER, NUMBER]),
    "where": lambda: tg.where([True, False], [NUMBER, NUMBER], 0.0),
    "concatenate": lambda: tg.concatenate([[NUMBER], VECTOR]),
    "assign_": lambda: tg.zeros(2).assign_([NUMBER, NUMBER]),
    "setitem": lambda: tg.zeros(2).__setitem__(slice(1), [NUMBER]),
    "gradient": lambda: (VECTOR * 2).backward([NUMBER, NUMBER]),
}
ALONE = {
    "Tensor": lambda: tg.Tensor(NUMBER),
    "Tensor of a result": lambda: tg.Tensor(NUMBER * 2),
    "full": lambda: tg.full((2,), NUMBER),
    "full_like": lambda: tg.full_like(VECTOR, NUMBER),
    "linspace": lambda: tg.linspace(0.0, NUMBER, 3),
    "arange": lambda: tg.arange(0.0, NUMBER),
}


@pytest.mark.parametrize("name", [*DATA, *ALONE])
def test_tensors_with_a_history_are_not_taken_as_data(name):
    word = r"stack\(\)" if name in DATA else r"copy\(\)"
    with pytest.raises(RuntimeError, match=f"history would be lost.*{word}.*detach"):
        {**DATA, **ALONE}[name]()


def test_constant_tensors_are_data_and_so_are_all_under_no_grad():
    np.testing.assert_array_equal(tg.Tensor([NUMBER.detach(), tg.Tensor(2.0)]).numpy(), [1.5, 2])
    with tg.no_grad():
        assert tg.Tensor([NUMBER, NUMBER * 2]).tolist() == [1.5, 3.0]
        assert tg.Tensor(VECTOR).tolist() == [1.0, 2.0]
        assert tg.full((2,), NUMBER).tolist() == [1.5, 1.5]
