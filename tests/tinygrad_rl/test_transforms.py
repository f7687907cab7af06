"""Jacobians, Hessians and their products against formulas worked out by hand, in float64."""

import numpy as np
import pytest

import tinygrad_rl as tg

A = np.array([[1.0, 2.0, -1.0], [0.5, -3.0, 2.0]])
X = np.array([0.3, -1.2, 0.7])


def tensor(array: object, **kwargs: bool) -> tg.Tensor:
    return tg.Tensor(np.asarray(array, float), **kwargs)


def close(tensor: tg.Tensor, expected: object) -> None:
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-12, atol=1e-14)


def affine_sine(x: tg.Tensor) -> tg.Tensor:
    """sin(A x), with the Jacobian diag(cos(A x)) A."""
    return (tensor(A) @ x).sin()


JACOBIAN = np.diag(np.cos(A @ X)) @ A


def test_jacobian() -> None:
    close(tg.jacobian(affine_sine, tensor(X)), JACOBIAN)


def test_vjp_and_jvp_are_products_with_the_jacobian() -> None:
    v, u = np.array([0.3, -2.0]), np.array([1.0, 0.1, -0.4])
    out, left = tg.vjp(affine_sine, tensor(X), tensor(v))
    close(out, np.sin(A @ X))
    close(left, v @ JACOBIAN)
    out, right = tg.jvp(affine_sine, tensor(X), tensor(u))
    close(out, np.sin(A @ X))
    close(right, JACOBIAN @ u)


def test_several_inputs_and_outputs_come_as_tuples() -> None:
    def fn(a: tg.Tensor, b: tg.Tensor) -> tuple[tg.Tensor, tg.Tensor]:
        return a * b.sum(), b**2

    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    (aa, ab), (ba, bb) = tg.jacobian(fn, (tensor(a), tensor(b)))
    close(aa, np.eye(2) * 12)
    close(ab, np.outer(a, np.ones(3)))
    close(ba, np.zeros((3, 2)))
    close(bb, np.diag(2 * b))
    outs, products = tg.vjp(fn, (tensor(a), tensor(b)), (np.ones(2), np.ones(3)))
    assert len(outs) == 2
    close(products[0], [12.0, 12.0])
    close(products[1], 3.0 + 2 * b)
    outs, products = tg.jvp(fn, (tensor(a), tensor(b)), (np.ones(2), np.ones(3)))
    close(products[0], 12 + 3 * a)
    close(products[1], 2 * b)


def test_hessian_of_a_cubic_and_of_a_quadratic_form() -> None:
    close(tg.hessian(lambda x: (x**3).sum(), tensor(X)), np.diag(6 * X))
    m = A.T @ A + np.arange(9.0).reshape(3, 3)
    close(tg.hessian(lambda x: x @ tensor(m) @ x, tensor(X)), m + m.T)


def test_hessian_of_two_inputs_has_four_blocks() -> None:
    (xx, xy), (yx, yy) = tg.hessian(
        lambda x, y: (x * x).sum() * y.sum(), (tensor([1.0, 2.0]), tensor([3.0]))
    )
    close(xx, 2 * 3.0 * np.eye(2))
    close(xy, [[2.0], [4.0]])
    close(yx, [[2.0, 4.0]])
    close(yy, [[0.0]])


def test_hvp_is_the_hessian_times_v() -> None:
    v = np.array([1.0, -2.0, 0.5])
    value, product = tg.hvp(lambda x: (x**3).sum(), tensor(X), tensor(v))
    close(value, (X**3).sum())
    close(product, 6 * X * v)


def test_value_and_grad() -> None:
    value, (dx, dw) = tg.value_and_grad(
        lambda x, w: ((x * w) ** 2).sum(), (tensor(X), tensor([2.0, 3.0, 4.0]))
    )
    w = np.array([2.0, 3.0, 4.0])
    close(value, ((X * w) ** 2).sum())
    close(dx, 2 * X * w**2)
    close(dw, 2 * X**2 * w)
    assert not (value.requires_grad or dx.requires_grad)


def test_what_depends_on_nothing_gives_zeros() -> None:
    constant = tensor([1.0, 2.0])
    close(tg.jacobian(lambda x: constant, tensor(X)), np.zeros((2, 3)))
    close(tg.jvp(lambda x: constant, tensor(X), tensor(X))[1], np.zeros(2))
    close(tg.vjp(lambda x: constant, tensor(X), constant)[1], np.zeros(3))
    close(tg.hessian(lambda x: x.sum(), tensor(X)), np.zeros((3, 3)))
    close(tg.hvp(lambda x: x.sum(), tensor(X), tensor(X))[1], np.zeros(3))


def test_identity_scalars_and_empty_arrays() -> None:
    close(tg.jacobian(lambda x: x, tensor(X)), np.eye(3))
    close(tg.hessian(lambda x: x**4, tensor(2.0)), 48.0)
    assert tg.jacobian(lambda x: x * 2, tensor(np.zeros((0, 2)))).shape == (0, 2, 0, 2)


def test_inputs_stay_as_they_are() -> None:
    x = tensor(X, requires_grad=True)
    plain = tensor(X)
    for t in (x, plain):
        result = tg.hessian(lambda x: (x**3).sum(), t)
        assert not result.requires_grad
    assert x.grad is None and x.requires_grad and not plain.requires_grad


def test_create_graph_makes_results_differentiable_in_inputs_and_in_what_fn_uses() -> None:
    x, w = tensor(X, requires_grad=True), tensor(2.0, requires_grad=True)
    h = tg.hessian(lambda x: w * (x**4).sum(), x, create_graph=True)
    dx, dw = tg.grad(h.sum(), (x, w))
    close(dx, 2 * 24 * X)
    close(dw, (12 * X**2).sum())
    for product in (
        lambda: tg.jvp(lambda x: w * x**3, x, np.ones(3), create_graph=True)[1],
        lambda: tg.vjp(lambda x: w * x**3, x, np.ones(3), create_graph=True)[1],
        lambda: tg.value_and_grad(lambda x: (w * x**3).sum(), x, create_graph=True)[1],
    ):
        close(tg.grad(product().sum(), x)[0], 2 * 6 * X)
    hv = tg.hvp(lambda x: w * (x**4).sum(), x, np.ones(3), create_graph=True)[1]
    close(tg.grad(hv.sum(), x)[0], 2 * 24 * X)


def test_transforms_nest() -> None:
    third = tg.jacobian(
        lambda x: tg.hessian(lambda y: (y**4).sum(), x, create_graph=True), tensor([2.0])
    )
    close(third, [[[48.0]]])


def test_transforms_work_under_no_grad() -> None:
    with tg.no_grad():
        close(tg.jacobian(affine_sine, tensor(X)), JACOBIAN)
        close(tg.hvp(lambda x: (x**3).sum(), tensor(X), tensor(X))[1], 6 * X * X)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: tg.hessian(lambda x: x * 2, x), ValueError, r"one number, not \(3,\)"),
        (lambda x: tg.value_and_grad(lambda x: (x, x), x), ValueError, "one number, not tuple"),
        (lambda x: tg.jacobian(lambda x: 3.0, x), TypeError, "returned float"),
        (lambda x: tg.jvp(affine_sine, x, np.ones(2)), ValueError, r"v\[0\] has shape \(2,\)"),
        (lambda x: tg.vjp(affine_sine, x, (X, X)), ValueError, "2 tensors in v for 1 output"),
        (lambda x: tg.vjp(affine_sine, x), RuntimeError, "scalar"),
    ],
)
def test_wrong_calls_are_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call(tensor(X))
