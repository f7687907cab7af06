"""Derivatives of functions: products with the Jacobian, the Jacobian itself, the Hessian.

    hessian(lambda x: (x ** 3).sum(), x)          # diag(6 x)
    value, (dx, dw) = value_and_grad(loss, (x, w))

`fn` takes the inputs as separate tensors. Where one tensor is given as `inputs`, results have the
form of one; where a tuple is given, they are tuples. `fn` is differentiated at the inputs'
values: their `.grad` and their own flags stay untouched, and the results are constants, unless
`create_graph` asks for results that can be differentiated again with respect to the inputs (and
whatever `fn` uses besides).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_rl.autodiff import grad
from tinygrad_rl.core import Tensor, alias, as_tensor, wrap
from tinygrad_rl.grad_mode import enable_grad
from tinygrad_rl.ops.join import stack
from tinygrad_rl.ops.shape import copy, reshape
from tinygrad_rl.spelling import counted, misplaced

Function = Callable[..., Any]
Tensors = Tensor | tuple[Tensor, ...]


def value_and_grad(fn: Function, inputs: Any, create_graph: bool = False) -> tuple[Tensor, Any]:
    """`fn(*inputs)`, a scalar, and its gradients: arrays of the inputs' shapes.

    Raises
    ------
    ValueError : when `fn` does not return one number.
    """
    xs, out = _run("value_and_grad", fn, inputs, create_graph)
    _check_scalar("value_and_grad", out)
    gradients = _gradients([out], xs, [None], create_graph)
    return _result(out, create_graph), _like(inputs, gradients)


def vjp(fn: Function, inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and the vector-Jacobian product v^T J: one backward sweep.

    Parameters
    ----------
    v : of the outputs' shapes; may be left out for a scalar.

    Raises
    ------
    ValueError : when `v` does not fit the outputs.
    """
    xs, out = _run("vjp", fn, inputs, create_graph)
    outs = _as_tuple(out)
    vs: Sequence[Any] = [None] * len(outs) if v is None else _matching("v", v, outs, "output")
    gradients = _gradients(outs, xs, vs, create_graph)
    return _result(out, create_graph), _like(inputs, gradients)


def jvp(fn: Function, inputs: Any, v: Any, create_graph: bool = False) -> tuple[Any, Any]:
    """The outputs, and the product J v: how they change when the inputs move along `v`.

    With reverse mode alone: u^T J is linear in u, and its derivative along v is J v.

    Parameters
    ----------
    v : of the inputs' shapes.

    Raises
    ------
    ValueError : when `v` does not fit the inputs.
    """
    xs, out = _run("jvp", fn, inputs, create_graph)
    outs = _as_tuple(out)
    vs = _matching("v", v, xs, "input")
    us = tuple(Tensor(np.zeros(o.shape, o.dtype), requires_grad=True) for o in outs)
    with enable_grad():
        products = _gradients(outs, xs, us, create_graph=True)
    results = _gradients(products, us, vs, create_graph)
    return _result(out, create_graph), _like(out, results)


def jacobian(fn: Function, inputs: Any, create_graph: bool = False) -> Any:
    """All first derivatives: for each output and input a tensor of output.shape + input.shape.

    One backward sweep for each number in the outputs. With several inputs a tuple over them, with
    several outputs a tuple of those.
    """
    xs, out = _run("jacobian", fn, inputs, create_graph)
    rows = [_like(inputs, _jacobian_of(o, xs, create_graph)) for o in _as_tuple(out)]
    return _like(out, rows)


def _jacobian_of(out: Tensor, xs: Sequence[Tensor], create_graph: bool) -> list[Tensor]:
    rows: list[Sequence[Tensor]] = []
    for i in range(out.size):
        unit = np.zeros(out.size, out.dtype)
        unit[i] = 1
        seed = wrap(unit.reshape(out.shape))
        rows.append(_gradients([out], xs, [seed], create_graph, retain_graph=True))
    shapes = [(*out.shape, *x.shape) for x in xs]
    if not rows:
        return [Tensor(np.zeros(s, x.dtype)) for s, x in zip(shapes, xs, strict=True)]
    columns = zip(*rows, strict=True)
    with enable_grad():
        return [reshape(stack(column), s) for column, s in zip(columns, shapes, strict=True)]


def hessian(fn: Function, inputs: Any, create_graph: bool = False) -> Any:
    """All second derivatives of a scalar function: for inputs a, b a tensor of a.shape + b.shape.

    With several inputs a tuple of tuples, a row for each.

    Raises
    ------
    ValueError : when `fn` does not return one number.
    """
    if not callable(fn):
        raise misplaced("hessian", "the function first", fn)

    def gradient(*xs: Tensor) -> Any:
        out = fn(*xs)
        _check_scalar("hessian", out)
        return _like(inputs, _gradients([out], xs, [None], create_graph=True))

    return jacobian(gradient, inputs, create_graph)


def hvp(fn: Function, inputs: Any, v: Any, create_graph: bool = False) -> tuple[Tensor, Any]:
    """The value of a scalar function, and its Hessian times `v`, at the cost of two sweeps.

    Parameters
    ----------
    v : of the inputs' shapes.

    Raises
    ------
    ValueError : when `fn` does not return one number, or `v` does not fit the inputs.
    """
    xs, out = _run("hvp", fn, inputs, create_graph)
    _check_scalar("hvp", out)
    vs = _matching("v", v, xs, "input")
    with enable_grad():
        first = _gradients([out], xs, [None], create_graph=True)
    second = _gradients(first, xs, vs, create_graph)
    return _result(out, create_graph), _like(inputs, second)


# -- what they share -------------------------------------------------------------------------------


def _run(
    name: str, fn: Function, inputs: Any, create_graph: bool
) -> tuple[tuple[Tensor, ...], Any]:
    """Stand-ins for the inputs that require a gradient, and what `fn` makes of them."""
    if not callable(fn):
        raise misplaced(name, "the function first", fn)
    with enable_grad():
        xs = tuple(_variable(as_tensor(x), create_graph) for x in _as_tuple(inputs))
        out = fn(*xs)
    for o in _as_tuple(out):
        if not isinstance(o, Tensor):
            raise TypeError(f"fn returned {type(o).__name__}, not a tensor or a tuple of tensors")
    return xs, out


def _variable(x: Tensor, create_graph: bool) -> Tensor:
    if create_graph and x.requires_grad:
        return copy(x)
    return alias(x).requires_grad_()


def _gradients(
    outs: Sequence[Tensor],
    xs: Sequence[Tensor],
    seeds: Sequence[Any],
    create_graph: bool,
    retain_graph: bool | None = None,
) -> list[Tensor]:
    """As `grad`, with zeros wherever nothing depends on anything."""
    live = [o for o in outs if o.requires_grad]
    given = [s for o, s in zip(outs, seeds, strict=True) if o.requires_grad]
    if not live:
        return [Tensor(np.zeros(x.shape, x.dtype)) for x in xs]
    with enable_grad():
        gradients = grad(live, xs, given, create_graph, retain_graph, materialize_grads=True)
    return [g for g in gradients if g is not None]


def _result(out: Any, create_graph: bool) -> Any:
    return _like(out, [o if create_graph else o.detach() for o in _as_tuple(out)])


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _like(form: Any, values: Sequence[Any]) -> Any:
    """A tuple where `form` is one, else the only value."""
    return tuple(values) if isinstance(form, (tuple, list)) else values[0]


def _matching(name: str, given: Any, like: Sequence[Tensor], what: str) -> list[Tensor]:
    values = [as_tensor(v) for v in _as_tuple(given)]
    if len(values) != len(like):
        raise ValueError(
            f"{counted(len(values), 'tensor')} in {name} for {counted(len(like), what)}"
        )
    for i, (v, w) in enumerate(zip(values, like, strict=True)):
        if v.shape != w.shape:
            raise ValueError(f"{name}[{i}] has shape {v.shape}, the {what} there {w.shape}")
    return values


def _check_scalar(name: str, out: Any) -> None:
    if not isinstance(out, Tensor) or out.size != 1:
        shape = out.shape if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(f"{name} needs a function that returns one number, not {shape}")
