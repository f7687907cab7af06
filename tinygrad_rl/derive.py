"""Scalar functions as expressions: read from source, differentiated, written as Numba code.

    f = parse(function)                   # def function(x, a): return a * exp(x)
    f.derivative("x").text                # 'a * exp(x)'
    f.render("float32")                   # the same, ready to stand in a Numba loop

An elementwise op is one scalar function. Its derivative is found here by the rules of calculus on
Python's own syntax tree: no tape, no numbers, just one expression turned into another. What comes
out is again a scalar function, so it can be differentiated again, and again.
"""

import ast
import builtins
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

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


class DeriveError(TypeError):
    """A function whose source can't be read as one expression; says where and why."""


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
            or (isinstance(n, ast.Call) and _function_name(n) not in INTEGER_FORMS)
            or (isinstance(n, ast.Constant) and type(n.value) is float)
            for n in ast.walk(self.body)
        )

    @cached_property
    def is_logical(self) -> bool:
        """True when booleans in give booleans out, as in NumPy: + is "or", * is "and"; choices."""
        return all(
            isinstance(n.op, (ast.Add, ast.Mult))
            if isinstance(n, ast.BinOp)
            else _function_name(n) in ("maximum", "minimum")
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
        return Scalar(self.args, _derive(self.body, arg))

    def vjp(self, arg: str) -> "Scalar":
        """`g` times the partial derivative: the gradient rule of one input."""
        return Scalar(("g", *self.args), _mul(_name("g"), _derive(self.body, arg)))

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
        body = _Substitute({old: _name(new) for old, new in names.items()}).visit(self.body)
        return Scalar(tuple(names.get(a, a) for a in self.args), body)

    def call(self, *arguments: ast.expr) -> ast.expr:
        """The body with expressions put in the place of the arguments."""
        return _Substitute(dict(zip(self.args, arguments, strict=True))).visit(_copy(self.body))

    def render(self, dtype: str, names: Mapping[str, str] | None = None) -> str:
        """The expression as Numba source for `dtype`, with `names` in place of the arguments."""
        body = _Typed(dtype).visit(_copy(self.body))
        if names:
            body = _Substitute({a: _name(names[a]) for a in self.names}).visit(body)
        return ast.unparse(body)

    def __call__(self, *values: float) -> float:
        """The value at one point in float64, NaN outside the domain: for checks, not for speed."""
        return float(self.evaluate([np.float64(v) for v in values]))

    def evaluate(self, arrays: Sequence[Any]) -> Any:
        """The values for whole arrays by NumPy: the same numbers to rounding, nothing compiled."""
        with np.errstate(all="ignore"):
            return eval(self._code, _NUMPY, dict(zip(self.args, arrays, strict=True)))

    @cached_property
    def _code(self) -> Any:
        body = _Choices().visit(_copy(self.body))
        return compile(ast.fix_missing_locations(ast.Expression(body)), "<scalar>", "eval")


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
    reader.values = {a: _name(a) for a in args}
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
        self.values = {a: _name(a) for a in args}
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
                        f"a {type(statement).__name__} statement has no derivative here (a choice "
                        "is written as `a if condition else b`, anything else as a general tg.Op)",
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
        return _number(node.value)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.values:
            return _copy(self.values[node.id])
        return self._constant(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._constant(node)

    def _constant(self, node: ast.expr) -> ast.expr:
        value = self._resolve(node)
        if isinstance(value, (int, float, np.integer, np.floating)):
            return _number(value.item() if isinstance(value, np.generic) else value)
        raise self.refuse(node, "it is neither an argument nor a number")

    def _resolve(self, node: ast.expr) -> Any:
        try:
            return eval(ast.unparse(node), self.scope)
        except Exception as error:
            raise self.refuse(node, f"{error}") from error

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
        if node.keywords:
            raise self.refuse(node, "functions take positional arguments here")
        arguments = [self.visit(a) for a in node.args]
        name = ast.unparse(node.func).rpartition(".")[2]
        if isinstance(node.func, ast.Name) and name in DERIVATIVES and name not in self.scope:
            known = name
        else:
            target = self._resolve(node.func)
            scalar = getattr(target, "scalar", None)
            if isinstance(scalar, Scalar):
                if len(arguments) != len(scalar.args):
                    raise self.refuse(node, f"{name} takes {len(scalar.args)} arguments")
                return scalar.call(*arguments)
            known = ALIASES.get(
                getattr(target, "__name__", name), getattr(target, "__name__", name)
            )
        if known not in DERIVATIVES:
            raise self.refuse(node, f"no derivative is known for {name!r}")
        if len(arguments) != len(DERIVATIVES[known]):
            raise self.refuse(node, f"{name} takes {len(DERIVATIVES[known])} arguments here")
        return ast.Call(_name(known), arguments, [])


# -- calculus ------------------------------------------------------------------------------------


def _derive(e: ast.expr, x: str) -> ast.expr:
    """d e / d x, on syntax trees."""
    match e:
        case ast.Name(id=name):
            return _number(1 if name == x else 0)
        case ast.Constant() | ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return _number(0)
        case ast.UnaryOp(op=ast.USub(), operand=u):
            return _neg(_derive(u, x))
        case ast.UnaryOp(op=ast.UAdd(), operand=u):
            return _derive(u, x)
        case ast.IfExp(test=test, body=a, orelse=b):
            da, db = _derive(a, x), _derive(b, x)
            return da if ast.dump(da) == ast.dump(db) else ast.IfExp(_copy(test), da, db)
        case ast.BinOp(left=u, op=op, right=v):
            return _derive_binary(u, op, v, x)
        case ast.Call(args=args):
            total: ast.expr = _number(0)
            for rule, argument in zip(DERIVATIVES[_function_name(e)], args, strict=True):
                inner = _derive(argument, x)
                if not _is(inner, 0):
                    total = _add(total, _mul(_template(rule, args), inner))
            return total
    raise AssertionError(ast.dump(e))


def _derive_binary(u: ast.expr, op: ast.operator, v: ast.expr, x: str) -> ast.expr:
    du, dv = _derive(u, x), _derive(v, x)
    match op:
        case ast.Add():
            return _add(du, dv)
        case ast.Sub():
            return _sub(du, dv)
        case ast.Mult():
            return _add(_mul(du, v), _mul(u, dv))
        case ast.Div():
            by_v = _mul(
                _neg(ast.BinOp(_copy(u), ast.Div(), ast.BinOp(_copy(v), ast.Mult(), _copy(v)))), dv
            )
            return _add(_div(du, v), _number(0) if _is(dv, 0) else by_v)
        case ast.Pow():
            if isinstance(v, ast.Constant):
                n: Any = v.value
                return _mul(_mul(_number(n), _power(u, n - 1)), du) if n else _number(0)
            base, exponent = DERIVATIVES["pow"]
            by_u = _number(0) if _is(du, 0) else _mul(_template(base, [u, v]), du)
            by_v = _number(0) if _is(dv, 0) else _mul(_template(exponent, [u, v]), dv)
            return _add(by_u, by_v)
        case ast.Mod():  # u - v * floor(u / v)
            quotient = ast.Call(_name("floor"), [ast.BinOp(_copy(u), ast.Div(), _copy(v))], [])
            return _sub(du, _mul(quotient, dv))
        case ast.FloorDiv():
            return _number(0)
    raise AssertionError(op)


def _template(rule: str, arguments: list[ast.expr]) -> ast.expr:
    """A row of `DERIVATIVES` with the actual arguments in the place of u and v."""
    names = dict(zip("uv", arguments, strict=False))
    return _Substitute(names).visit(ast.parse(rule, mode="eval").body)


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _copy(e: ast.expr) -> ast.expr:
    return _Substitute({}).visit(e)


def _number(value: float) -> ast.expr:
    if value < 0 or (value == 0 and math.copysign(1, value) < 0):
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _is(e: ast.expr, value: float) -> bool:
    return isinstance(e, ast.Constant) and not isinstance(e.value, bool) and e.value == value


def _neg(u: ast.expr) -> ast.expr:
    if isinstance(u, ast.UnaryOp) and isinstance(u.op, ast.USub):
        return u.operand
    return u if _is(u, 0) else ast.UnaryOp(ast.USub(), u)


def _add(u: ast.expr, v: ast.expr) -> ast.expr:
    if _is(u, 0):
        return v
    return u if _is(v, 0) else ast.BinOp(u, ast.Add(), v)


def _sub(u: ast.expr, v: ast.expr) -> ast.expr:
    if _is(v, 0):
        return u
    return _neg(v) if _is(u, 0) else ast.BinOp(u, ast.Sub(), v)


def _mul(u: ast.expr, v: ast.expr) -> ast.expr:
    if _is(u, 0) or _is(v, 0):
        return _number(0)
    if _is(u, 1):
        return _copy(v)
    return _copy(u) if _is(v, 1) else ast.BinOp(_copy(u), ast.Mult(), _copy(v))


def _div(u: ast.expr, v: ast.expr) -> ast.expr:
    return _number(0) if _is(u, 0) else ast.BinOp(u, ast.Div(), _copy(v))


def _power(u: ast.expr, exponent: float) -> ast.expr:
    if exponent == 0:
        return _number(1)
    return _copy(u) if exponent == 1 else ast.BinOp(_copy(u), ast.Pow(), _number(exponent))


# -- writing -------------------------------------------------------------------------------------


class _Substitute(ast.NodeTransformer):
    """A deep copy with expressions in the place of names."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.values.get(node.id)
        return _name(node.id) if value is None else _copy(value)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Call(_name(_function_name(node)), [self.visit(a) for a in node.args], [])

    def generic_visit(self, node: ast.AST) -> Any:
        fields = {
            name: [self.visit(v) if isinstance(v, ast.AST) else v for v in value]
            if isinstance(value, list)
            else self.visit(value)
            if isinstance(value, ast.AST)
            else value
            for name, value in ast.iter_fields(node)
        }
        return type(node)(**fields)


class _Choices(ast.NodeTransformer):
    """Conditions as functions of whole arrays: `a if c else b` becomes `where(c, a, b)`."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        parts = [self.visit(part) for part in (node.test, node.body, node.orelse)]
        return ast.Call(_name("where"), parts, [])

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        function = _name("logical_and" if isinstance(node.op, ast.And) else "logical_or")
        first, *rest = [self.visit(v) for v in node.values]
        for value in rest:
            first = ast.Call(function, [first, value], [])
        return first

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return ast.Call(_name("logical_not"), [operand], [])
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
            return ast.Call(_name(self.dtype), [_name("inf" if node.value > 0 else "nan")], [])
        return ast.Call(_name(self.dtype), [node], [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not isinstance(node.op, ast.Pow):
            return self.generic_visit(node)  # type: ignore[return-value]
        base = self.visit(node.left)
        exponent = node.right.value if isinstance(node.right, ast.Constant) else None
        if exponent in (2, 3):
            square = ast.BinOp(base, ast.Mult(), _copy(base))
            return square if exponent == 2 else ast.BinOp(square, ast.Mult(), _copy(base))
        return self._call("pow", [base, self.visit(node.right)])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return self._call(_function_name(node), [self.visit(a) for a in node.args])

    def _call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        if self.dtype.startswith("float"):
            return ast.Call(_name(name), arguments, [])
        return _template(INTEGER_FORMS[name], arguments)


def _function_name(node: ast.Call) -> str:
    assert isinstance(node.func, ast.Name)
    return node.func.id


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


_NUMPY = _numpy_functions()
