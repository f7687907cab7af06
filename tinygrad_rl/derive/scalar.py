"""What an expression of scalars can tell about itself, and what it can become."""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_rl.derive.calculus import (
    DERIVATIVES,
    Substitute,
    copied,
    derive,
    function_name,
    name_node,
    template,
    times,
)

_FILE = f"{__file__} <expression>"  # so that no frame of it is taken for the user's

# Functions that give an integer for an integer, in integer arithmetic (a float64 has 53 bits only);
# all others turn integers into float64.
INTEGER_FORMS = {
    "abs": "u if u >= 0 else -u",
    "sign": "1 if u > 0 else (-1 if u < 0 else 0)",
    "floor": "u",
    "ceil": "u",
    "trunc": "u",
    "round": "u",
    "maximum": "u if u > v else v",
    "minimum": "u if u < v else v",
    "pow": "u ** v",
}
# The lowest integer divided by -1 wraps around to itself, in NumPy and everywhere; Numba gives 0.
_FLOOR_DIVIDE = "-u if v == -1 else u // v"


@dataclass(frozen=True)
class Scalar:
    """A scalar function as one expression of its arguments.

    `args` are the names of the arguments, `body` is the expression as a syntax tree in which every
    name is an argument and every function is a key of `DERIVATIVES`.
    """

    args: tuple[str, ...]
    body: ast.expr

    @cached_property
    def text(self) -> str:
        """The expression in Python."""
        return ast.unparse(self.body)

    @cached_property
    def names(self) -> frozenset[str]:
        """The arguments that the value depends on."""
        return frozenset(n.id for n in ast.walk(self.body) if isinstance(n, ast.Name)) & frozenset(
            self.args
        )

    @cached_property
    def conditions(self) -> frozenset[str]:
        """Arguments that only ever stand as a bare condition: these are booleans."""
        tests = {
            n.test.id
            for n in ast.walk(self.body)
            if isinstance(n, ast.IfExp) and isinstance(n.test, ast.Name)
        }
        elsewhere = {
            child.id
            for node in ast.walk(self.body)
            for field, child in ast.iter_fields(node)
            if isinstance(child, ast.Name) and not (isinstance(node, ast.IfExp) and field == "test")
        }
        return frozenset(tests - elsewhere)

    @cached_property
    def is_boolean(self) -> bool:
        """True for comparisons and what is made of them: the result is a boolean."""
        return _is_boolean(self.body)

    @cached_property
    def is_floating(self) -> bool:
        """True when integers in give floats out (a division, a transcendental function, 0.5)."""
        return any(
            (isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div))
            or (isinstance(n, ast.Call) and function_name(n) not in INTEGER_FORMS)
            or (isinstance(n, ast.Constant) and type(n.value) is float)
            for n in ast.walk(self.body)
        )

    @cached_property
    def is_logical(self) -> bool:
        """True when booleans in give booleans out, as in NumPy: + is "or", * is "and"; choices."""
        return all(
            isinstance(n.op, (ast.Add, ast.Mult))
            if isinstance(n, ast.BinOp)
            else function_name(n) in ("maximum", "minimum")
            if isinstance(n, ast.Call)
            else not isinstance(n, (ast.Constant, ast.USub))
            for n in ast.walk(self.body)
        )

    @cached_property
    def subtracts(self) -> bool:
        """True when it has a minus sign, which is not defined for booleans."""
        return any(isinstance(n, (ast.Sub, ast.USub)) for n in ast.walk(self.body))

    def derivative(self, arg: str) -> "Scalar":
        """The partial derivative with respect to `arg`, a function of the same arguments."""
        return Scalar(self.args, derive(self.body, arg))

    def vjp(self, arg: str) -> "Scalar":
        """`g` times the partial derivative: the gradient rule of one input."""
        return Scalar(("g", *self.args), times(name_node("g"), derive(self.body, arg)))

    def renamed(self) -> "Scalar":
        """With other names for arguments called `g` and `y`, which mean something else in rules."""
        names = {}
        for reserved in {"g", "y"} & set(self.args):
            name = reserved + "_"
            while name in self.args:
                name += "_"
            names[reserved] = name
        if not names:
            return self
        body = Substitute({old: name_node(new) for old, new in names.items()}).visit(self.body)
        return Scalar(tuple(names.get(a, a) for a in self.args), body)

    def call(self, *arguments: ast.expr) -> ast.expr:
        """The body with expressions put in the place of the arguments."""
        return Substitute(dict(zip(self.args, arguments, strict=True))).visit(copied(self.body))

    def render(self, dtype: str, names: Mapping[str, str] | None = None) -> str:
        """The expression as Numba source for `dtype`, with `names` in place of the arguments."""
        if dtype not in self._templates:
            body = _Typed(dtype).visit(copied(self.body))
            marked = Substitute({a: name_node(f"\0{a}\0") for a in self.names}).visit(body)
            self._templates[dtype] = ast.unparse(marked).split("\0")
        parts = self._templates[dtype].copy()  # every other one is a name
        if names:
            parts[1::2] = [names[name] for name in parts[1::2]]
        return "".join(parts)

    @cached_property
    def _templates(self) -> dict[str, list[str]]:
        return {}

    def __call__(self, *values: float) -> float:
        """The value at one point in float64, NaN outside the domain: for checks, not for speed."""
        return float(self.evaluate([np.float64(v) for v in values]))

    def evaluate(self, arrays: Sequence[Any]) -> Any:
        """The values for whole arrays by NumPy: the same numbers to rounding, nothing compiled."""
        with np.errstate(all="ignore"):
            return self.evaluate_by(NUMPY, dict(zip(self.args, arrays, strict=True)))

    def evaluate_by(self, functions: dict[str, Any], values: Mapping[str, Any]) -> Any:
        """The value by functions of other things than numbers, of arguments under their names."""
        return eval(self._code, functions, values)

    @cached_property
    def _code(self) -> Any:
        body = _Choices().visit(copied(self.body))
        return compile(ast.fix_missing_locations(ast.Expression(body)), _FILE, "eval")


class _Choices(ast.NodeTransformer):
    """Conditions as functions of whole arrays: `a if c else b` becomes `where(c, a, b)`."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        parts = [self.visit(part) for part in (node.test, node.body, node.orelse)]
        return ast.Call(name_node("where"), parts, [])

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        function = name_node("logical_and" if isinstance(node.op, ast.And) else "logical_or")
        first, *rest = [self.visit(v) for v in node.values]
        for value in rest:
            first = ast.Call(function, [first, value], [])
        return first

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return ast.Call(name_node("logical_not"), [operand], [])
        return ast.UnaryOp(node.op, operand)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        sides = [self.visit(v) for v in (node.left, *node.comparators)]
        links: list[ast.expr] = [
            ast.Compare(left, [op], [right])
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return links[0] if len(links) == 1 else self.visit_BoolOp(ast.BoolOp(ast.And(), links))


class _Typed(ast.NodeTransformer):
    """Gives constants the kernel's type: in Numba a literal 0.5 would make float32 float64."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, bool) or not self.dtype.startswith("float"):
            return node
        if isinstance(node.value, float) and not math.isfinite(node.value):
            return ast.Call(
                name_node(self.dtype), [name_node("inf" if node.value > 0 else "nan")], []
            )
        return ast.Call(name_node(self.dtype), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.FloorDiv) and self.dtype.startswith("int"):
            if not isinstance(node.right, ast.Constant):  # else it is not negative
                return template(_FLOOR_DIVIDE, [self.visit(node.left), self.visit(node.right)])
        if not isinstance(node.op, ast.Pow):
            return self.generic_visit(node)  # type: ignore[return-value]
        base = self.visit(node.left)
        exponent = node.right.value if isinstance(node.right, ast.Constant) else None
        if exponent in (2, 3):
            square = ast.BinOp(base, ast.Mult(), copied(base))
            return square if exponent == 2 else ast.BinOp(square, ast.Mult(), copied(base))
        return self._call("pow", [base, self.visit(node.right)])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return self._call(function_name(node), [self.visit(a) for a in node.args])

    def _call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        if self.dtype.startswith("float"):
            return ast.Call(name_node(name), arguments, [])
        return template(INTEGER_FORMS[name], arguments)


def _is_boolean(e: ast.expr) -> bool:
    match e:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()) | ast.BoolOp():
            return True
        case ast.Constant(value=bool()):
            return True
        case ast.IfExp(body=a, orelse=b):
            return _is_boolean(a) and _is_boolean(b)
    return False


def _sigmoid(x: Any) -> Any:
    small = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1, small) / (1 + small)


def _numpy_functions() -> dict[str, Any]:
    """The functions for evaluating an expression without compiling anything."""
    same = {name: getattr(np, name) for name in DERIVATIVES if hasattr(np, name)}
    choices = ("where", "logical_and", "logical_or", "logical_not")
    return (
        same
        | {name: getattr(np, name) for name in choices}
        | {
            "pow": np.power,
            "round": np.rint,
            "erf": np.vectorize(math.erf, otypes=[np.float64]),
            "sigmoid": _sigmoid,
            "softplus": lambda x: np.logaddexp(0, x),
            "logsigmoid": lambda x: -np.logaddexp(0, -x),
            "inf": math.inf,
            "nan": math.nan,
        }
    )


NUMPY = _numpy_functions()
