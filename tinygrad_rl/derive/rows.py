"""Expressions with sums and extremes over a row: read, differentiated, cut into loops.

    softmax = parse_rows("exp(x - max(x)) / sum(exp(x - max(x)))", ("x",))
    softmax.totals                        # max_0 of x, then sum_1 of exp(x - max_0)
    softmax.value.text                    # 'exp(x - max_0) / sum_1'
    softmax.vjp("x")                      # an expression of g and x of the same kind

`sum(...)`, `mean(...)`, `max(...)` and `min(...)` of one argument run over the elements of a row,
of which there are `n`; everything else is what a `Scalar` knows, for each element.
"""

import ast
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from tinygrad_rl.derive.calculus import (
    Substitute,
    copied,
    derive,
    name_node,
    number_node,
    plus,
    times,
)
from tinygrad_rl.derive.reading import DeriveError, parse_text
from tinygrad_rl.derive.scalar import Scalar

COUNT = "n"
_KINDS = ("sum", "max", "min", "mean")


@dataclass(frozen=True)
class Total:
    """A number for each row: the sum or an extreme ("sum", "max", "min") of `element`."""

    name: str
    kind: str
    element: Scalar


@dataclass(frozen=True, eq=False)  # by identity: it is asked for at each call of an op
class Rows:
    """An expression of rows: totals, each made with the ones before it, then a value.

    Attributes
    ----------
    args : the names of its arguments.
    totals, value : functions of the arguments, the totals' names, and `n`.
    per_row : those arguments that are one number for each row.
    numbers : those arguments that are one number for all.
    spread : whether there is a value for each element, though the same for a whole row.
    """

    args: tuple[str, ...]
    totals: tuple[Total, ...]
    value: Scalar
    per_row: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    spread: bool = False

    @cached_property
    def names(self) -> frozenset[str]:
        """The arguments that it depends on."""
        pieces = [self.value, *(t.element for t in self.totals)]
        return frozenset().union(*(p.names for p in pieces)) & frozenset(self.args)

    @cached_property
    def is_elementwise(self) -> bool:
        """Whether there is a value for each element, not only for each row."""
        elements = frozenset(self.args) - self.per_row - self.numbers
        return self.spread or bool(self.value.names & elements)

    @cached_property
    def text(self) -> str:
        """The expression in one."""
        return ast.unparse(self._in_full(self.value.body))

    def _in_full(self, e: ast.expr) -> ast.expr:
        for t in reversed(self.totals):
            e = Substitute({t.name: _total(t.kind, t.element.body)}).visit(e)
        return e

    def vjp(self, arg: str) -> "Rows":
        """`g` times the derivative, summed over all that the argument goes into.

        From the value back through the totals, the last one first: each gets a number for each row,
        what a change of it does to the sum of `g` times the value.
        """
        g = name_node("g")

        def over_row(e: ast.expr) -> ast.expr:
            return _total("sum", e) if self.is_elementwise else e

        found: list[tuple[Total, ast.expr]] = []  # totals and their gradients
        for t in reversed(self.totals):
            gradient = over_row(times(g, derive(self.value.body, t.name)))
            for later, known in found:
                inner = times(_share(later), derive(later.element.body, t.name))
                gradient = plus(gradient, times(known, _total("sum", inner)))
            found.append((t, gradient))
        result = times(g, derive(self.value.body, arg))
        for t, gradient in reversed(found):
            result = plus(result, times(gradient, times(_share(t), derive(t.element.body, arg))))
        per_row = self.per_row if self.is_elementwise else self.per_row | {"g"}
        args, tree = ("g", *self.args), self._in_full(result)
        rows = _read(tree, args, per_row, self.numbers)
        if arg not in self.per_row | self.numbers:
            return rows.for_each_element()
        summed = _read(_total("sum", tree), args, per_row, self.numbers)
        return summed if rows.is_elementwise else rows

    def for_each_element(self) -> "Rows":
        """The same with a value for each element."""
        return replace(self, spread=self.spread or not self.is_elementwise)

    def of_what_it_needs(self) -> "Rows":
        """Without the arguments that it does not depend on, and `g` and `y` under other names.

        These mean something else in rules.
        """
        kept = tuple(a for a in self.args if a in self.names)
        names = dict(zip(kept, Scalar(kept, ast.Constant(0)).renamed().args, strict=True))
        renamed = Substitute({old: name_node(new) for old, new in names.items()})
        tree = renamed.visit(self._in_full(self.value.body))
        per_row, numbers = (
            frozenset(names[a] for a in kept if a in group)
            for group in (self.per_row, self.numbers)
        )
        return replace(_read(tree, tuple(names.values()), per_row, numbers), spread=self.spread)


def parse_rows(
    text: str, args: tuple[str, ...], per_row: Iterable[str] = (), numbers: Iterable[str] = ()
) -> Rows:
    """Read an expression of rows, in which `inf` is a number too.

    Raises
    ------
    DeriveError : for a name that is no argument and no known function, and for keywords.
    """
    tree = ast.parse(text, mode="eval").body
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (node.keywords or not isinstance(node.func, ast.Name)):
            raise DeriveError(
                f"in {text!r}: functions stand by their names, their arguments by their places: "
                f"{ast.unparse(node)}"
            )
    tree = Substitute({"inf": ast.Constant(math.inf)}).visit(tree)
    return _read(tree, args, frozenset(per_row), frozenset(numbers))


def _read(
    tree: ast.expr, args: tuple[str, ...], per_row: frozenset[str], numbers: frozenset[str]
) -> Rows:
    if COUNT in args:
        raise DeriveError(f"in {ast.unparse(tree)!r} {COUNT!r} is the number of elements of a row")
    totals: dict[str, Total] = {}

    def scalar(e: ast.expr) -> Scalar:
        try:
            return parse_text(ast.unparse(e), (*args, *(t.name for t in totals.values()), COUNT))
        except DeriveError as error:
            message = str(error).replace("can't be an elementwise op", "can't be computed by rows")
            raise DeriveError(message) from None

    class Pull(ast.NodeTransformer):
        """Put the names of totals in their places, inner ones first."""

        def visit_Call(self, node: ast.Call) -> ast.expr:
            self.generic_visit(node)
            kind = node.func.id if isinstance(node.func, ast.Name) else ""
            if kind not in _KINDS or len(node.args) != 1:
                return node
            wanted = "sum" if kind == "mean" else kind
            key = f"{wanted}({ast.unparse(node.args[0])})"
            if key not in totals:
                name = f"{wanted}_{len(totals)}"
                while name in args:
                    name += "_"
                totals[key] = Total(name, wanted, scalar(node.args[0]))
            total = name_node(totals[key].name)
            return ast.BinOp(total, ast.Div(), name_node(COUNT)) if kind == "mean" else total

    value = Pull().visit(copied(tree))
    return Rows(args, tuple(totals.values()), scalar(value), per_row, numbers)


def _total(kind: str, e: ast.expr) -> ast.expr:
    if isinstance(e, ast.Constant) and e.value == 0:
        return e
    return ast.Call(name_node(kind), [e], [])


def _share(t: Total) -> ast.expr:
    """What an element has of a total: all of a sum, of an extreme an equal part with its ties."""
    if t.kind == "sum":
        return number_node(1)
    reached = ast.Compare(t.element.body, [ast.Eq()], [name_node(t.name)])
    hit = ast.IfExp(reached, number_node(1), number_node(0))
    return ast.BinOp(hit, ast.Div(), _total("sum", hit))
