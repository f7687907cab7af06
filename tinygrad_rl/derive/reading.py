"""From a function's source to one expression, or to an error that says what is in the way."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_rl.derive.calculus import DERIVATIVES, copied, name_node, number_node
from tinygrad_rl.derive.scalar import Scalar

# Other spellings of the same functions, as the modules math and NumPy have them.
ALIASES = {
    "fabs": "abs",
    "absolute": "abs",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "power": "pow",
    "max": "maximum",
    "min": "minimum",
    "rint": "round",
}


_ONE_NUMBER = "the function sees one number at a time, so call it before or behind the op"
# What is called otherwise here, or not at all.
SPELT = {
    "clip": "write `min(max(x, low), high)`",
    "clamp": "write `min(max(x, low), high)`",
    "where": "write `a if condition else b`",
    "select": "write `a if condition else b`",
    "heaviside": "write `1.0 if x > 0 else 0.0`",
    "relu": "write `x if x > 0 else 0.0`",
    "square": "write `x * x`",
    "reciprocal": "write `1 / x`",
    "cbrt": "write `x ** (1 / 3)`, for x above 0",
    "rsqrt": "write `1 / sqrt(x)`",
    "arcsinh": "write `log(x + sqrt(x * x + 1))`",
    "arccosh": "write `log(x + sqrt(x * x - 1))`",
    "arctanh": "write `0.5 * log((1 + x) / (1 - x))`",
    "hypot": "write `sqrt(x * x + y * y)`",
    "logaddexp": "write `x + softplus(y - x)`",
    "add": "write `x + y`",
    "subtract": "write `x - y`",
    "multiply": "write `x * y`",
    "divide": "write `x / y`",
    "negative": "write `-x`",
    "float": "every number is a float already, so leave it out",
    "float32": "every number is a float already, so leave it out",
    "float64": "every number is a float already, so leave it out",
    "array": "every number is a float already, so leave it out",
    "asarray": "every number is a float already, so leave it out",
    "isnan": "write `x != x`",
    "isinf": "write `abs(x) == np.inf`",
    **dict.fromkeys(("sum", "mean", "prod", "dot", "matmul", "cumsum"), _ONE_NUMBER),
    **dict.fromkeys(("var", "std", "norm", "softmax"), _ONE_NUMBER),
}


class DeriveError(TypeError):
    """A function whose source can't be read as one expression; says where and why."""


def parse(function: Callable[..., Any]) -> Scalar:
    """Read a Python function of scalars as one expression.

    Allowed are arithmetic, comparisons, `and`/`or`/`not`, conditional expressions, the functions of
    `DERIVATIVES` (bare, or from the modules math and NumPy), other scalar functions, numbers from
    the surrounding scope, and plain assignments before the one `return`.

    Raises
    ------
    DeriveError
        Naming the line and what about it can't be read.
    """
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError) as error:
        raise DeriveError(
            f"the source of {function.__name__!r} is not available, and the derivative is "
            "taken from there: define it in a file or a notebook cell, not through exec or a prompt"
        ) from error
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    reader = _Reader(function, first)
    if not isinstance(tree, ast.FunctionDef):
        raise reader.refuse(tree, "an elementwise op is written with def")
    return reader.read(tree)


def parse_text(text: str, args: tuple[str, ...]) -> Scalar:
    """Read a rule given as a string, such as `"g * (1 - y * y)"`.

    Raises
    ------
    DeriveError
        When the text uses a name that is neither an argument nor a known function.
    """

    def rule() -> None: ...

    rule.__name__ = rule.__qualname__ = text
    reader = _Reader(rule, 1)
    reader.values = {a: name_node(a) for a in args}
    tree = ast.parse(text, mode="eval").body
    return Scalar(args, reader.visit(tree))


class _Reader(ast.NodeTransformer):
    """Rewrites a function's body into one expression of its arguments, or says why it can't."""

    def __init__(self, function: Callable[..., Any], first_line: int) -> None:
        self.function = function
        self.first_line = first_line
        self.values: dict[str, ast.expr] = {}
        closure = inspect.getclosurevars(function)
        self.scope = {**vars(builtins), **getattr(function, "__globals__", {}), **closure.nonlocals}

    def refuse(self, node: ast.AST, reason: str) -> DeriveError:
        line = self.first_line + getattr(node, "lineno", 1) - 1
        code = getattr(self.function, "__code__", None)
        return DeriveError(
            f"{self.function.__name__!r} can't be an elementwise op: {reason}\n"
            f'  File "{code.co_filename if code else "?"}", line {line}: {ast.unparse(node)}'
        )

    def read(self, tree: ast.FunctionDef) -> Scalar:
        spec = tree.args
        if spec.vararg or spec.kwarg or spec.kwonlyargs:
            raise self.refuse(tree, "its arguments must be plain scalars, one name each")
        args = tuple(a.arg for a in [*spec.posonlyargs, *spec.args])
        self.values = {a: name_node(a) for a in args}
        for statement in tree.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str())):
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.values[name] = self.visit(value)
                case ast.Return(value=ast.expr() as value):
                    return Scalar(args, self.visit(value))
                case _:
                    raise self.refuse(
                        statement,
                        f"the statement {type(statement).__name__} has no derivative here (a "
                        "choice is written as `a if condition else b`, anything else as a general "
                        "tg.Op)",
                    )
        raise self.refuse(tree, "it returns nothing")

    def visit(self, node: ast.AST) -> Any:
        method = getattr(self, f"visit_{type(node).__name__}", None)
        if method is None:
            raise self.refuse(node, f"{type(node).__name__} is not arithmetic on scalars")
        return method(node)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, (int, float)):
            raise self.refuse(node, "constants must be numbers")
        return number_node(node.value)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.values:
            return copied(self.values[node.id])
        return self._constant(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._constant(node)

    def _constant(self, node: ast.expr) -> ast.expr:
        value = self._resolve(node)
        if isinstance(value, (int, float, np.integer, np.floating)):
            return number_node(value.item() if isinstance(value, np.generic) else value)
        raise self.refuse(node, "it is neither an argument nor a number")

    def _resolve(self, node: ast.expr) -> Any:
        try:
            return eval(ast.unparse(node), self.scope)
        except Exception as error:
            raise self.refuse(node, f"{error}") from error

    def _is_argument(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.values

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not isinstance(
            node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Mod, ast.FloorDiv)
        ):
            raise self.refuse(node, f"{type(node.op).__name__} is not defined for floats")
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Invert):
            raise self.refuse(node, "~ is not defined for floats")
        return ast.UnaryOp(node.op, self.visit(node.operand))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        return ast.BoolOp(node.op, [self.visit(v) for v in node.values])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        return ast.Compare(
            self.visit(node.left), node.ops, [self.visit(c) for c in node.comparators]
        )

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.visit(node.test), self.visit(node.body), self.visit(node.orelse))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = ast.unparse(node.func).rpartition(".")[2]
        if isinstance(node.func, ast.Attribute) and self._is_argument(node.func.value):
            raise self.refuse(
                node, f"a number has no methods, so call a function, as in `np.{name}(x)`"
            )
        arguments = [self.visit(a) for a in node.args]
        if name in SPELT:
            raise self.refuse(node, f"{ast.unparse(node.func)}() is not known here: {SPELT[name]}")
        if node.keywords:
            raise self.refuse(node, "functions take positional arguments here")
        if isinstance(node.func, ast.Name) and name in DERIVATIVES and name not in self.scope:
            known = name
        else:
            target = self._resolve(node.func)
            scalar = getattr(target, "scalar", None)
            if isinstance(scalar, Scalar):
                if len(arguments) != len(scalar.args):
                    raise self.refuse(node, f"{name} takes {', '.join(scalar.args)}")
                return scalar.call(*arguments)
            known = ALIASES.get(
                getattr(target, "__name__", name), getattr(target, "__name__", name)
            )
        if known not in DERIVATIVES:
            known = ", ".join(sorted(DERIVATIVES))
            raise self.refuse(node, f"no derivative is known for {name!r}, only for {known}")
        if len(arguments) != len(DERIVATIVES[known]):
            needs = len(DERIVATIVES[known])
            raise self.refuse(
                node, f"{name} has {len(arguments)} of its arguments, and needs {needs}"
            )
        return ast.Call(name_node(known), arguments, [])
