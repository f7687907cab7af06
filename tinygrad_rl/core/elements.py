"""Elementwise: the kind of op that applies one scalar function to every element.

The function is an expression (see `derive/`): eagerly a NumPy ufunc made of it computes it, the
compiler puts it into its fused loops, and the derivatives, found by calculus, are elementwise ops
themselves and so can be differentiated again. The ufunc broadcasts; dtypes are handled here; nobody
who declares an op thinks of them.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_rl.core.context import mode, watched_anywhere
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
        self._ufuncs: dict[Any, Callable[..., Any]] = {}  # by the dtypes, the output's last
        # Those of calls in which nothing has to be cast, by the dtypes of the inputs, or by the one
        # that they have in common.
        self._known: dict[Any, Callable[..., Any]] = {}
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
                self._rule_ops[arg] = identity, ("g",)
            elif scalar.text == "0":
                self._rule_ops[arg] = zero, ("g",)
            else:
                named = scalar.renamed()
                op = _RuleOp(f"{self.name}.vjp_{arg}", named.args, lambda: named)
                self._rule_ops[arg] = op, scalar.args
        return self._rule_ops[arg]

    def formula(self, position: int) -> str:  # noqa: D102
        return self.rule_scalar(self.args[position]).text

    def __call__(self, *inputs: Any, **named: Any) -> Tensor:  # noqa: D102
        if named or len(inputs) != len(self.args):
            inputs = self._bound(inputs, named)
        tensors = inputs
        for x in inputs:
            if type(x) is not Tensor:
                tensors = self._with_constants(inputs)
                break
        arrays: list[Array] = []
        dtypes: Any = None
        for t in tensors:
            array = t._array
            arrays.append(array)
            if array.dtype is not dtypes:
                dtypes = array.dtype if dtypes is None else _MIXED
        if dtypes is _MIXED:
            dtypes = tuple([a.dtype for a in arrays])
        ufunc = self._known.get(dtypes)
        if ufunc is None or (watched_anywhere and mode.interpret):
            return self._promoted(inputs)
        try:
            array = ufunc(*arrays)
        except ValueError:
            raise self._misfit(arrays) from None
        if type(array) is not np.ndarray:  # of 0-d arrays NumPy makes none
            array = np.asarray(array)
        return record(self, tensors, _NO_PARAMS, array)

    def _with_constants(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Python numbers as constants of the tensors' dtype; empty where it is not that simple."""
        dtype: Any = None
        for x in inputs:
            if type(x) is Tensor:
                dtype = dtype or x._array.dtype
            elif type(x) not in _NUMBERS:
                return ()
        if dtype is None or dtype.kind != "f":
            return ()
        return tuple([x if type(x) is Tensor else weak(x, dtype) for x in inputs])

    def _promoted(self, inputs: tuple[Any, ...]) -> Tensor:
        """The call in full: any dtypes, arrays and numbers. What needs no cast is remembered."""
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
        out_dtype = _BOOL if boolean else dtype
        array = self.compute(arrays, {"dtype": out_dtype})
        if not mode.interpret and all(t._array is a for t, a in zip(tensors, arrays, strict=True)):
            kinds = tuple([a.dtype for a in arrays])
            self._known[kinds[0] if len({*kinds}) == 1 else kinds] = self._ufunc(kinds, out_dtype)
        return record(self, tensors, _NO_PARAMS, array)

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
        if mode.interpret:  # the compiled form will compute it
            shape = self._shape(arrays)
            return np.array(np.broadcast_to(self.scalar.evaluate(arrays), shape), params["dtype"])
        try:
            return np.asarray(self._ufunc([a.dtype for a in arrays], params["dtype"])(*arrays))
        except ValueError:
            raise self._misfit(arrays) from None

    def into(self, out: Array, *arrays: Array) -> None:
        """Compute into an array that is there, from arrays of its dtype; nothing is recorded."""
        ufunc = self._known.get(out.dtype) or self._ufunc([out.dtype] * len(arrays), out.dtype)
        ufunc(*arrays, out)

    def _shape(self, arrays: Sequence[Array]) -> tuple[int, ...]:
        try:
            return np.broadcast_shapes(*[a.shape for a in arrays])
        except ValueError:
            raise self._misfit(arrays) from None

    def _misfit(self, arrays: Sequence[Array]) -> ValueError:
        shapes = ", ".join(f"{n} {a.shape}" for n, a in zip(self.args, arrays, strict=True))
        return ValueError(f"{self.name}: shapes don't broadcast: {shapes}")

    def _ufunc(self, dtypes: Sequence[np.dtype[Any]], out: np.dtype[Any]) -> Callable[..., Any]:
        key = (*dtypes, out)
        if key not in self._ufuncs:
            types = tuple([NUMBA[d] for d in dtypes])
            compute = next((t for t in types if t != "boolean"), "boolean")
            args = loops.local_names(self.args)
            expression = self.scalar.render(compute, dict(zip(self.args, args, strict=True)))
            stem = self.name.replace(".", "_")
            self._ufuncs[key] = loops.elementwise(stem, expression, args, NUMBA[out], types)
        return self._ufuncs[key]


_NO_PARAMS: dict[str, Any] = {}
_NUMBERS = {float, int, bool}
_MIXED = "several"


def identity(g: Tensor) -> Tensor:
    """The rule of an input that gets what comes in."""
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
    if dtype.kind == "f":
        return constant(value, dtype)
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
