"""Prove an op right: `gradcheck` for any function, `check_op` for everything an op promises.

    gradcheck(lambda x, w: (x @ w).tanh().sum(), (x, w))    # True, or an error: the worst entry
    check_op(my_op, (x, w), reference=my_numpy_function)    # what every op promises

Gradients are compared with central differences, in float64.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_rl.autodiff import grad, sweep
from tinygrad_rl.core import Elementwise, Op, Tensor, as_array, as_tensor, wrap
from tinygrad_rl.grad_mode import no_grad
from tinygrad_rl.spelling import counted, misplaced

Function = Callable[..., Tensor]
Array = np.ndarray[Any, Any]
Gradients = dict[int, Array | None]


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
    inputs = _checked_inputs("gradcheck", fn, inputs)
    required = [i for i, t in enumerate(inputs) if t.requires_grad]
    if not required:
        raise ValueError("gradcheck: no input requires a gradient")
    for i in required:
        if inputs[i].dtype != np.float64:
            raise TypeError(f"gradcheck needs float64, input {i} is {inputs[i].dtype}")
    out = fn(*inputs)
    # One random projection of the output tests all of its entries at once.
    v = _directions(out.shape)
    gradients: Sequence[Tensor | None] = [None] * len(required)
    if out.requires_grad:
        gradients = grad(out, [inputs[i] for i in required], wrap(v), allow_unused=True)
    for i, g in zip(required, gradients, strict=True):
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
    """`gradcheck` of the gradient itself: second order. Parameters and errors as there."""
    inputs = _checked_inputs("gradgradcheck", fn, inputs)
    required = [i for i, t in enumerate(inputs) if t.requires_grad]
    out = fn(*inputs)
    seed = Tensor(_directions(out.shape), requires_grad=True)

    def first(*args: Tensor) -> Tensor:
        y = fn(*args[:-1])
        targets = [args[i] for i in required]
        gs = grad(y, targets, args[-1], create_graph=True, materialize_grads=True)
        found = [g for g in gs if g is not None]
        terms = [(g * wrap(_directions(g.shape, k))).sum() for k, g in enumerate(found)]
        return sum(terms[1:], terms[0])

    return gradcheck(first, [*inputs, seed], eps, atol, rtol)


def _checked_inputs(name: str, fn: Any, inputs: Any) -> list[Tensor]:
    if not callable(fn):
        raise misplaced(name, "the function first", fn)
    if not isinstance(inputs, (list, tuple)):
        raise misplaced(name, "its inputs in a tuple", inputs)
    return [as_tensor(t) for t in inputs]


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
    error = np.abs(analytic - numeric)
    bad = ~(error <= atol + rtol * np.abs(numeric))
    if not bad.any():
        return
    error = np.where(bad, np.nan_to_num(error, nan=np.inf), -1)
    worst = tuple(int(k) for k in np.unravel_index(int(error.argmax()), error.shape))
    raise AssertionError(
        f"the gradient of input {i} is wrong at entry {worst}: analytic {analytic[worst]:.8g}, "
        f"numeric {numeric[worst]:.8g} (wrong: {int(bad.sum())} of {counted(bad.size, 'entry')})"
    )


# -- op checks -------------------------------------------------------------------------------------


def check_op(
    op: Op | Function,
    inputs: Sequence[Any],
    params: dict[str, Any] | None = None,
    reference: Callable[..., Any] | None = None,
) -> bool:
    """Check everything that an op promises, with these inputs.

    Its value, shape and dtype against `reference`; its declaration against what it computes;
    float32 against float64; inputs that are not contiguous; first- and second-order gradients
    against central differences; that for each set of frozen inputs the others' gradients stay the
    same, bit by bit, and no frozen input's rule runs.
    For an elementwise op also broadcasting, 0-d and empty inputs, and NaN and infinities.

    Parameters
    ----------
    op : an Op, or a function of tensors composed of ops.
    inputs : arrays or numbers. Floats are tried in both precisions, and all of them are
        differentiated with respect to; integers and booleans are passed as they are.
    params : keyword arguments of the op.
    reference : the same function of NumPy arrays.

    Raises
    ------
    AssertionError : saying which of the checks failed and how.
    """
    case = _Case(op, [_rounded(x) for x in inputs], params or {}, reference)
    case.check_value()
    case.check_declaration()
    case.check_float32()
    case.check_layout()
    if case.is_differentiable:
        case.check_gradients()
        case.check_frozen()
    if isinstance(op, Elementwise):
        case.check_broadcasting()
        case.check_sizes()
        case.check_specials()
    return True


def _rounded(x: Any) -> Array:
    """Floats as float64 that float32 can represent: both precisions see the same values."""
    array = as_array(x.detach() if isinstance(x, Tensor) else x)
    return array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else array


class _Case:
    """An op with inputs, and the checks, each of which raises an AssertionError."""

    def __init__(
        self,
        op: Op | Function,
        arrays: list[Array],
        params: dict[str, Any],
        reference: Callable[..., Any] | None,
    ) -> None:
        self.op, self.arrays, self.params, self.reference = op, arrays, params, reference
        self.name = op.name if isinstance(op, Op) else getattr(op, "__name__", "function")
        self.floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
        self.out = self.run(arrays, ())[0]

    @cached_property
    def gradients(self) -> Gradients:
        """What the gradients are in float64, with contiguous inputs and nothing frozen."""
        return self.run(self.arrays, self.floats)[1]

    @property
    def is_differentiable(self) -> bool:
        has_rules = not isinstance(self.op, Op) or self.op.differentiable
        if self.out.dtype.kind != "f" or not self.floats or not has_rules:
            return False
        if all(g is None for g in self.gradients.values()):
            self.fail("gradient", "the result does not require a gradient although the inputs do")
        return True

    def call(self, *tensors: Tensor) -> Tensor:
        return self.op(*tensors, **self.params)

    def forward(
        self, arrays: Sequence[Array], required: Sequence[int]
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """The inputs, of which some require a gradient, the result, and a gradient of it."""
        tensors = [wrap(a) for a in arrays]
        for i in required:
            tensors[i].requires_grad_()
        out = self.call(*tensors)
        return tensors, out, wrap(_directions(out.shape).astype(out.dtype))

    def run(self, arrays: Sequence[Array], required: Sequence[int]) -> tuple[Tensor, Gradients]:
        """The result, and the gradient of each float input."""
        tensors, out, g = self.forward(arrays, required)
        if out.requires_grad:
            out.backward(g)
        return out, {
            i: None if t.grad is None else t.grad.numpy()
            for i, t in enumerate(tensors)
            if t.dtype.kind == "f"
        }

    def rules_run(self, required: Sequence[int]) -> Counter[int]:
        """How often the rule of each input runs on the way back; a composed function has none."""
        _, out, g = self.forward(self.arrays, required)
        if not isinstance(self.op, Op) or not out.requires_grad:
            return Counter()
        with no_grad():
            steps = [made for node, _, made in sweep([(out, g)], {}) if node.op is self.op]
        return Counter(position for made in steps for position, _, _ in made)

    def fail(self, check: str, message: str) -> None:
        shapes = ", ".join(f"{a.dtype}{list(a.shape)}" for a in self.arrays)
        raise AssertionError(f"{self.name}({shapes}) fails the check of its {check}: {message}")

    def expect(self, check: str, actual: Any, expected: Any, rtol: float, atol: float = 0) -> None:
        actual, expected = np.asarray(actual), np.asarray(expected)
        if actual.shape != expected.shape:
            self.fail(check, f"shape {actual.shape} instead of {expected.shape}")
        with np.errstate(all="ignore"):
            close = np.isclose(actual, expected, rtol, atol, equal_nan=True)
        if not close.all():
            at = tuple(int(i) for i in np.argwhere(~close)[0])
            self.fail(check, f"{actual[at]!r} instead of {expected[at]!r} at entry {at}")

    def expect_gradients(self, check: str, actual: Gradients, rtol: float, atol: float = 0) -> None:
        for i, g in self.gradients.items():
            if g is None or actual[i] is None:
                if g is not actual[i]:
                    self.fail(check, f"the gradient of input {i} is {actual[i]} instead of {g}")
            else:
                self.expect(f"{check}, gradient of input {i}", actual[i], g, rtol, atol)

    def check_value(self) -> None:
        if self.reference is None:
            return
        with np.errstate(all="ignore"):
            expected = np.asarray(self.reference(*self.arrays, **self.params))
        self.expect("value", self.out, expected, 1e-10, 1e-12)
        if self.out.dtype != expected.dtype:
            self.fail("dtype", f"{self.out.dtype} instead of {expected.dtype}")

    def check_declaration(self) -> None:
        """What the compiler reads from the declaration of an op is what the op computes."""
        if not isinstance(self.op, Op):
            return
        try:
            declared = self.op.declared(self.arrays, self.params)
        except ValueError as error:
            self.fail("declaration", str(error))
        if declared is not None:
            self.expect("declaration", self.out, declared, 1e-10, 1e-12)

    def check_float32(self) -> None:
        singles = [
            a.astype(np.float32) if i in self.floats else a for i, a in enumerate(self.arrays)
        ]
        out, gradients = self.run(singles, self.floats)
        if self.out.dtype.kind == "f" and self.floats and out.dtype != np.float32:
            self.fail("dtype", f"float32 inputs gave {out.dtype}")
        self.expect("float32 value", out, self.out, 1e-4, 1e-5)
        self.expect_gradients("float32", gradients, 1e-3, 1e-4)

    def check_layout(self) -> None:
        """Every other element of a larger array, in Fortran's order where there are two axes."""
        strided = [np.repeat(a, 2, -1).copy("F")[..., ::2] if a.ndim else a for a in self.arrays]
        out, gradients = self.run(strided, self.floats)
        self.expect("non-contiguous input", out, self.out, 1e-12, 1e-13)
        self.expect_gradients("non-contiguous input", gradients, 1e-12, 1e-13)

    def check_gradients(self) -> None:
        tensors = [Tensor(a, requires_grad=i in self.floats) for i, a in enumerate(self.arrays)]
        for check, function in (("gradient", gradcheck), ("second order", gradgradcheck)):
            try:
                function(self.call, tensors)
            except AssertionError as error:
                self.fail(check, str(error))

    def check_frozen(self) -> None:
        for count in range(len(self.floats)):
            for required in itertools.combinations(self.floats, count):
                calls = self.rules_run(required)
                _, gradients = self.run(self.arrays, required)
                for i in self.floats:
                    check = f"frozen input {i} (required: {list(required)})"
                    if i in required:
                        self.expect(check, gradients[i], self.gradients[i], 0)
                    elif gradients[i] is not None or calls[i]:
                        ran = f"its rule ran {counted(calls[i], 'time')}"
                        self.fail(check, f"{ran}, its gradient is {gradients[i]}")

    def check_broadcasting(self) -> None:
        """A column against a row gives what the full arrays give, and the gradients are summed."""
        if len(self.arrays) < 2:
            return
        flat = [a.reshape(-1) for a in self.arrays]
        narrow = [f[:2].reshape(2, -1) if i % 2 else f[:3] for i, f in enumerate(flat)]
        full = [a.copy() for a in np.broadcast_arrays(*narrow)]
        out, gradients = self.run(narrow, self.floats)
        expected, full_gradients = self.run(full, self.floats)
        self.expect("broadcasting", out, expected, 1e-12)
        for i, g in full_gradients.items():
            if g is not None:
                axes = tuple(k for k in range(2) if narrow[i].shape != g.shape and k == i % 2)
                summed = g.sum(axes, keepdims=narrow[i].ndim == 2)
                check = f"broadcasting, gradient of input {i}"
                self.expect(check, gradients[i], summed, 1e-10, 1e-12)

    def check_sizes(self) -> None:
        """A 0-d input is the first entry of the whole; an empty one gives an empty result."""
        first, gradients = self.run([np.asarray(a.flat[0]) for a in self.arrays], self.floats)
        self.expect("0-d input", first, self.out.numpy().reshape(-1)[0], 1e-12)
        for i, g in gradients.items():
            if g is not None and g.shape != ():
                self.fail("0-d input", f"the gradient of input {i} has shape {g.shape}")
        empty, gradients = self.run([a.reshape(-1)[:0] for a in self.arrays], self.floats)
        shapes = {empty.shape, *(g.shape for g in gradients.values() if g is not None)}
        if shapes != {(0,)}:
            self.fail("empty input", f"shape {empty.shape} and gradients {gradients}")

    def check_specials(self) -> None:
        """NaN, infinities and both zeros, against each other, in both precisions."""
        if self.reference is None or not self.floats:
            return
        for dtype in (np.float64, np.float32):
            values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -2.0], dtype)
            grid = np.meshgrid(*[values] * len(self.floats))
            arrays = [np.resize(a, grid[0].size) for a in self.arrays]
            for i, axis in zip(self.floats, grid, strict=True):
                arrays[i] = axis.reshape(-1)
            with np.errstate(all="ignore"):
                expected = self.reference(*arrays, **self.params)
            self.expect("NaN and infinity", self.call(*arrays), expected, 1e-5)  # type: ignore[arg-type]
