"""The backward pass as a worked example: every rule in the order in which it runs, with values.

    print(trace_backward(loss))
    for step in trace_backward(loss).steps: ...

`backward` takes the same steps, those of `autodiff.sweep`, and keeps only their end. Nothing is
changed by looking: no `.grad` is written, no hook runs, and the graph can still be used for the
real backward.
"""

import ast
import functools
import inspect
import linecache
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl.autodiff import Parent, between, check_root, initial_gradient, parent_of, sweep
from tinygrad_rl.core import Line, Node, Op, Tensor, watching
from tinygrad_rl.core.display import monospaced
from tinygrad_rl.debug.flops import FlopCounter
from tinygrad_rl.grad_mode import no_grad
from tinygrad_rl.naming import Names, callers_variables
from tinygrad_rl.spelling import counted

_SMALL = 6  # elements that are shown in full; above, shape and norm


# -- the sweep, watched ----------------------------------------------------------------------------


class Visit(NamedTuple):
    """One node's turn: the gradient of its output, and what its rules made of it for each input."""

    node: Node
    g: Tensor
    sent: list[tuple[int, Parent, Tensor]]  # (position of the input, what made it, its gradient)
    flops: int


def visit(
    outputs: Sequence[Tensor], gradients: Sequence[Tensor], inputs: Sequence[Tensor] | None = None
) -> tuple[list[Visit], dict[Tensor, Tensor]]:
    """Sweep back from the outputs and keep every step; nobody else sees it, and nothing changes.

    Parameters
    ----------
    outputs, gradients : where to start, and the gradient of each.
    inputs : visit only what leads to these, as `grad` does; None for everything, as `backward`.

    Returns
    -------
    The visits in order, and the gradient of each leaf.

    Raises
    ------
    RuntimeError : as `backward`, for a graph that was used up or a saved tensor that was changed.
    """
    useful = None if inputs is None else between(outputs, {parent_of(t) for t in inputs})
    roots = zip(outputs, gradients, strict=True)
    counter = FlopCounter()
    visits: list[Visit] = []
    leaves: dict[Any, Tensor] = {}
    before = 0
    with no_grad(), watching(counter, alone=True):
        for node, g, made in sweep(roots, leaves, useful, hooks=False):
            visits.append(Visit(node, g, made, counter.total - before))
            before = counter.total
    return visits, leaves


# -- the worked example ----------------------------------------------------------------------------


@dataclass(frozen=True)
class InputGradient:
    """What one rule made: the gradient of one input of a call.

    Attributes
    ----------
    argument : the op's name of the input.
    to : the leaf, or the call, that it goes to.
    rule : the formula, in terms of `g` (the incoming gradient), `y` (the output) and the inputs.
    value : the gradient, in the shape of the input.
    """

    argument: str
    to: str
    rule: str
    value: np.ndarray[Any, Any]


@dataclass(frozen=True)
class BackwardStep:
    """One call's turn in the backward pass.

    Attributes
    ----------
    number : 1 for the first step.
    call : name of the call, such as `%3 mul`; higher numbers were called later.
    file, line, column, code : where the user called it; the column counts from 1, 0 is unknown.
    part : the part of that line that is this call, such as `actor(obs)`.
    g : the gradient that came in: that of the call's output.
    gradients : what went out, for each input that required a gradient.
    skipped : names of the inputs that required none, such as frozen ones: their rules did not run.
    flops : matrix-product FLOPs of the rules.
    """

    number: int
    call: str
    file: str
    line: int
    column: int
    code: str
    part: str
    g: np.ndarray[Any, Any]
    gradients: tuple[InputGradient, ...]
    skipped: tuple[str, ...]
    flops: int


@dataclass(frozen=True)
class BackwardTrace:
    """The steps of a backward pass, and the gradient of each leaf at the end. Prints as a page."""

    steps: tuple[BackwardStep, ...]
    leaves: dict[str, np.ndarray[Any, Any]]

    @property
    def flops(self) -> int:
        """Matrix-product FLOPs of the whole pass."""
        return sum(step.flops for step in self.steps)

    def __repr__(self) -> str:
        return f"BackwardTrace({counted(len(self.steps), 'step')}, {', '.join(self.leaves)})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return monospaced(str(self))

    def __str__(self) -> str:
        lines = [f"backward: {counted(len(self.steps), 'step')}, {self.flops:,} matrix FLOPs", ""]
        for s in self.steps:
            column = f":{s.column}" if s.column else ""
            where = f"{Line(s.file, s.line).short}{column}"
            lines.append(f"{s.number:3}  {s.call:<18} {where}  {s.part}")
            lines.append(f"       g = {shown(s.g)}")
            for out in s.gradients:
                lines.append(f"       {out.argument}: {out.rule} = {shown(out.value)}  -> {out.to}")
            if s.skipped:
                lines.append(f"       not computed: {', '.join(s.skipped)}")
        lines += ["", "leaves"]
        lines += [f"     {name}: {shown(g)}" for name, g in self.leaves.items()]
        return "\n".join(lines)


def trace_backward(
    loss: Tensor, gradient: Any = None, names: dict[str, Tensor] | None = None
) -> BackwardTrace:
    """Work through the backward pass of `loss`, without doing it: no `.grad` is written.

    Parameters
    ----------
    loss : where to start.
    gradient : the gradient of it; 1 when left out, for a scalar.
    names : what to call leaves. Without it, they have the names of the caller's variables, and of
        the parameters of the modules among these.

    Raises
    ------
    RuntimeError : as `backward`, when there is no path, or the graph was used up.
    """
    check_root(loss)
    known = Names()
    for name, t in (names or {}).items():
        known.add(name, t)
    known.search_variables(callers_variables())
    with watching(alone=True):
        start = initial_gradient(loss, gradient)
    visits, gradients = visit([loss], [start])
    nodes = sorted((v.node for v in visits), key=lambda node: node.sequence)
    labels = {id(node): f"%{i} {node.op.name}" for i, node in enumerate(nodes, 1)}
    for i, leaf in enumerate(gradients, 1):
        labels[id(leaf)] = known.tensors.get(id(leaf), f"leaf {i} {leaf.shape}")
    steps = tuple(_step(i, v, labels) for i, v in enumerate(visits, 1))
    return BackwardTrace(steps, {labels[id(leaf)]: g._array for leaf, g in gradients.items()})


def _step(number: int, v: Visit, labels: dict[int, str]) -> BackwardStep:
    node = v.node
    line = Line.at(node.where)
    gradients = tuple(
        InputGradient(node.op.arg_name(i), labels[id(parent)], rule_text(node.op, i), g._array)
        for i, parent, g in v.sent
    )
    required = {node.op.arg_name(i) for i in node.plan.positions}
    skipped = () if node.op.variadic else tuple(a for a in node.op.args if a not in required)
    return BackwardStep(
        number,
        labels[id(node)],
        line.file,
        line.number,
        line.column,
        line.code,
        line.part,
        v.g._array,
        gradients,
        skipped,
        v.flops,
    )


def shown(array: np.ndarray[Any, Any]) -> str:
    """Small arrays in full, others as shape and 2-norm."""
    if array.size <= _SMALL:
        return np.array2string(array, precision=5, separator=", ").replace("\n", "")
    return f"<{'x'.join(map(str, array.shape))}, norm {np.linalg.norm(array):.4g}>"


# -- rules as text ---------------------------------------------------------------------------------


def rule_text(op: Op, position: int) -> str:
    """The gradient rule of one input as its author wrote it, or as it was derived."""
    arg = op.args[min(position, len(op.args) - 1)]
    return op.formula(position) or _source_of(op.vjp[arg][0])


@functools.lru_cache(maxsize=256)
def _source_of(rule: Callable[..., Any]) -> str:
    """The expression that a rule returns; its name when it takes more than one statement."""
    names = list(inspect.signature(rule).parameters)
    code = rule.__code__
    for node in ast.walk(_tree(code.co_filename)):
        if not isinstance(node, (ast.Lambda, ast.FunctionDef)):
            continue
        if (node.lineno, [a.arg for a in node.args.args]) != (code.co_firstlineno, names):
            continue
        if isinstance(node, ast.Lambda):
            return _tidy(ast.unparse(node.body))
        last = node.body[-1]
        if len(node.body) == 1 and isinstance(last, ast.Return) and last.value is not None:
            return _tidy(ast.unparse(last.value))
    return _tidy(f"{rule.__name__}({', '.join(names)})")


@functools.lru_cache(maxsize=32)
def _tree(file: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.parse("")


def _tidy(text: str) -> str:
    """Without the underscores that keep a name out of a module's public ones."""
    return re.sub(r"\b_*([A-Za-z]\w*?)_*\(", r"\1(", text)
