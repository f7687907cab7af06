"""What an op can be. Whoever needs to know asks for the kind, never for the name.

    norm = Reduction("norm", start=0, combine="total + x * x", finish="sqrt(total)", vjp=...)
    gram = Product("gram", "ki,kj->ij")

A kind is what its declaration says of the op: how a reduction combines two elements, which axis a
product sums over, where a view reads. That is what the compiler fuses, divides among threads and
reads without a copy; eagerly an op computes by its NumPy function, or by the declaration itself.
Elementwise ops, the commonest kind, stand in `elements.py`; ops that only move elements (View,
Gather, Scatter) in `moves.py`.
"""

import builtins
import dis
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from types import CodeType
from typing import Any

import numpy as np
from numba import njit
from numba.core.errors import NumbaError

from tinygrad_rl.core.context import mode
from tinygrad_rl.core.dtypes import NUMBA
from tinygrad_rl.core.layout import Axis, normalize_axes
from tinygrad_rl.core.node import Rule
from tinygrad_rl.core.op import Array, Op, parameters, shape_of
from tinygrad_rl.core.rows import row_rule
from tinygrad_rl.core.tensor import Tensor, wrap
from tinygrad_rl.derive import Scalar, parse_rows, parse_text
from tinygrad_rl.kernels import loops


class Kernel(Op):
    """An op that is called as it is: a kernel in machine code, a NumPy function, or both.

    Parameters
    ----------
    kernel : `kernel(out, a, b, *, axis)` writes the result into `out`; plain Python that Numba can
        compile. Its arguments name the tensor inputs, those behind the star the static parameters.
    shape : `shape(a, b, *, axis)` gives the output's shape, or a pair (shape, dtype), and raises
        ValueError where the inputs don't fit.
    forward : a NumPy function that returns the result: used eagerly where it is given. Without a
        kernel the op can't be compiled.
    vjp, flops, differentiable : see `Op`.

    Raises
    ------
    TypeError : where neither kernel and shape nor forward are given.
    """

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
        if (kernel is None) != (shape is None) or (kernel is None and forward is None):
            raise TypeError(
                f"op {name!r} takes either kernel= and shape=, or forward=, or all of them"
            )
        like = parameters(kernel, 1) if kernel else parameters(forward)  # type: ignore[arg-type]
        super().__init__(name, like, vjp=vjp, flops=flops, differentiable=differentiable)
        self.kernel, self.shape_rule, self.forward = kernel, shape, forward

    @cached_property
    def _compiled(self) -> Callable[..., None]:
        self.check_names()
        compiled: Any = njit(self.kernel, error_model="numpy", nogil=True)
        return compiled

    def check_names(self) -> None:
        """Refuse a kernel that uses what is not defined, which Numba says without naming the op.

        Raises
        ------
        NameError : naming the op and the name.
        """
        function: Any = getattr(self.kernel, "py_func", self.kernel)
        known = {*vars(builtins), *function.__globals__}
        codes = [function.__code__]
        for code in codes:  # which grows
            codes += [c for c in code.co_consts if isinstance(c, CodeType)]
            for i in dis.get_instructions(code):
                if i.opname == "LOAD_GLOBAL" and i.argval not in known:
                    raise NameError(
                        f"the kernel of op {self.name!r} uses {i.argval!r}, which is not defined: "
                        f"define or import it in {code.co_filename}"
                    )

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        if self.forward is not None:
            return self.forward(*arrays, **params)
        assert self.shape_rule is not None
        shape = self.shape_rule(*arrays, **params)
        # Integers among floats are numbers of rows and the like: they don't decide the dtype.
        floats = [a.dtype for a in arrays if a.dtype.kind == "f"]
        dtype: Any = np.result_type(*(floats or arrays))
        if isinstance(shape, (tuple, list)) and len(shape) == 2 and isinstance(shape[0], tuple):
            shape, dtype = shape
        out = np.empty(shape_of(self, shape), dtype)
        if floats:
            common = np.result_type(*floats)
            arrays = [a.astype(common) if a.dtype.kind == "f" else a for a in arrays]
        try:
            self._compiled(out, *arrays, *(params[p] for p in self.params))
        except NumbaError as error:
            lines = [s for s in str(error).splitlines() if s and not s.startswith("Failed in")]
            why = lines[0] if lines else "it gives no reason"
            raise TypeError(
                f"the kernel of op {self.name!r} is not what Numba can compile: {why}"
            ) from error
        except ImportError as error:  # Numba calls SciPy's BLAS and LAPACK, and says so
            raise ImportError(
                f"the kernel of op {self.name!r}: {error}: pip install 'tinygrad-rl[scipy]'"
            ) from error
        return out


class NumpyOp(Op):
    """What the kinds share that compute by a NumPy function."""

    def __init__(self, name: str, forward: Callable[..., Any], **said: Any) -> None:
        super().__init__(name, parameters(forward), **said)
        self.forward = forward

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        return self.forward(*arrays, **params)


class Copy(NumpyOp):
    """The input's elements in memory of their own, perhaps of another dtype."""


class Composite(NumpyOp):
    """A shortcut of several ops: one NumPy function eagerly, its composition when compiled.

    Parameters
    ----------
    composition : the same function of tensors, written in ops: what the compiler makes of a call,
        and what the shortcut is tested against.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        composition: Callable[..., Tensor],
        **said: Any,
    ) -> None:
        super().__init__(name, forward, **said)
        self.composition = composition

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        return self.composition(*[wrap(a) for a in arrays], **params)._array


class Reduction(Op):
    """Elements along some axes combined into one.

    `op(x, axis=None, keepdims=False)`, NumPy's arguments. The rule is an expression of `g`, `x`,
    `y` and `n`, the number of elements that are combined, as in `vjp={"x": "g / n"}`; or a function
    of tensors, which gets the gradient `g` and the output `y` with the reduced axes kept, of size
    1, so that they broadcast against `x`.

    Parameters
    ----------
    start : the number to begin with; an infinity stands for the lowest or highest of a dtype.
    combine : an expression of `total` and `x`: the total with one element more.
    finish : an expression of `total` and `n`, the count of elements; left out, the total.
    dtype : a function from the dtype of `x` to that of the output; left out, the same. The total
        has it too. Integers become float64 where an expression makes floats of them.
    forward : a NumPy function `forward(x, *, axis, keepdims)` that does the same, where that is
        faster or more accurate.
    """

    plain_params = True

    def __init__(
        self,
        name: str,
        *,
        start: float,
        combine: str,
        finish: str | None = None,
        dtype: Callable[[Any], Any] = lambda dtype: dtype,
        forward: Callable[..., Array] | None = None,
        vjp: dict[str, Any] | None = None,
        **said: Any,
    ) -> None:
        text = (vjp or {}).get("x")
        self._rule_text = text if isinstance(text, str) else None
        rules = None if self._rule_text else vjp
        super().__init__(name, (("x",), ("axis", "keepdims"), False), vjp=rules, **said)
        self.start, self.forward, self.dtype = start, forward, dtype
        self._combine, self._finish = combine, finish

    @cached_property
    def combine(self) -> Scalar:
        """How a total and one more element are combined."""
        return parse_text(self._combine, ("total", "x"))

    @cached_property
    def finish(self) -> Scalar | None:
        """What the last total and the count of elements become; None: the total itself."""
        return None if self._finish is None else parse_text(self._finish, ("total", "n"))

    def _out_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The output's dtype; float64 where an expression makes floats of integers."""
        said = np.dtype(self.dtype(dtype))
        makes_floats = self.combine.is_floating or (self.finish and self.finish.is_floating)
        return np.dtype(np.float64) if makes_floats and said.kind != "f" else said

    def start_text(self, dtype: np.dtype[Any]) -> str:
        """The number to begin with, as the source of a constant of this dtype."""
        return f"{NUMBA[dtype]}({self._start_number(dtype)})"

    def _start_number(self, dtype: np.dtype[Any]) -> Any:
        if self.start not in (np.inf, -np.inf) or dtype.kind == "f":
            return self.start
        if dtype.kind == "b":
            return self.start > 0
        return np.iinfo(dtype).max if self.start > 0 else np.iinfo(dtype).min

    def __call__(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:  # noqa: D102
        ndim = x._array.ndim if type(x) is Tensor else np.ndim(x)
        return super().__call__(x, axis=normalize_axes(axis, ndim), keepdims=keepdims)

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        if self.forward is not None:
            return self.forward(*arrays, **params)
        if mode.interpret:
            return self.declared(arrays, params)
        rows, shape = _as_rows(arrays[0], **params)
        out = np.empty(shape, self._out_dtype(rows.dtype))
        kind = NUMBA[out.dtype]
        finish = None if self.finish is None else self.finish.render(kind)
        combine, start = self.combine.render(kind), self.start_text(out.dtype)
        types = NUMBA[rows.dtype], kind, kind
        loop = loops.reduction(self.name, start, combine, finish, *types)
        loop(out.reshape(-1), np.ascontiguousarray(rows))
        return out

    def declared(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        rows, shape = _as_rows(arrays[0], **params)
        dtype = self._out_dtype(rows.dtype)
        total = np.full(len(rows), self._start_number(dtype), dtype)
        for x in rows.astype(dtype).T:
            total = self.combine.evaluate([total, x])
        if self.finish is not None:
            total = self.finish.evaluate([total, np.full(len(rows), rows.shape[1], dtype)])
        return np.asarray(total, dtype).reshape(shape)

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The rule of the input, given what it asks for with the reduced axes kept."""
        if self._rule_text is not None:
            return self._row_rule
        rule, names = super().rule(position)
        needed = tuple(dict.fromkeys(("g", "x_shape", "axis", *names)))
        reduced = [name for name in ("g", "y") if name in needed]

        def spread(*values: Any) -> Tensor:
            given = dict(zip(needed, values, strict=True))
            shape, axis = given["x_shape"], given["axis"]
            kept = tuple(1 if a in axis else n for a, n in enumerate(shape))
            for name in reduced:
                given[name] = given[name].reshape(kept)
            out = rule(*[given[n] for n in names])
            return out if out.shape == shape else out.broadcast_to(shape)

        return spread, needed

    def formula(self, position: int) -> str | None:  # noqa: D102
        return self._rule_text

    @cached_property
    def _row_rule(self) -> tuple[Rule, tuple[str, ...]]:
        assert self._rule_text is not None
        rows = parse_rows(self._rule_text, ("g", "x", "y"), ("g", "y"))
        return row_rule(self, "x", rows.for_each_element(), [True])


def _as_rows(x: Array, axis: Axis = None, keepdims: bool = False) -> tuple[Array, tuple[int, ...]]:
    """What is combined with each other as the rows of a matrix; the shape of what comes out."""
    axes = normalize_axes(axis, x.ndim)
    rest = tuple(a for a in range(x.ndim) if a not in axes)
    shape = tuple(x.shape[a] for a in rest)
    count = math.prod(x.shape[a] for a in axes)
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    rows = x.transpose(*rest, *axes).reshape(math.prod(shape), count)
    return rows, kept if keepdims else shape


class Product(Op):
    """Products of matrices, and of stacks of matrices whose leading axes broadcast.

    Parameters
    ----------
    subscripts : which axes there are and which one is summed over, as in `einsum`: "ik,kj->ij" is
        a matrix product, "ik,jk->ij" one with the second matrix transposed. Two matrices with one
        axis in common, and the result has the other two in order.
    vjp : left out, the gradients are the products that the subscripts say.

    Raises
    ------
    ValueError : for other subscripts.
    """

    contracts = True

    def __init__(self, name: str, subscripts: str, **said: Any) -> None:
        super().__init__(name, (("a", "b"), (), False), **said)
        left, arrow, out = subscripts.partition("->")
        a, comma, b = left.partition(",")
        shared = {*a} & {*b}
        ok = arrow and comma and len(a) == len(b) == len({*a}) == len({*b}) == 2
        if not ok or len(shared) != 1 or out != (a + b).replace(min(shared), ""):
            raise ValueError(
                f"op {name!r}: a product is of two matrices with one axis in common, such as "
                f"'ik,kj->ij' or 'ik,jk->ij', not {subscripts!r}"
            )
        self.a, self.b, self.out = a, b, out
        (self.summed,) = shared
        self.flips = a[0] == self.summed, b[1] == self.summed

    def compute(self, arrays: list[Array], params: dict[str, Any]) -> Any:  # noqa: D102
        a, b = (
            x.swapaxes(-1, -2) if flip else x for x, flip in zip(arrays, self.flips, strict=True)
        )
        return np.matmul(a, b)

    def flops(self, out: Any, inputs: Sequence[Any], params: dict[str, Any]) -> int:
        """Two for each pair of elements that meet."""
        return int(2 * math.prod(out.shape) * inputs[0].shape[-2 if self.flips[0] else -1])

    @cached_property
    def _gradients(self) -> tuple["Product", "Product"]:
        a, b, out = self.a, self.b, self.out
        of_a = f"{b},{out}->{a}" if self.flips[0] else f"{out},{b}->{a}"
        of_b = f"{out},{a}->{b}" if self.flips[1] else f"{a},{out}->{b}"
        return Product(f"{self.name}.vjp_a", of_a), Product(f"{self.name}.vjp_b", of_b)

    def rule(self, position: int) -> tuple[Rule, tuple[str, ...]]:
        """The rule of one matrix: itself a product, of the gradient and the other matrix."""
        if self.vjp:
            return super().rule(position)
        return self._gradients[position], self._factors(position)

    def formula(self, position: int) -> str | None:  # noqa: D102
        flips = self._gradients[position].flips
        named = zip(self._factors(position), flips, strict=True)
        return None if self.vjp else " @ ".join(a + ".T" * flip for a, flip in named)

    def _factors(self, position: int) -> tuple[str, str]:
        other = "b" if position == 0 else "a"
        gradient_first = self.flips[position] == bool(position)
        return ("g", other) if gradient_first else (other, "g")
