"""Op: how to compute an output, and how a gradient comes back from it to each input."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from textwrap import shorten
from typing import Any

import numpy as np

from tinygrad_rl.core.cuts import CutKind
from tinygrad_rl.core.node import GradPlan, Rule, record
from tinygrad_rl.core.operands import as_tensor
from tinygrad_rl.core.tensor import DTYPES, Tensor, storage_of

Array = np.ndarray[Any, Any]
Signature = tuple[tuple[str, ...], tuple[str, ...], bool]
"""Names of the inputs, names of the parameters, and whether the last input stands for many."""


class Op(ABC):
    """One differentiable operation, declared once, as one of the kinds in `kinds.py`.

    Everything else follows from the declaration: the eager call, gradients of any order, the
    compiled program, FLOP counts and the op checks.

    Parameters
    ----------
    name : what listings and errors call it.
    signature : what its inputs and its static parameters are called.
    vjp : for each input the rule that turns the gradient of the output into the gradient of the
        input. A rule asks for what it needs by the names of its arguments: `g` (the incoming
        gradient), `y` (the output), an input, `a_shape` (an input's shape, which keeps no array
        alive), a parameter. It is written in ops, so it can be differentiated again.
    flops : `flops(out, a, b, *, axis)`: floating-point operations in matrix products; 0 when left
        out.
    differentiable : False for an op whose output never requires a gradient, such as a comparison.

    Raises
    ------
    TypeError : when a rule is given for something that is no input, or asks for an unknown name.
    """

    cuts: CutKind | None = None
    """How messages call what an op without derivative does, where that is its purpose."""
    flat = "zero derivative"
    """What a report calls it when this op's derivative is zero."""
    symbol = ""
    """What Python writes between its two operands, if anything."""
    activation = False
    """Whether it is drawn in one box with the layer that it follows."""
    plain_params = False
    """Whether its parameters are only ever numbers and tuples of them, which nobody can change."""
    contracts = False
    """Whether it is a matrix product: with it a layer of a network begins."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Op":  # noqa: D102
        if cls is Op:
            raise TypeError(
                "Op is abstract: declare a Kernel, View, Reduction, Product, Gather or Scatter, or "
                "an elementwise function"
            )
        return super().__new__(cls)

    def __init__(
        self,
        name: str,
        signature: Signature,
        *,
        vjp: dict[str, Rule] | None = None,
        flops: Callable[..., int] | None = None,
        differentiable: bool = True,
    ) -> None:
        self.name = name
        self.args, self.params, self.variadic = signature
        self.differentiable = differentiable
        self._flops = flops
        self.plans: dict[tuple[bool, ...], GradPlan] = {}  # kept by `record`
        if taken := {"g", "y", "index", "shapes"} & {*self.args, *self.params}:
            raise TypeError(f"op {name!r}: {min(taken)!r} means something else in rules; rename it")
        self.vjp = {arg: self._checked(arg, rule) for arg, rule in (vjp or {}).items()}
        REGISTRY[name] = self

    def _checked(self, arg: str, rule: Rule) -> tuple[Rule, tuple[str, ...]]:
        if arg not in self.args:
            raise TypeError(
                f"op {self.name!r} has no input {arg!r} (inputs: {', '.join(self.args)})"
            )
        shapes = {f"{a}_shape" for a in self.args}
        known = {"g", "y", "index", "shapes", *self.args, *self.params, *shapes}
        return rule, asked(self, rule, known, f"the rule of op {self.name!r} for {arg!r}")

    def arg_name(self, position: int) -> str:
        """What the input at this position is called."""
        if self.variadic and position >= len(self.args) - 1:
            return f"{self.args[-1]}{position - len(self.args) + 1}"
        return self.args[position]

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The gradient rule of one input, and the names of what it asks for."""
        arg = self.args[min(position, len(self.args) - 1)]
        if arg not in self.vjp:
            raise NotImplementedError(
                f"op {self.name!r} has no gradient rule for its input "
                f"{self.arg_name(position)!r}, which requires a gradient: give it one (vjp=), or "
                "pass the input through stop_gradient"
            )
        rule, names = self.vjp[arg]
        if "index" in names:
            return partial(rule, index=position), tuple(n for n in names if n != "index")
        return rule, names

    def formula(self, position: int) -> str | None:
        """The gradient rule of one input as an expression, where that is how it is declared."""
        return None

    def plan(self, needs: tuple[bool, ...]) -> GradPlan:
        """What a call saves and which rules run, for one pattern of required gradients."""
        positions = tuple(i for i, required in enumerate(needs) if required)
        rules = tuple(self.rule(i) for i in positions)
        wanted = {name for _, names in rules for name in names}
        inputs = [(self.arg_name(i), i) for i in range(len(needs))]
        saves = tuple((name, i) for name, i in inputs if name in wanted)
        shapes = [(f"{name}_shape", i) for name, i in inputs if f"{name}_shape" in wanted]
        if "shapes" in wanted:
            shapes.append(("shapes", -1))
        constants = tuple(name for name, i in saves if not needs[i])
        loose = not self.plain_params and not wanted.isdisjoint(self.params)
        return GradPlan(positions, rules, saves, constants, "y" in wanted, tuple(shapes), loose)

    def flops(self, out: Any, inputs: Sequence[Any], params: dict[str, Any]) -> int:
        """Floating-point operations in matrix products; everything else is memory traffic."""
        return self._flops(out, *inputs, **params) if self._flops else 0

    @abstractmethod
    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Any:
        """The output's array, from those of the inputs."""

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:
        """The output as the declaration has it, where the op computes by another function too.

        What the compiler reads there must be what the op computes: `check_op` compares the two.
        """
        return None

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
        """Compute the output, and record the call when a gradient will have to come back.

        Raises
        ------
        TypeError : when the result has a dtype that tensors can't have.
        """
        tensors = [x if type(x) is Tensor else as_tensor(x) for x in inputs]
        result = self.compute([t._array for t in tensors], params)
        if type(result) is not np.ndarray:
            result = np.asarray(result)
        if result.dtype not in DTYPES:
            raise TypeError(f"op {self.name!r} gave {result.dtype}, which is not supported")
        for t in tensors:
            if result is t._array:
                result = result.view()
                break
        storage = None
        if result.base is not None:
            for t in tensors:
                if result.base is t._array or np.may_share_memory(result, t._array):
                    storage = storage_of(t)  # a view: a write to either one counts for both
                    storage.shared = True
        return record(self, tensors, params, result, storage)

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.args)})>"


REGISTRY: dict[str, Op] = {}
"""Every op by name: what the op checks go through."""


def parameters(function: Callable[..., Any], behind: int = 0) -> Signature:
    """The signature that a declaration's function spells, behind its first arguments."""
    signature = list(inspect.signature(function).parameters.values())
    inputs = [p for p in signature if p.kind is not p.KEYWORD_ONLY][behind:]
    variadic = bool(inputs) and inputs[-1].kind is inputs[-1].VAR_POSITIONAL
    params = tuple(p.name for p in signature if p.kind is p.KEYWORD_ONLY)
    return tuple(p.name for p in inputs), params, variadic


def shape_of(op: Op, said: Any) -> tuple[int, ...]:
    """What a shape rule gave, if it is a shape.

    Raises
    ------
    TypeError : naming the op and what its rule gave.
    """
    try:
        shape = tuple([index(n) for n in said])
    except TypeError:
        shape = (-1,)
    if min(shape, default=0) < 0:
        raise TypeError(
            f"the shape rule of op {op.name!r} gave {shorten(repr(said), 60)}: write a tuple with "
            "an integer for each axis of the output, such as `(2, 3)` or `x.shape`"
        )
    return shape


def asked(
    op: Op, function: Callable[..., Any], known: set[str], called: str = ""
) -> tuple[str, ...]:
    """The names by which a function of a declaration asks for what it needs.

    Raises
    ------
    TypeError : naming the function, what it asks for that is not known, and what is.
    """
    names = tuple(inspect.signature(function).parameters)
    if unknown := [n for n in names if n not in known]:
        called = called or f"the index of op {op.name!r}"
        raise TypeError(
            f"{called} asks for {unknown[0]!r}; it can ask for {', '.join(sorted(known))}"
        )
    return names
