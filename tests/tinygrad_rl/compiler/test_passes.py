"""Each pass alone: what it takes out, what it leaves, and that the program still means the same."""

import numpy as np
import pytest

import tinygrad_rl as tg
from tinygrad_rl.compiler import passes
from tinygrad_rl.compiler.schedule import make_plan
from tinygrad_rl.compiler.tracing import trace
from tinygrad_rl.core import Kernel, constant, mode


def program(function, *args):
    return trace(function, args).program


def names(program):
    return [i.op.name for i in program.instructions]


def evaluate(program, *arrays):
    """Run a program op by op: what a pass must not change."""
    mode.interpret = True
    try:
        known = dict(zip(program.inputs, map(tg.from_numpy, arrays), strict=True))

        def tensor(v):
            if v.kind == "literal":
                return tg.from_numpy(np.full(v.shape, v.number, v.dtype))
            return v.tensor if v.kind == "state" else known[v]

        for i in program.instructions:
            inputs = [tensor(v) for v in i.inputs]
            result = i.op(*inputs, **i.params)
            assert (result.shape, result.dtype) == (i.out.shape, i.out.dtype), str(i)
            known[i.out] = result
        return [tensor(v).numpy() for v in program.roots()]
    finally:
        mode.interpret = False


X = np.random.default_rng(0).normal(size=(4, 3))
W = tg.from_numpy(np.random.default_rng(1).normal(size=(2, 3)))
B = tg.from_numpy(np.array([0.5, -0.25]))
ONE = tg.from_numpy(np.array([[1.5]]))


def linear_nd(x):
    return tg.linear(x.reshape(2, 2, 3), W, B), tg.linear(x[0], W, B)


def mixed(x):
    return x @ W.T.astype(np.float32), tg.linear(x.astype(np.float32), W, B.astype(np.float32))


def columns(x):
    return (x.T @ x)[:, 1:] * 2


def thin(x):
    return x[:, :1] @ x[:1], x @ x[:1].T, x[:1] @ x.T @ x, x[:, :1] @ ONE


def copies(x):
    y = tg.stop_gradient(x.copy()).reshape(4, 3)
    return y.T.T.permute(1, 0) @ W[:, :2].T[::-1].T.repeat(2, 0), x.expand(2, 4, 3) @ W.T


@pytest.mark.parametrize(
    "function", [linear_nd, mixed, columns, thin, copies], ids=lambda f: f.__name__
)
@pytest.mark.parametrize(
    "step", [*dict.fromkeys(passes.PASSES), passes.simplify], ids=lambda p: p.__name__
)
def test_a_pass_leaves_the_meaning(step, function):
    before = program(function, tg.from_numpy(X))
    expected = evaluate(before, X)
    once = step(before)
    for a, b in zip(evaluate(once, X), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert len(step(once).instructions) <= len(once.instructions)


def test_linear_becomes_a_product_and_a_sum_with_the_same_flops():
    p = program(lambda x: tg.linear(x, W, B), tg.from_numpy(X))
    q = passes.lower(p)
    assert names(q) == ["permute", "matmul", "add"]
    assert q.flops() == p.flops() == 2 * 4 * 3 * 2


def test_copies_are_the_thing_itself():
    p = passes.copy_propagation(
        program(lambda x: (tg.stop_gradient(x.copy()) + 1).copy(), tg.ones(2))
    )
    assert names(p) == ["add"]


def test_numbers_are_folded_but_not_zeros_with_a_sign():
    p = passes.constant_folding(
        program(lambda x: x * (constant(2.0, np.dtype(np.float32)) * 3.0).expand(2), tg.ones(2))
    )
    assert "mul" in names(p) and p.instructions[-1].inputs[0].kind == "input"
    q = program(lambda x: (x * 0.0, x * -0.0), tg.ones(2))
    assert names(passes.common_subexpressions(q)) == ["mul", "mul"]


def test_what_nobody_reads_goes():
    def f(x):
        tg.exp(x).sum()
        return x + 1

    assert names(passes.eliminate_dead_code(program(f, tg.ones(2)))) == ["add"]


def test_equal_calls_are_made_once_and_different_parameters_count():
    p = program(lambda x: tg.exp(x) + tg.exp(x) + x.sum(0) + x.sum(1) + x.sum(0), tg.ones(2, 2))
    assert names(passes.common_subexpressions(p)).count("exp") == 1
    assert names(passes.common_subexpressions(p)).count("sum") == 2


def test_ops_of_one_name_are_not_taken_for_each_other():
    ops = [
        Kernel("alias_of_tests", forward=lambda x: x * 2.0),
        Kernel("alias_of_tests", forward=lambda x: x * 3.0),
    ]
    p = program(lambda x: ops[0](x) + ops[1](x), tg.ones(2))
    assert names(passes.common_subexpressions(p)) == ["alias_of_tests", "alias_of_tests", "add"]


def test_only_the_used_columns_of_a_product_are_computed():
    p = program(columns, tg.from_numpy(X))
    q = passes.eliminate_dead_code(passes.prune_columns(p))
    assert [i.out.shape for i in q.instructions if i.op.name == "matmul"] == [(3, 2)]
    assert q.flops() * 3 == p.flops() * 2
    used = program(lambda x: ((x.T @ x)[:, 1:], x.T @ x), tg.from_numpy(X))
    used = passes.common_subexpressions(used)
    assert passes.prune_columns(used).flops() == used.flops()


def test_a_transpose_of_a_transpose_goes():
    p = program(lambda x: x.T.T + 1, tg.from_numpy(X))
    assert names(passes.eliminate_dead_code(passes.cancel_views(p))) == ["add"]


def test_products_with_a_side_of_1_become_loops():
    p = passes.matmul_strength_reduction(program(thin, tg.from_numpy(X)))
    assert "matmul" not in names(p)
    integers = program(lambda x: x[:, :1] @ x[:1], tg.ones(2, 2, dtype=np.int64))
    assert "matmul" in names(passes.matmul_strength_reduction(integers))


def test_no_two_results_have_one_name():
    """The gradient of a column by which a product was made is taken apart by two passes."""
    w = tg.Tensor(X[:1].T, requires_grad=True)
    simple = passes.simplify(program(lambda x: tg.grad(tg.square(x @ w).sum(), w)[0], X))
    found = [i.out.name for i in simple.instructions]
    assert len(set(found)) == len(found)


def test_a_swap_keeps_the_old_numbers():
    a, b = tg.zeros(2), tg.ones(2)

    def swap():
        old = a.copy()
        a.assign_(b)
        b.assign_(old)

    p = passes.simplify(program(swap))
    assert names(p) == ["copy", "copy"]
    assert all(new.kind == "result" for _, new in p.writes)


# -- what runs together, and where numbers live ----------------------------------------------------


def plan(function, *args):
    return make_plan(passes.simplify(program(function, *args)))


def test_elementwise_ops_and_their_sum_are_one_loop_without_memory():
    made = plan(lambda x: (tg.tanh(x * 2) - 1).sum(), tg.ones(5, 5))
    assert len(made.steps) == 1 and not made.materialised


def test_memory_is_given_back_after_the_last_use():
    def chain(x):
        for _ in range(20):
            x = tg.tanh(x @ x)
        return x.sum()

    made = plan(chain, tg.ones(8, 8))
    assert len(made.offsets) >= 20
    assert made.size <= 3 * 8 * 8 * 4


def test_a_state_is_overwritten_where_it_is_once_nobody_reads_it_any_more():
    w = tg.ones(6)

    def late(x):
        w.assign_(w * x)
        return None

    def early(x):
        old = w + 0.5
        w.assign_(w * x)
        return old.cumsum(0) + w

    assert len(plan(late, tg.ones(6)).in_place) == 1
    for function in (late, early):
        x = tg.from_numpy(np.linspace(0.5, 1.5, 6).astype(np.float32))
        w.assign_(np.arange(6.0))
        out = tg.jit(function)(x)
        compiled = w.numpy().copy()
        w.assign_(np.arange(6.0))
        expected = function(x)
        np.testing.assert_allclose(compiled, w.numpy(), rtol=1e-6)
        if expected is not None:
            np.testing.assert_allclose(out.numpy(), expected.numpy(), rtol=1e-6)
