"""Elementwise: the kind of op that applies one scalar function to every element.

The function is an expression (see `derive/`): a Numba loop computes it eagerly, the compiler puts
it into its fused loops, and the derivatives, found by calculus, are elementwise ops themselves and
so can be differentiated again. Broadcasting and dtypes are handled here; nobody who declares an op
thinks of them.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_rl.core.context import mode
from tinygrad_rl.core.dtypes import NUMBA, Size
from tinygrad_rl.core.node import Rule, record
from tinygrad_rl.core.op import Array, Op
from tinygrad_rl.core.operands import as_tensor, constant
from tinygrad_rl.core.tensor import Tensor
from tinygrad_rl.derive import Scalar, parse_text
from tinygrad_rl.kernels import loops
from tinygrad_rl.spelling import argument

_BOOL, _INT64 = np.dtype(bool), np.dtype(np.int64)
_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Elementwise(Op):
    """An op that applies one scalar function to every element, broadcasting its inputs."""

    def __init__(
        self,
        name: str,
        args: tuple[str, ...],
        source: Callable[[], Scalar],
        rules: dict[str, str] | None = None,
        defaults: tuple[float, ...] = (),
    ) -> None:
        self._source = source
        self.given = rules or {}  # rules that were written by hand
        self._defaults = dict(zip(args[len(args) - len(defaults) :], defaults, strict=True))
        self._rule_ops: dict[str, tuple[Rule, tuple[str, ...]]] = {}
        self._loops: dict[Any, Any] = {}
        self._known: dict[tuple[str, Any], Any] = {}  # (loop, dtype of the output), see `_alike`
        super().__init__(name, (args, (), False))

    @cached_property
    def scalar(self) -> Scalar:
        """The function as an expression; read from the source at the first use."""
        return self._source()

    @cached_property
    def _traits(self) -> tuple[bool, bool, frozenset[int]]:
        s = self.scalar
        if s.is_boolean:
            self.differentiable = False
        return s.is_boolean, s.is_floating, frozenset(s.args.index(c) for c in s.conditions)

    def rule_scalar(self, arg: str) -> Scalar:
        """The gradient rule of one input as a scalar function of g, y and the inputs it needs."""
        if arg in self.given:
            full = parse_text(self.given[arg], ("g", "y", *self.args))
        else:
            full = self.scalar.vjp(arg)
        return Scalar(tuple(a for a in full.args if a == "g" or a in full.names), full.body)

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The gradient rule of one input, itself an elementwise op, and what it asks for."""
        arg = self.args[position]
        if arg not in self._rule_ops:
            scalar = self.rule_scalar(arg)
            if scalar.text == "g":
                self._rule_ops[arg] = _identity, ("g",)
            elif scalar.text == "0":
                self._rule_ops[arg] = zero, ("g",)
            else:
                named = scalar.renamed()
                op = _RuleOp(f"{self.name}.vjp_{arg}", named.args, lambda: named)
                self._rule_ops[arg] = op, scalar.args
        return self._rule_ops[arg]

    def __call__(self, *inputs: Any, **named: Any) -> Tensor:  # noqa: D102
        if named or len(inputs) != len(self.args):
            inputs = self._bound(inputs, named)
        if not mode.interpret and (out := self._alike(inputs)) is not None:
            return out
        boolean, floating, conditions = self._traits
        tensors = [x if type(x) is Tensor else _pending(x) for x in inputs]
        dtype = _common_dtype(tensors, floating, conditions)
        if dtype.kind in "biu" and not floating:
            dtype = self._integer_dtype(dtype, tensors)
        for i, t in enumerate(tensors):
            if type(t) is not Tensor:
                tensors[i] = weak(t, _BOOL if i in conditions else dtype)
        arrays = [t._array for t in tensors]
        for i, a in enumerate(arrays):
            wanted = _BOOL if i in conditions else dtype
            if a.dtype != wanted:
                arrays[i] = a.astype(wanted)
        array = self.compute(arrays, {"dtype": _BOOL if boolean else dtype})
        if not mode.interpret:
            self._learn(inputs, tensors, arrays, array.dtype)
        return record(self, tensors, _NO_PARAMS, array)

    def _alike(self, inputs: tuple[Any, ...]) -> Tensor | None:
        """The short way for arrays of one dtype and shape, and numbers; None for anything else."""
        shape: Any = None
        dtype: Any = None
        pattern = ""
        for x in inputs:
            if type(x) is Tensor:
                a = x._array
                if shape is None:
                    shape, dtype = a.shape, a.dtype
                elif a.shape != shape or a.dtype is not dtype:
                    return None
                if not a.flags.c_contiguous:
                    return None
                pattern += "v"
            elif type(x) in _WEAK:
                pattern += "s"
            else:
                return None
        known = self._known.get((pattern, dtype))
        if known is None:
            return None
        loop, out_dtype = known
        tensors = inputs
        if "s" in pattern:
            tensors = tuple([x if type(x) is Tensor else weak(x, dtype) for x in inputs])
        array = np.empty(shape, out_dtype)
        if len(shape) == 1 and "s" not in pattern:
            loop(array, *[t._array for t in tensors])
        else:
            loop(array.reshape(-1), *[t._array.reshape(-1) for t in tensors])
        return record(self, tensors, _NO_PARAMS, array)

    def _learn(
        self, inputs: tuple[Any, ...], tensors: list[Any], arrays: list[Array], dtype: np.dtype[Any]
    ) -> None:
        """Keep the loop of a call in which nothing was promoted or broadcast, for `_alike`."""
        given = [a for x, a in zip(inputs, arrays, strict=True) if type(x) is Tensor]
        if any(t._array is not a for t, a in zip(tensors, arrays, strict=True)) or not given:
            return
        shape, own = given[0].shape, given[0].dtype
        if any(a.shape != shape or a.dtype != own for a in given):
            return
        pattern = "".join("v" if type(x) is Tensor else "s" for x in inputs)
        if "s" not in pattern or (shape and own.kind == "f"):
            self._known[pattern, own] = self._loop(pattern, arrays, dtype), dtype

    def _bound(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """The inputs in order, with those given by name and the function's defaults filled in."""
        given = dict(zip(self.args, inputs, strict=False))
        values = {**self._defaults, **named, **given}
        if len(inputs) > len(self.args) or given.keys() & named or values.keys() != {*self.args}:
            signature = ", ".join(
                f"{a}={self._defaults[a]}" if a in self._defaults else a for a in self.args
            )
            got = ", ".join([*("_" for _ in inputs), *(f"{n}=_" for n in named)])
            for n in named:
                if n not in self.args and (way := argument(self.name, n, self.args)):
                    raise TypeError(f"{self.name}() has no argument {n!r}: {way}")
            raise TypeError(f"the arguments are {self.name}({signature}), not {self.name}({got})")
        return tuple(values[a] for a in self.args)

    def _integer_dtype(self, dtype: np.dtype[Any], values: Sequence[Any]) -> np.dtype[Any]:
        """What NumPy computes in: booleans stay so under + and *; comparisons know all numbers."""
        if dtype.kind == "b" and not (self.scalar.is_logical or self.scalar.is_boolean):
            if self.scalar.subtracts:
                raise TypeError(
                    f"{self.name}: booleans have no minus; compare them with != or use astype(int)"
                )
            return _INT64
        if self._traits[0] and any(type(v) is int for v in values):
            return _INT64
        return dtype

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Array:
        """The output in the given dtype, from arrays that are cast to one already."""
        dtype = params["dtype"]
        if mode.interpret:
            out = np.broadcast_to(self.scalar.evaluate(arrays), self._shape(arrays))
            return np.array(out, dtype)  # the compiled form will compute it
        shape, pattern = None, ""
        for a in arrays:
            if not a.ndim:
                pattern += "s"
            elif shape is None or a.shape == shape:
                shape, pattern = a.shape, pattern + "v"
            else:
                return self._broadcast(arrays, dtype)
        if shape is None:  # all are one number: no reason for another loop than that of arrays
            shape, pattern = (), "v" * len(pattern)
        out = np.empty(shape, dtype)
        # `ravel` copies what is not contiguous; `out` is, so it only gets another shape.
        self._loop(pattern, arrays, dtype)(out.reshape(-1), *[a.ravel() for a in arrays])
        return out

    def _shape(self, arrays: list[Array]) -> tuple[int, ...]:
        try:
            return np.broadcast_shapes(*[a.shape for a in arrays])
        except ValueError:
            shapes = ", ".join(f"{n} {a.shape}" for n, a in zip(self.args, arrays, strict=True))
            raise ValueError(f"{self.name}: shapes don't broadcast: {shapes}") from None

    def _broadcast(self, arrays: list[Array], dtype: np.dtype[Any]) -> Array:
        shape = self._shape(arrays)
        out = np.empty(shape, dtype)
        if not out.size:
            return out
        pattern, columns = _pattern([a.shape for a in arrays], shape)
        full = (out.size // columns, columns) if columns else (-1,)
        views = [
            np.ascontiguousarray(
                np.broadcast_to(a, shape).reshape(full) if k == "v" else a.reshape(-1)
            )
            for k, a in zip(pattern, arrays, strict=True)
        ]
        self._loop(pattern, arrays, dtype)(out.reshape(full), *views)
        return out

    def _loop(self, pattern: str, arrays: Sequence[Array], dtype: np.dtype[Any]) -> Any:
        key = (pattern, dtype, *[a.dtype for a in arrays])
        loop = self._loops.get(key)
        if loop is None:
            loop = self._loops[key] = self._build(pattern, arrays, dtype)
        return loop

    def _build(self, pattern: str, arrays: Sequence[Array], dtype: np.dtype[Any]) -> Any:
        types = [NUMBA[a.dtype] for a in arrays]
        compute = next((t for t in types if t != "boolean"), "boolean")
        expression = self.scalar.render(compute)
        stem = self.name.replace(".", "_")
        return loops.elementwise(stem, expression, self.args, NUMBA[dtype], tuple(types), pattern)


_NO_PARAMS: dict[str, Any] = {}
_WEAK = {float, int, bool}


def _identity(g: Tensor) -> Tensor:
    return g


class _RuleOp(Elementwise):
    """A gradient rule: linear in its first argument, so with respect to that it is its own rule."""

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        return (self, ("g", *self.args[1:])) if position == 0 else super().rule(position)


zero = Elementwise("zero", ("x",), lambda: parse_text("0", ("x",)))
"""The gradient of what does not depend on its input."""


def _pending(value: Any) -> Any:
    """Python numbers wait for the dtype of the others ("weak" in NumPy's words)."""
    if type(value) in (int, float, bool):
        return value
    return int(value) if type(value) is Size else as_tensor(value)


def weak(value: Any, dtype: np.dtype[Any]) -> Tensor:
    """A Python number as a constant of the others' dtype.

    Raises
    ------
    OverflowError : for an integer that the dtype can't hold.
    """
    if dtype.kind in "iu":
        dtype.type(value)  # NumPy's own error; a cast would wrap around silently
    return constant(int(value) if type(value) is bool and dtype.kind != "b" else value, dtype)


def _common_dtype(
    values: Sequence[Any], floating: bool, conditions: frozenset[int]
) -> np.dtype[Any]:
    """NumPy 2's promotion: Python numbers adapt to the tensors, arrays of all sizes count alike."""
    dtype = None
    scalar_kinds = set()
    for i, v in enumerate(values):
        if i in conditions:
            continue
        if type(v) is Tensor:
            d = v._array.dtype
            dtype = d if dtype is None or d is dtype else np.promote_types(dtype, d)
        else:
            scalar_kinds.add(type(v))
    if dtype is None:
        kinds = [_FLOAT32 if k is float else np.dtype(k) for k in scalar_kinds] or [_BOOL]
        dtype = np.result_type(*kinds)
    elif scalar_kinds and dtype.kind != "f":
        dtype = np.result_type(dtype, *(k(0) for k in scalar_kinds))
    return _FLOAT64 if floating and dtype.kind != "f" else dtype


def _pattern(shapes: Sequence[tuple[int, ...]], shape: tuple[int, ...]) -> tuple[str, int]:
    """A letter for each input (see `kernels/loops.py`), and the number of columns."""
    columns = 0
    letters = []
    for s in shapes:
        if s == shape:
            letters.append("v")
        elif math.prod(s) == 1:
            letters.append("s")
        else:
            kind, width = _row_or_column(s, shape)
            if kind != "v" and columns in (0, width):
                columns = width
                letters.append(kind)
            else:
                letters.append("v")
    return "".join(letters), columns


def _row_or_column(s: tuple[int, ...], shape: tuple[int, ...]) -> tuple[str, int]:
    s = (1,) * (len(shape) - len(s)) + s
    same = [a == b for a, b in zip(s, shape, strict=True)]
    first = next((i for i, ok in enumerate(same) if ok and shape[i] != 1), 0)
    if all(same[first:]) and all(d == 1 for d in s[:first]):
        return "r", math.prod(shape[first:])
    last = next((i for i in reversed(range(len(shape))) if same[i] and shape[i] != 1), 0) + 1
    if all(same[:last]) and all(d == 1 for d in s[last:]):
        return "c", math.prod(shape[last:])
    return "v", 0
