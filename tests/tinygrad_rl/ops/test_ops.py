"""Every op of the registry, a line each in `op_rows.py`, through `check_op`."""

import sys

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.ops.op_rows import ELEMENTWISE, GENERAL, X
from tinygrad_rl.core import REGISTRY, Op
from tinygrad_rl.debug.checks import check_op


def builtin_ops():
    """Every op that a module of the package holds; the compiler's stands for a whole program."""
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith("tinygrad_rl.") and "compiler" not in name
    ]
    return {v.name for m in modules for v in vars(m).values() if isinstance(v, Op)}


def test_every_op_of_the_registry_has_a_row():
    rows = {*ELEMENTWISE, *(op.name for op, *_ in GENERAL), "astype"}
    assert builtin_ops() <= set(REGISTRY)
    assert builtin_ops() == rows


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    reference, *inputs = ELEMENTWISE[name]
    assert check_op(REGISTRY[name], inputs, reference=reference)


@pytest.mark.parametrize("op, reference, inputs, params", GENERAL, ids=[c[0].name for c in GENERAL])
def test_general(op, reference, inputs, params):
    assert check_op(op, inputs, params, reference)


def test_astype_gives_the_gradient_back_in_the_inputs_own_dtype():
    x = tg.Tensor(X, requires_grad=True)
    y = x.astype(np.float32)
    y.backward(tg.ones_like(y))
    assert y.dtype == np.float32
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, np.ones_like(X))
    assert tg.gradgradcheck(lambda x: x.astype(np.float64) * x, [x])
    assert not x.astype(np.int64).requires_grad
    assert x.astype(np.float64) is x
