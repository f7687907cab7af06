"""`@elementwise`: an op from a scalar function.

    @elementwise
    def swish(x, beta):
        return x / (1 + math.exp(-beta * x))

That is all: what follows from the function's source stands in `core/elements.py`. A rule written
by hand is compared with the function's slope before the op is accepted.
"""

import ast
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, overload

import numpy as np

from tinygrad_rl.core import FUNCTIONS, REGISTRY, Elementwise, Rowwise
from tinygrad_rl.derive import DeriveError, Scalar, parse, parse_rows, parse_text
from tinygrad_rl.spelling import misplaced

_AnyOp = TypeVar("_AnyOp", Elementwise, Rowwise)


def builtin(signature: str, text: str = "", /, **rules: str) -> Elementwise:
    """An op of this package as a line of a table: `builtin("square(x)", "x * x")`.

    Without a text it is the function that expressions know by that name. The rules are not compared
    with the function's slope: the op checks cover them, so importing needn't.
    """
    name, args, defaults = _signature(signature)
    op = _declare(name, args, lambda: parse_text(text or signature, args), rules, defaults)
    op.__doc__ = f"`{text or signature}` of every element."
    FUNCTIONS[name] = op
    return op


def builtin_rowwise(signature: str, text: str, /, **rules: str) -> Rowwise:
    """`rowwise` for an op of this package, whose rules the op checks cover."""
    name, args, defaults = _signature(signature)
    numbers = args[len(args) - len(defaults) :]
    op = Rowwise(name, args, lambda: parse_rows(text, args, (), numbers), rules, defaults)
    op.__doc__ = f"`{text}` over `axis`."
    return op


def rowwise(signature: str, text: str, /, **rules: str) -> Rowwise:
    """An op with sums and extremes over axes: `rowwise("length(x)", "sqrt(sum(x * x))")`.

    It is called with `axis` (-1) and, where there is one result for a row, `keepdims` (False).

    Parameters
    ----------
    signature : the name and the inputs; one with a default is a number, not a tensor with rows.
    text : arithmetic and functions as in `elementwise`, and `sum`, `mean`, `max` and `min` of one
        argument, over the row; `n` is the number of elements of the row.
    rules : a gradient rule for an input, as an expression of `g` (the incoming gradient), `y` (the
        output), the inputs and `n`, where one is stabler or cheaper than what is derived.

    Raises
    ------
    DeriveError : when a text uses a name that is neither an argument nor a known function.
    ValueError : when a rule is wrong, with the inputs, its value and the one that was derived.
    """

    def declare() -> Rowwise:
        op = builtin_rowwise(signature, text, **rules)
        inputs = [a for a in op.args if a not in op.rows.numbers]
        if unknown := [a for a in rules if a not in inputs]:
            raise DeriveError(f"{op.name!r} has no input {unknown[0]!r} to give a rule for")
        for arg in inputs:
            check_row_rule(op, arg)
        return op

    return _registered(declare)


def _signature(text: str) -> tuple[str, tuple[str, ...], tuple[float, ...]]:
    """The name, the arguments and the defaults of the last ones that a call spells."""
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    defaults = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
    args = (*map(ast.unparse, call.args), *defaults)
    return ast.unparse(call.func), args, tuple(defaults.values())


def _declare(
    name: str,
    args: tuple[str, ...],
    read: Callable[[], Scalar],
    rules: dict[str, str],
    defaults: tuple[float, ...],
) -> Elementwise:
    renamed = Scalar(args, ast.Constant(0)).renamed().args
    return Elementwise(name, renamed, lambda: read().renamed(), rules, defaults)


def _of_source(function: Callable[..., Any], rules: dict[str, str]) -> Elementwise:
    if not isinstance(function, FunctionType):
        raise misplaced("elementwise", "a function", function)
    code = function.__code__
    args = code.co_varnames[: code.co_argcount]
    name, defaults = function.__name__.rstrip("_"), function.__defaults__ or ()
    op = _declare(name, args, lambda: parse(function), rules, defaults)
    op.__doc__ = function.__doc__
    return op


@overload
def elementwise(function: Callable[..., Any], /) -> Elementwise: ...
@overload
def elementwise(**rules: str) -> Callable[[Callable[..., Any]], Elementwise]: ...
def elementwise(function: Callable[..., Any] | None = None, /, **rules: str) -> Any:
    """Make an op from a scalar function; its derivatives are taken from its source.

    Parameters
    ----------
    function : `def f(x, a): return ...` with arithmetic, the math functions (bare, `math.` or
        `np.`), conditional expressions, numbers from the surrounding scope and other elementwise
        ops. Its defaults are the op's.
    rules : a gradient rule for an input, as an expression of `g` (the incoming gradient), `y` (the
        output) and the inputs, where a more stable or cheaper formula is known than the derived
        one: `@elementwise(x="g * (1 - y * y)")`.

    Raises
    ------
    DeriveError : naming the line that can't be derived and why.
    ValueError : when a rule is wrong, with the point, the rule's value and the numeric derivative.
    """
    if function is None:
        return lambda f: _checked(lambda: _of_source(f, rules))
    return _checked(lambda: _of_source(function, {}))


def _checked(read: Callable[[], Elementwise]) -> Elementwise:
    """Declare an elementwise op and check its rules."""

    def declare() -> Elementwise:
        op = read()
        op.scalar  # noqa: B018 (reads the source now, so that an error comes at the definition)
        if unknown := set(op.given) - set(op.args):
            raise DeriveError(f"{op.name!r} has no argument {min(unknown)!r} to give a rule for")
        for arg in op.args:
            if arg not in op.scalar.conditions and not op.scalar.is_boolean:
                check_rule(op, arg)
        return op

    return _registered(declare)


def _registered(declare: Callable[[], _AnyOp]) -> _AnyOp:
    """Declare an op; one that is refused leaves no trace in the registry."""
    before = dict(REGISTRY)
    try:
        return declare()
    except Exception:
        REGISTRY.clear()
        REGISTRY.update(before)
        raise


def check_row_rule(op: Rowwise, arg: str) -> None:
    """Compare the rule of one input with the derived one, in float64, on rows of every kind.

    Raises
    ------
    ValueError : naming the inputs, the two numbers and the entry.
    """
    if arg not in op.given:
        op.rows.vjp(arg)  # reads the text
        return
    rng = np.random.default_rng(0)
    position = op.args.index(arg)
    for low, high in ((-2.0, 2.0), (0.1, 3.0)):
        values = {a: rng.uniform(low, high, (2, 3)) for a in op.args}
        values |= {a: np.array(v) for a, v in zip(op.args[::-1], op.defaults[::-1], strict=False)}
        given, derived = op.rule_values(position, values, rng.uniform(0.5, 1.5, (2, 3)))
        close = np.isclose(given, derived, 1e-6, 1e-9, equal_nan=True)
        if not close.all():
            at = tuple(int(i) for i in np.argwhere(~close)[0])
            shown = ", ".join(f"{a} = {np.round(v, 3)}" for a, v in values.items())
            raise ValueError(
                f"the gradient rule of {op.name!r} for {arg!r} is wrong: it gives "
                f"{given[at]:.6g} at entry {at}, derived is {derived[at]:.6g} (rule: "
                f"{op.given[arg]}; rows along axis 1, {shown})".replace("\n", "")
            )


# On both sides of the usual kinks; the far ones serve functions that are defined only there.
_NEAR = (-2.37, -0.83, -0.19, 0.13, 0.61, 1.43, 2.91)
_FAR = (-37.3, -9.1, -4.7, 3.3, 4.9, 8.3, 41.7)


def check_rule(op: Elementwise, arg: str) -> None:
    """Compare the rule of one input with central differences in float64, at points on every side.

    Raises
    ------
    ValueError : naming the point, the two numbers and the input; also when a rule written by hand
        can't be checked, because the function has a slope at none of the points.
    """
    checked = any(
        sum(_agrees_at(op, arg, point) for point in _grid(values, len(op.args)))
        for values in (_NEAR, _FAR)
    )
    if not checked and arg in op.given:
        raise ValueError(
            f"the gradient rule of {op.name!r} for {arg!r} can't be checked: the function has a "
            f"slope at none of the points {', '.join(map(str, _NEAR + _FAR))}; leave the rule out "
            "to have it derived"
        )


def _grid(values: tuple[float, ...], count: int) -> list[list[float]]:
    """Points of `count` coordinates: every pair of values in the first two, others in the next."""
    n = len(values)
    return [
        [values[(k // n ** (i % 2) + 3 * (i // 2)) % n] + 0.017 * i for i in range(count)]
        for k in range(n ** min(2, count))
    ]


def _agrees_at(op: Elementwise, arg: str, point: list[float]) -> bool:
    """Whether there is a slope at the point to compare with; raises when the rule differs."""
    rule, scalar = op.rule_scalar(arg), op.scalar
    estimate = _slope(scalar, point, scalar.args.index(arg))
    if estimate is None:
        return False
    numeric, tolerance = estimate
    for g in (1.0, -0.5):  # with 1 alone, g * g would look right too
        values = {"g": g, "y": scalar(*point), **dict(zip(scalar.args, point, strict=True))}
        analytic = rule(*(values[a] for a in rule.args))
        if not abs(analytic - g * numeric) <= tolerance:
            where = ", ".join(f"{a} = {v}" for a, v in zip(scalar.args, point, strict=True))
            raise ValueError(
                f"the gradient rule of {op.name!r} for {arg!r} is wrong: at {where} it gives "
                f"{analytic:.6g} for g = {g}, the slope of the function there is {numeric:.6g}, "
                f"times g {g * numeric:.6g} (rule: {rule.text})"
            )
    return True


def _slope(scalar: Scalar, point: list[float], position: int) -> tuple[float, float] | None:
    """The numeric derivative and how far to trust it; None outside the domain and at kinks."""

    def central(h: float) -> float:
        high, low = list(point), list(point)
        high[position] += h
        low[position] -= h
        return (scalar(*high) - scalar(*low)) / (2 * h)

    coarse, fine = central(1e-4), central(5e-5)
    scale = max(1.0, abs(fine), abs(scalar(*point)))
    if not (math.isfinite(coarse) and math.isfinite(fine)) or abs(coarse - fine) > 1e-4 * scale:
        return None
    return fine, 1e-5 * scale + 10 * abs(coarse - fine)
