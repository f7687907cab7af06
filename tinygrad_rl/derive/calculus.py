"""The rules of calculus on syntax trees.

    derive(tree, "x")     # the tree of the derivative, with zeros and ones left out

Every name in a tree is an argument, and every function a key of `DERIVATIVES`.
"""

import ast
import math
from collections.abc import Mapping
from typing import Any

# d f(u) / du for every function that an expression may call. `u` (and `v`) stand for the arguments.
DERIVATIVES: dict[str, tuple[str, ...]] = {
    "exp": ("exp(u)",),
    "exp2": ("exp2(u) * 0.6931471805599453",),
    "expm1": ("exp(u)",),
    "log": ("1 / u",),
    "log2": ("1.4426950408889634 / u",),
    "log10": ("0.4342944819032518 / u",),
    "log1p": ("1 / (1 + u)",),
    "sqrt": ("0.5 / sqrt(u)",),
    "sin": ("cos(u)",),
    "cos": ("-sin(u)",),
    "tan": ("1 + tan(u) ** 2",),
    "arcsin": ("1 / sqrt(1 - u * u)",),
    "arccos": ("-1 / sqrt(1 - u * u)",),
    "arctan": ("1 / (1 + u * u)",),
    "sinh": ("cosh(u)",),
    "cosh": ("sinh(u)",),
    "tanh": ("1 - tanh(u) ** 2",),
    "erf": ("1.1283791670955126 * exp(-u * u)",),
    "sigmoid": ("sigmoid(u) * sigmoid(-u)",),
    "softplus": ("sigmoid(u)",),
    "logsigmoid": ("sigmoid(-u)",),
    "abs": ("sign(u)",),
    "sign": ("0",),
    "floor": ("0",),
    "ceil": ("0",),
    "trunc": ("0",),
    "round": ("0",),
    # Ties share the gradient equally.
    "maximum": (
        "1 if u > v else (0.5 if u == v else 0)",
        "1 if v > u else (0.5 if u == v else 0)",
    ),
    "minimum": (
        "1 if u < v else (0.5 if u == v else 0)",
        "1 if v < u else (0.5 if u == v else 0)",
    ),
    # d u**v / dv is 0 where u is 0, as its limit for v > 0; u**0 is constant.
    "pow": (
        "v * pow(u, v - 1) if v != 0 else 0",
        "pow(u, v) * log(u) if u != 0 else (0 if v >= 0 else -pow(u, v))",
    ),
}


def derive(e: ast.expr, x: str) -> ast.expr:
    """d e / d x, on syntax trees."""
    match e:
        case ast.Name(id=name):
            return number_node(1 if name == x else 0)
        case ast.Constant() | ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return number_node(0)
        case ast.UnaryOp(op=ast.USub(), operand=u):
            return _neg(derive(u, x))
        case ast.UnaryOp(op=ast.UAdd(), operand=u):
            return derive(u, x)
        case ast.IfExp(test=test, body=a, orelse=b):
            da, db = derive(a, x), derive(b, x)
            return da if ast.dump(da) == ast.dump(db) else ast.IfExp(copied(test), da, db)
        case ast.BinOp(left=u, op=op, right=v):
            return _derive_binary(u, op, v, x)
        case ast.Call(args=args):
            total: ast.expr = number_node(0)
            for rule, argument in zip(DERIVATIVES[function_name(e)], args, strict=True):
                inner = derive(argument, x)
                if not _is(inner, 0):
                    total = plus(total, times(template(rule, args), inner))
            return total
    raise AssertionError(ast.dump(e))


def _derive_binary(u: ast.expr, op: ast.operator, v: ast.expr, x: str) -> ast.expr:
    du, dv = derive(u, x), derive(v, x)
    match op:
        case ast.Add():
            return plus(du, dv)
        case ast.Sub():
            return _sub(du, dv)
        case ast.Mult():
            return plus(times(du, v), times(u, dv))
        case ast.Div():
            by_v = times(
                _neg(ast.BinOp(copied(u), ast.Div(), ast.BinOp(copied(v), ast.Mult(), copied(v)))),
                dv,
            )
            return plus(_div(du, v), number_node(0) if _is(dv, 0) else by_v)
        case ast.Pow():
            if isinstance(v, ast.Constant):
                n: Any = v.value
                return times(times(number_node(n), _power(u, n - 1)), du) if n else number_node(0)
            base, exponent = DERIVATIVES["pow"]
            by_u = number_node(0) if _is(du, 0) else times(template(base, [u, v]), du)
            by_v = number_node(0) if _is(dv, 0) else times(template(exponent, [u, v]), dv)
            return plus(by_u, by_v)
        case ast.Mod():  # u - v * floor(u / v)
            quotient = ast.Call(
                name_node("floor"), [ast.BinOp(copied(u), ast.Div(), copied(v))], []
            )
            return _sub(du, times(quotient, dv))
        case ast.FloorDiv():
            return number_node(0)
    raise AssertionError(op)


def template(rule: str, arguments: list[ast.expr]) -> ast.expr:
    """A row of `DERIVATIVES` with the actual arguments in the place of u and v."""
    names = dict(zip("uv", arguments, strict=False))
    return Substitute(names).visit(ast.parse(rule, mode="eval").body)


def name_node(name: str) -> ast.expr:
    """The name, as a node of a tree."""
    return ast.Name(name, ast.Load())


def copied(e: ast.expr) -> ast.expr:
    """A deep copy."""
    return Substitute({}).visit(e)


def number_node(value: float) -> ast.expr:
    """The number, as a node of a tree; the sign is a node of its own."""
    if value < 0 or (value == 0 and math.copysign(1, value) < 0):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _is(e: ast.expr, value: float) -> bool:
    return isinstance(e, ast.Constant) and not isinstance(e.value, bool) and e.value == value


def _neg(u: ast.expr) -> ast.expr:
    if isinstance(u, ast.UnaryOp) and isinstance(u.op, ast.USub):
        return u.operand
    return u if _is(u, 0) else ast.UnaryOp(ast.USub(), u)


def plus(u: ast.expr, v: ast.expr) -> ast.expr:
    """`u + v`, or less where one of them is 0."""
    if _is(u, 0):
        return v
    return u if _is(v, 0) else ast.BinOp(u, ast.Add(), v)


def _sub(u: ast.expr, v: ast.expr) -> ast.expr:
    if _is(v, 0):
        return u
    return _neg(v) if _is(u, 0) else ast.BinOp(u, ast.Sub(), v)


def times(u: ast.expr, v: ast.expr) -> ast.expr:
    """`u * v`, or less where one of them is 0 or 1."""
    if _is(u, 0) or _is(v, 0):
        return number_node(0)
    if _is(u, 1):
        return copied(v)
    return copied(u) if _is(v, 1) else ast.BinOp(copied(u), ast.Mult(), copied(v))


def _div(u: ast.expr, v: ast.expr) -> ast.expr:
    return number_node(0) if _is(u, 0) else ast.BinOp(u, ast.Div(), copied(v))


def _power(u: ast.expr, exponent: float) -> ast.expr:
    if exponent == 0:
        return number_node(1)
    return copied(u) if exponent == 1 else ast.BinOp(copied(u), ast.Pow(), number_node(exponent))


class Substitute(ast.NodeTransformer):
    """A deep copy with expressions in the place of names."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: D102
        value = self.values.get(node.id)
        return name_node(node.id) if value is None else copied(value)

    def visit_Call(self, node: ast.Call) -> ast.expr:  # noqa: D102
        return ast.Call(name_node(function_name(node)), [self.visit(a) for a in node.args], [])

    def generic_visit(self, node: ast.AST) -> Any:  # noqa: D102
        fields = {
            name: [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
            if isinstance(value, list)
            else self.visit(value)
            if isinstance(value, ast.AST)
            else value
            for name, value in ast.iter_fields(node)
        }
        return type(node)(**fields)


def function_name(node: ast.Call) -> str:
    """The key of `DERIVATIVES` that a call names."""
    assert isinstance(node.func, ast.Name)
    return node.func.id
