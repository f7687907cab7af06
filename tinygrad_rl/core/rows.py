"""Rowwise: the kind of op that computes with sums and extremes over axes, in one loop per row.

    softmax = rowwise("softmax(x)", "exp(x - max(x)) / sum(exp(x - max(x)))")

A row is what lies along the axes that an op is called with; there is a result for each element of
it, or one for the row. Eagerly a loop computes it (`kernels/loops.py`), the compiler takes it apart
into elementwise ops and reductions, and the derivatives are expressions of the same kind.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from itertools import compress
from typing import Any

import numpy as np

from tinygrad_rl.core.context import mode
from tinygrad_rl.core.dtypes import NUMBA
from tinygrad_rl.core.elements import identity, weak
from tinygrad_rl.core.layout import Axis, Layout, Shape, as_key, computes_each, layout_of
from tinygrad_rl.core.node import Rule, record
from tinygrad_rl.core.op import Array, Op
from tinygrad_rl.core.operands import as_tensor, constant
from tinygrad_rl.core.tensor import Tensor, wrap
from tinygrad_rl.derive import NUMPY, Rows, parse_rows
from tinygrad_rl.kernels import loops

_FLOAT64 = np.dtype(np.float64)
_NUMBERS = {int, float, bool}

FUNCTIONS: dict[str, Callable[..., Tensor]] = {}
"""What an expression calls, as ops: what the compiler takes it apart into; filled in by ops/."""


class Rowwise(Op):
    """An op with sums, means and extremes over axes, `op(..., axis=-1, keepdims=False)`.

    Parameters
    ----------
    source : the expression, read at the first use.
    rules : a gradient rule for an input, as an expression of `g` (the incoming gradient), `y` (the
        output), the inputs and `n`, where it is stabler or cheaper than the derived one.
    """

    plain_params = True

    def __init__(
        self,
        name: str,
        args: tuple[str, ...],
        source: Callable[[], Rows],
        rules: Mapping[str, str] | None = None,
        defaults: tuple[float, ...] = (),
    ) -> None:
        self._source = source
        self.given = rules or {}
        self.defaults = defaults
        self._rule_ops: dict[str, tuple[Rule, tuple[str, ...]]] = {}
        self._kernels: dict[tuple[str, Any], Callable[..., None]] = {}
        super().__init__(name, (args, ("axis", "keepdims", "shape"), False))

    @cached_property
    def rows(self) -> Rows:
        """The expression."""
        return self._source()

    # -- gradients

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The gradient rule of one input, itself such an op, and what it asks for."""
        arg = self.args[position]
        if arg not in self._rule_ops:
            rows = self.rows
            elements = [a not in rows.per_row | rows.numbers for a in self.args]
            self._rule_ops[arg] = row_rule(self, arg, self._rule_rows(arg), elements)
        return self._rule_ops[arg]

    def _rule_rows(self, arg: str) -> Rows:
        rows = self.rows
        if arg not in self.given:
            return rows.vjp(arg)
        per_row = rows.per_row if rows.is_elementwise else {*rows.per_row, "g", "y"}
        args = ("g", "y", *self.args)
        return parse_rows(self.given[arg], args, per_row, rows.numbers).for_each_element()

    def rule_values(self, position: int, values: dict[str, Any], g: Array) -> tuple[Array, Array]:
        """What the given rule and the derived one make of rows along axis 1, computed by NumPy."""
        arg, results = self.args[position], []
        layout = layout_of(self.rows, tuple(np.shape(values[a]) for a in self.args), 1, True, None)
        with np.errstate(all="ignore"):
            y = _evaluate(self.rows, values, _NUMPY, layout)
            g = g if self.rows.is_elementwise else g[:, :1]
            for rows in (self._rule_rows(arg), self.rows.vjp(arg)):
                out = _evaluate(rows, {**values, "g": g, "y": y}, _NUMPY, layout)
                results.append(np.broadcast_to(out, layout.full))
        return results[0], results[1]

    def formula(self, position: int) -> str:  # noqa: D102
        arg = self.args[position]
        return self.given[arg] if arg in self.given else self._rule_rows(arg).text

    # -- values

    def __call__(
        self, *inputs: Any, axis: Axis = -1, keepdims: bool = False, shape: Shape | None = None
    ) -> Tensor:
        """Compute; `shape` is that of the result where no input has it."""
        if missing := len(self.args) - len(inputs):
            if not 0 < missing <= len(self.defaults):
                known = ", ".join(self.args)
                raise TypeError(f"the inputs of {self.name} are {known}: {len(inputs)} were given")
            inputs += self.defaults[-missing:]
        tensors, dtype = _of_one_dtype(inputs)
        arrays = [t._array if t._array.dtype is dtype else t._array.astype(dtype) for t in tensors]
        params = {"axis": axis, "keepdims": keepdims, "shape": shape}
        return record(self, tensors, params, self.compute(arrays, params))

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Array:
        """The output, from arrays of one dtype."""
        layout = self._layout(arrays, **params)
        dtype = arrays[0].dtype
        if mode.interpret:
            values = zip(self.args, layout.broadcastable(arrays), strict=True)
            with np.errstate(all="ignore"):
                out = _evaluate(self.rows, dict(values), _NUMPY, layout)
            return np.array(np.broadcast_to(out, layout.kept), dtype).reshape(layout.out)
        out = np.empty(layout.flat, dtype)
        kernel = self._kernels.get((layout.letters, dtype)) or self._kernel(layout.letters, dtype)
        kernel(out, layout.length, *layout.matrices(arrays))
        return layout.restored(out)

    def composition(self, *tensors: Tensor, **params: Any) -> Tensor:
        """The same, made of elementwise ops and reductions."""
        layout = self._layout([t._array for t in tensors], **params)
        dtype = _common(tensors)
        cast = [t if t._array.dtype == dtype else t.astype(dtype) for t in tensors]
        values = dict(zip(self.args, layout.broadcastable(cast), strict=True))
        out = _evaluate(self.rows, values, _functions(dtype), layout)
        if out.shape != layout.kept:
            out = out.broadcast_to(layout.kept)
        return out if layout.kept == layout.out else out.reshape(layout.out)

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        return self.composition(*[wrap(a) for a in arrays], **params)._array

    def _layout(
        self,
        arrays: Sequence[Array],
        axis: Axis = -1,
        keepdims: bool = False,
        shape: Shape | None = None,
    ) -> Layout:
        shapes = tuple([a.shape for a in arrays])
        try:
            return layout_of(self.rows, shapes, as_key(axis), keepdims, shape)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def _kernel(self, letters: str, dtype: np.dtype[Any]) -> Callable[..., None]:
        rows, kind = self.rows, NUMBA[dtype]
        args = loops.local_names(self.args)
        names = dict(zip(self.args, args, strict=True))
        names |= {t.name: t.name for t in rows.totals} | {"n": "n"}
        totals = tuple((t.name, t.kind, t.element.render(kind, names)) for t in rows.totals)
        kernel = loops.rowwise(
            re.sub(r"\W", "_", self.name), totals, rows.value.render(kind, names), args, kind,
            letters, computes_each(rows, letters),
        )  # fmt: skip
        self._kernels[letters, dtype] = kernel
        return kernel


def row_rule(
    op: Op, arg: str, rows: Rows, elements: Sequence[bool]
) -> tuple[Rule, tuple[str, ...]]:
    """The rule of one input as an expression of rows, and what it asks for.

    Parameters
    ----------
    op : has the parameters `axis` and `keepdims`.
    elements : which of its inputs have a value for each element of a row.
    """
    needed = rows.of_what_it_needs()
    if not needed.args:  # the derivative is 0
        return _nothing, ("g", f"{arg}_shape")
    if needed.value.text == "g_" and not rows.per_row & {"g"}:
        return identity, ("g",)
    rule = Rowwise(f"{op.name}.vjp_{arg}", needed.args, lambda: needed)
    asked = [a for a in rows.args if a in rows.names]
    spread = not rows.names - rows.per_row - rows.numbers  # no input has the shape of the result

    def run(axis: Any, keepdims: bool, shapes: Any, *values: Any) -> Tensor:
        full = np.broadcast_shapes(*compress(shapes, elements)) if spread else None
        return rule(*values, axis=axis, keepdims=keepdims, shape=full)

    return run, ("axis", "keepdims", "shapes", *asked)


def _nothing(g: Tensor, shape: Shape) -> Tensor:
    return constant(0.0, g.dtype).broadcast_to(shape)


def _of_one_dtype(inputs: tuple[Any, ...]) -> tuple[list[Tensor], np.dtype[Any]]:
    """The inputs as tensors, and the dtype that the op computes in: a float."""
    dtype: Any = None
    for x in inputs:
        if type(x) is Tensor:
            if dtype is None and x._array.dtype.kind == "f":
                dtype = x._array.dtype
            elif x._array.dtype is not dtype:
                break
        elif type(x) not in _NUMBERS:
            break
    else:
        return [x if type(x) is Tensor else weak(x, dtype) for x in inputs], dtype
    mixed = [x if type(x) in _NUMBERS else as_tensor(x) for x in inputs]
    dtype = _common([x for x in mixed if type(x) is Tensor])
    return [x if type(x) is Tensor else weak(x, dtype) for x in mixed], dtype


def _common(tensors: Sequence[Tensor]) -> np.dtype[Any]:
    dtype = np.result_type(*[t._array.dtype for t in tensors])
    return dtype if dtype.kind == "f" else _FLOAT64


# -- an expression of rows, by NumPy and by ops ----------------------------------------------------


def _evaluate(rows: Rows, values: dict[str, Any], functions: Any, layout: Layout) -> Any:
    """The value, from inputs that broadcast, by functions of whole arrays or tensors."""
    values = {**values, "n": float(layout.length)}
    for t in rows.totals:
        element = t.element.evaluate_by(functions, values)
        values[t.name] = functions[t.kind](element, layout)
    return rows.value.evaluate_by(functions, values)


def _numpy_total(kind: str, ufunc: Any) -> Callable[[Any, Layout], Any]:
    def total(element: Any, layout: Layout) -> Any:
        x = np.broadcast_to(element, layout.full)
        return ufunc.reduce(x, axis=layout.axes, keepdims=True, initial=_STARTS[kind])

    return total


_STARTS = {"sum": 0.0, "max": -math.inf, "min": math.inf}
_NUMPY = NUMPY | {
    kind: _numpy_total(kind, ufunc)
    for kind, ufunc in (("sum", np.add), ("max", np.maximum), ("min", np.minimum))
}


@lru_cache(maxsize=8)
def _functions(dtype: np.dtype[Any]) -> dict[str, Any]:
    """`FUNCTIONS` with numbers of this dtype, and totals over the axes of a layout."""

    def total(kind: str, element: Any, layout: Layout) -> Tensor:
        x = element if type(element) is Tensor else constant(element, dtype)
        if not layout.length:
            return constant(_STARTS[kind], dtype)
        x = x if x.shape == layout.full else x.broadcast_to(layout.full)
        return FUNCTIONS[kind](x, axis=layout.axes, keepdims=True)

    def where(condition: Tensor, *choices: Any) -> Tensor:
        numbers = [constant(c, dtype) if type(c) in _NUMBERS else c for c in choices]
        return FUNCTIONS["where"](condition, *numbers)

    totals = {kind: partial(total, kind) for kind in _STARTS}
    return {**FUNCTIONS, **totals, "where": where, "inf": math.inf, "nan": math.nan}
