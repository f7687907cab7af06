"""Op: how to compute an output, and how a gradient comes back from it to each input."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from tinygrad_rl.core.cuts import CutKind
from tinygrad_rl.core.node import GradPlan, Rule, record
from tinygrad_rl.core.tensor import DTYPES, Tensor, as_tensor, storage_of


class Op:
    """One differentiable operation, declared once.

    Everything else follows from the declaration: the eager call, gradients of any order, the
    compiled program, FLOP counts and the test battery. Elementwise ops are easier to declare, as
    scalar functions: see `tinygrad_rl.elementwise`.

    Parameters
    ----------
    name : what listings and errors call it.
    kernel : `kernel(out, a, b, *, axis)` writes the result into `out`; plain Python that Numba can
        compile. Its arguments name the tensor inputs, those behind the star the static parameters.
    shape : `shape(a, b, *, axis)` gives the output's shape, or a pair (shape, dtype), and raises
        ValueError where the inputs don't fit.
    forward : instead of `kernel` and `shape`, a NumPy function that returns the result.
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
    activation = False
    """Whether it is drawn in one box with the layer that it follows."""
    contracts = False
    """Whether it is a matrix product: with it a layer of a network begins."""

    def __init__(
        self,
        name: str,
        *,
        kernel: Callable[..., None] | None = None,
        shape: Callable[..., Any] | None = None,
        forward: Callable[..., Any] | None = None,
        vjp: dict[str, Rule] | None = None,
        flops: Callable[..., int] | None = None,
        differentiable: bool = True,
    ) -> None:
        if (kernel is None) == (forward is None) or (kernel is None) != (shape is None):
            raise TypeError(f"op {name!r} takes either kernel= and shape=, or forward=")
        self.name = name
        self.differentiable = differentiable
        self.kernel, self.shape_rule, self.forward = kernel, shape, forward
        self._flops = flops
        self.plans: dict[tuple[bool, ...], GradPlan] = {}
        self._compiled: Any = None
        signature = list(inspect.signature(kernel or forward).parameters.values())  # type: ignore[arg-type]
        inputs = [p for p in signature if p.kind is not p.KEYWORD_ONLY][1 if kernel else 0 :]
        self.args = tuple(p.name for p in inputs)
        self.variadic = bool(inputs) and inputs[-1].kind is inputs[-1].VAR_POSITIONAL
        self.params = tuple(p.name for p in signature if p.kind is p.KEYWORD_ONLY)
        if taken := {"g", "y", "index", "shapes"} & {*self.args, *self.params}:
            raise TypeError(f"op {name!r}: {min(taken)!r} means something else in rules; rename it")
        self.vjp = {arg: self._checked(arg, rule) for arg, rule in (vjp or {}).items()}
        REGISTRY[name] = self

    def _checked(self, arg: str, rule: Rule) -> tuple[Rule, tuple[str, ...]]:
        if arg not in self.args:
            raise TypeError(
                f"op {self.name!r} has no input {arg!r} (inputs: {', '.join(self.args)})"
            )
        names = tuple(inspect.signature(rule).parameters)
        known = {
            "g",
            "y",
            "index",
            "shapes",
            *self.args,
            *self.params,
            *(f"{a}_shape" for a in self.args),
        }
        if unknown := [n for n in names if n not in known]:
            raise TypeError(
                f"the rule of op {self.name!r} for {arg!r} asks for {unknown[0]!r}; it can ask for "
                f"{', '.join(sorted(known))}"
            )
        return rule, names

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
                f"{self.arg_name(position)!r}, which "
                "requires a gradient: give it one (vjp=), or pass the input through stop_gradient"
            )
        rule, names = self.vjp[arg]
        if "index" in names:
            return partial(rule, index=position), tuple(n for n in names if n != "index")
        return rule, names

    def plan(self, needs: tuple[bool, ...]) -> GradPlan:
        """The plan for one pattern of wanted gradients, made at the first such call."""
        positions = tuple(i for i, wanted in enumerate(needs) if wanted)
        rules = tuple(self.rule(i) for i in positions)
        asked = {name for _, names in rules for name in names}
        inputs = [(self.arg_name(i), i) for i in range(len(needs))]
        saves = tuple((name, i) for name, i in inputs if name in asked)
        shapes = [(f"{name}_shape", i) for name, i in inputs if f"{name}_shape" in asked]
        if "shapes" in asked:
            shapes.append(("shapes", -1))
        return GradPlan(
            positions,
            rules,
            saves,
            tuple(not needs[i] for _, i in saves),
            "y" in asked,
            tuple(shapes),
        )

    def flops(self, out: Any, inputs: Sequence[Any], params: dict[str, Any]) -> int:
        """Floating-point operations in matrix products; everything else is memory traffic."""
        return self._flops(out, *inputs, **params) if self._flops else 0

    def __call__(self, *inputs: Any, **params: Any) -> Tensor:
        """Compute the output, and note the call when a gradient will have to come back."""
        tensors = [as_tensor(x) for x in inputs]
        arrays = [t._array for t in tensors]
        if self.forward is not None:
            return self._recorded(tensors, params, np.asarray(self.forward(*arrays, **params)))
        return record(self, tensors, params, self._run_kernel(arrays, params))

    def _recorded(
        self, tensors: list[Tensor], params: dict[str, Any], result: np.ndarray[Any, Any]
    ) -> Tensor:
        if result.dtype not in DTYPES:
            raise TypeError(f"op {self.name!r} gave {result.dtype}, which is not supported")
        if any(result is t._array for t in tensors):
            result = result.view()
        storage = None
        if result.base is not None:
            for t in tensors:
                if np.may_share_memory(result, t._array):
                    storage = storage_of(t)  # a view: a write to either one counts for both
                    storage.shared = True
        return record(self, tensors, params, result, storage)

    def _run_kernel(
        self, arrays: list[np.ndarray[Any, Any]], params: dict[str, Any]
    ) -> np.ndarray[Any, Any]:
        assert self.shape_rule is not None and self.kernel is not None
        shape = self.shape_rule(*arrays, **params)
        # Integers among floats are numbers of rows and the like: they don't decide the dtype.
        floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
        dtype: Any = np.result_type(*(floats or arrays))
        if len(shape) == 2 and isinstance(shape[0], tuple):
            shape, dtype = shape
        if self._compiled is None:
            self._compiled = njit(self.kernel, error_model="numpy", nogil=True)
        out = np.empty(shape, dtype)
        if floats:
            common = np.result_type(*floats)
            arrays = [a.astype(common) if a.dtype.kind == "f" else a for a in arrays]
        self._compiled(out, *arrays, *(params[p] for p in self.params))
        return out

    def __repr__(self) -> str:
        return f"<op {self.name}({', '.join(self.args)})>"


REGISTRY: dict[str, Op] = {}
"""Every op by name: what the test battery and the compiler go through."""
