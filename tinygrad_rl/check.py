"""Compare gradients with central differences: `gradcheck` for any function, in float64.

gradcheck(lambda x, w: (x @ w).tanh().sum(), (x, w))      # True, or an error with the worst entry
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_rl.autodiff import grad
from tinygrad_rl.core import Tensor, as_tensor, wrap

Function = Callable[..., Tensor]
Array = np.ndarray[Any, Any]


def gradcheck(
    fn: Function,
    inputs: Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-4,
) -> bool:
    """Check the gradients of `fn` with respect to every input that requires one.

    Parameters
    ----------
    fn : takes the inputs as tensors and returns a tensor of any shape.
    inputs : tensors; those that require a gradient must be float64.
    eps : half the step of the central difference.
    atol, rtol : accepted absolute and relative difference.

    Raises
    ------
    AssertionError : naming the input, the entry, and the two values, for the worst entry.
    TypeError : when an input that requires a gradient is not float64.
    """
    inputs = [as_tensor(t) for t in inputs]
    wanted = [i for i, t in enumerate(inputs) if t.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: no input requires a gradient")
    for i in wanted:
        if inputs[i].dtype != np.float64:
            raise TypeError(f"gradcheck needs float64, input {i} is {inputs[i].dtype}")
    out = fn(*inputs)
    # One random projection of the output tests all of its entries at once.
    v = _directions(out.shape)
    gradients: Sequence[Tensor | None] = [None] * len(wanted)
    if out.requires_grad:
        gradients = grad(out, [inputs[i] for i in wanted], wrap(v), allow_unused=True)
    for i, g in zip(wanted, gradients, strict=True):
        analytic = np.zeros(inputs[i].shape) if g is None else g.numpy()
        numeric = _numeric(fn, inputs, i, v, eps)
        _compare(i, analytic, numeric, atol, rtol)
    return True


def gradgradcheck(
    fn: Function,
    inputs: Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-4,
) -> bool:
    """`gradcheck` of the gradient itself: second-order derivatives. Parameters and errors as there."""
    inputs = [as_tensor(t) for t in inputs]
    wanted = [i for i, t in enumerate(inputs) if t.requires_grad]
    out = fn(*inputs)
    seed = Tensor(_directions(out.shape), requires_grad=True)

    def first(*args: Tensor) -> Tensor:
        y = fn(*args[:-1])
        targets = [args[i] for i in wanted]
        gs = grad(y, targets, args[-1], create_graph=True, materialize_grads=True)
        total = None
        for k, g in enumerate(gs):
            assert g is not None
            term = (g * wrap(_directions(g.shape, k))).sum()
            total = term if total is None else total + term
        assert total is not None
        return total

    return gradcheck(first, [*inputs, seed], eps, atol, rtol)


def _directions(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(1234 + seed).uniform(0.5, 1.5, shape)


def _numeric(fn: Function, inputs: Sequence[Tensor], i: int, v: Array, eps: float) -> Array:
    base = inputs[i].numpy()
    out = np.zeros(base.shape)
    for index in np.ndindex(base.shape):
        sides = []
        for sign in (1, -1):
            moved = base.copy()
            moved[index] += sign * eps
            args = list(inputs)
            args[i] = Tensor(moved, requires_grad=True)
            sides.append(float((fn(*args).numpy() * v).sum()))
        out[index] = (sides[0] - sides[1]) / (2 * eps)
    return out


def _compare(i: int, analytic: Array, numeric: Array, atol: float, rtol: float) -> None:
    bad = ~(np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric))
    if not bad.any():
        return
    error = np.where(bad, np.nan_to_num(np.abs(analytic - numeric), nan=np.inf), -1)
    worst = np.unravel_index(int(error.argmax()), error.shape)
    entry = tuple(int(k) for k in worst)
    raise AssertionError(
        f"the gradient of input {i} is wrong at entry {entry}: analytic {analytic[worst]:.8g}, numeric "
        f"{numeric[worst]:.8g} ({int(bad.sum())} of {bad.size} entries differ)"
    )
