"""The text under construction: names, arrays in memory, and how to read any value at any place."""

import keyword
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from tinygrad_rl.compiler import phases
from tinygrad_rl.compiler.plan import Plan
from tinygrad_rl.compiler.program import Value
from tinygrad_rl.compiler.views import keeps_axes, source_index
from tinygrad_rl.core import DTYPES, Op
from tinygrad_rl.kernels import scalar

NATIVE = (
    "array",
    "cell",
    "reshaped",
    "strided",
    "matmul",
    "matmul_nt",
    "matmul_tn",
    "matmul_tt",
    "matmul_rows",
    "matmul_nt_rows",
    "matmul_tn_rows",
    "matmul_tt_rows",
    "plus",
)
TYPES = {dtype.name: names.numba for dtype, names in DTYPES.items()}
AXES = (*"ijklmnop", *(f"i{k}" for k in range(2, 58)))  # NumPy's arrays have up to 64 axes
SCALAR_FUNCTIONS = tuple(n for n in vars(scalar) if not n.startswith("_"))
_RESERVED = {*keyword.kwlist, *NATIVE, *TYPES.values(), *AXES, *SCALAR_FUNCTIONS}
_RESERVED |= {
    "memory",
    "phase",
    "part",
    "njit",
    "void",
    "inf",
    "nan",
    "row",
    "range",
    "math",
    "np",
    "numba",
}


class Source:
    """The text under construction: lines, names, and how to read any value at any place."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        name = plan.program.name
        self.function = f"{name}_" if name in _RESERVED or name[0].isdigit() else name
        self.lines: list[str] = []
        self.axis: int | None = None  # of the step being written, along which it is divided
        self._indent = ""
        self._shares: dict[int, tuple[str, str]] = {}
        self.names: dict[Value, str] = {}
        self.taken = set(_RESERVED)
        self.temporaries: dict[Value, tuple[str, tuple[str, ...]]] = {}
        self.declared: dict[str, str] = {}  # array name -> its declaration
        self.blocks: list[tuple[str, Value | np.dtype]] = [("shared", np.dtype(np.uint8))]
        self.used: set[str] = set()
        self.products: set[np.dtype] = set()  # dtypes of the matrix products
        self.kernels: dict[str, Callable[..., None]] = {}

    # Names.

    def name(self, v: Value) -> str:
        """The variable of a value: its own name, made unique."""
        if v not in self.names:
            self.names[v] = self.unique(v.name)
        return self.names[v]

    def unique(self, stem: str) -> str:
        """A name that nothing else in the function has."""
        name, k = stem, 2
        while name in self.taken:
            name, k = f"{stem}_{k}", k + 1
        self.taken.add(name)
        return name

    def call(self, function: str) -> str:
        """The name of a helper, noted for the import line."""
        self.used.add(function)
        return function

    # Arrays in memory.

    def block(self, kind: str, key: Value | np.dtype) -> int:
        """The number of a block of memory: the call fills in its address."""
        for n, (k, what) in enumerate(self.blocks):
            if k == kind and (what is key or (isinstance(key, np.dtype) and what == key)):
                return n
        self.blocks.append((kind, key))
        return len(self.blocks) - 1

    def array(self, v: Value) -> str:
        """The name of the array that holds `v`, declared at its first use."""
        if v in self.plan.homes:
            return self.array(self.plan.homes[v])
        name = self.name(v)
        if name not in self.declared:
            self.declared[name] = self._declaration(v)
        return name

    def _declaration(self, v: Value) -> str:
        shape, dtype = v.shape or (1,), TYPES[v.dtype.name]
        if v in self.plan.offsets:
            return f"{self.call('array')}(memory, 0, {self.plan.offsets[v]}, {shape}, {dtype})"
        if v.kind == "result":
            return f"{self.call('array')}(memory, {self.block('output', v)}, 0, {shape}, {dtype})"
        n = self.block(v.kind, v)
        assert v.tensor is not None
        array = v.tensor._array
        if v.kind == "input" or array.flags.c_contiguous:
            return f"{self.call('array')}(memory, {n}, 0, {shape}, {dtype})"
        return f"{self.call('strided')}(memory, {n}, {shape}, {array.strides}, {dtype})"

    def expression(self, v: Value) -> str:
        """`v` as an array for a call: a name, a block of columns, another shape."""
        i = self.plan.made_by.get(v)
        if i is None or not self.plan.is_view(v):
            return self.array(v)
        inner = self.expression(i.inputs[0])
        if i.op.name == "slice":
            parts = [
                ":" if (first, count) == (0, n) else f"{first}:{first + count}"
                for (first, count, _), n in zip(i.params["bounds"], i.inputs[0].shape, strict=True)
            ]
            return f"{inner}[{', '.join(parts)}]"
        if i.op.name == "reshape":
            return f"{self.call('reshaped')}({inner}, {shape_text(v.shape)})"
        raise AssertionError(f"{i} has no array")

    # Elements.

    def element(self, v: Value, index: tuple[str, ...]) -> str:
        """`v` at one place, as an expression."""
        if v.kind == "literal":
            return number_text(v)
        if v in self.temporaries and self.temporaries[v][1] == index:
            return self.temporaries[v][0]
        if not v.shape:
            if v.kind in ("state", "input"):
                return f"{self.array(v)}[0]"
            if not self.plan.is_view(v):
                return f"{self.array(v)}[0]" if v in self.plan.offsets else self.name(v)
        i = self.plan.made_by.get(v)
        if i is not None and self.plan.is_view(v):
            if i.op.name == "reshape" and not keeps_axes(i):
                return f"{self._alias(v)}[{', '.join(index)}]"
            return self.element(i.inputs[0], source_index(i, index))
        return f"{self.array(v)}[{', '.join(index)}]"

    def _alias(self, v: Value) -> str:
        name = self.name(v)
        if name not in self.declared:
            self.declared[name] = self.expression(v)
        return name

    def target(self, v: Value, index: tuple[str, ...]) -> str:
        """Where one element of a result is written: a place in its array, or a variable."""
        if not v.shape and v not in self.plan.offsets:
            return self.name(v)
        return f"{self.array(v)}[{', '.join(index) or '0'}]"

    def kernel(self, op: Op) -> str:
        """The name under which the function finds a user's kernel."""
        assert op.kernel is not None
        for name, kernel in self.kernels.items():
            if kernel is op.kernel:
                return name
        name = self.unique(re.sub(r"\W", "_", f"kernel_{op.name}"))
        self.kernels[name] = op.kernel
        return name

    def write(self, *lines: str) -> None:
        """Add lines to the function."""
        self.lines += [f"{self._indent}{line}" if line else "" for line in lines]

    @contextmanager
    def block_of(self, head: str) -> Iterator[None]:
        """What is written inside stands below this line."""
        self.write("", head)
        start, before = len(self.lines), self._indent
        self._indent += "    "
        yield
        if len(self.lines) == start:
            self.write("pass")
        self._indent = before

    def share(self, n: int) -> tuple[str, str]:
        """The variables that hold the first of a part's places on an axis, and the one behind."""
        if n not in self._shares:
            first, last = self._shares[n] = self.unique(f"first_{n}"), self.unique(f"last_{n}")
            size = -(-n // (phases.BLOCK * self.plan.parts)) * phases.BLOCK
            self.declared[first] = f"min({size} * part, {n})"
            self.declared[last] = f"min({size} * part + {size}, {n})"
        return self._shares[n]

    def loops(
        self, shape: tuple[int, ...], start: int = 0, axis: int | None = None
    ) -> tuple[list[str], tuple[str, ...]]:
        """Headers of loops over the axes larger than 1, and the index that they spell.

        Of `axis`, a part runs over its share.
        """
        heads: list[str] = []
        index: list[str] = []
        for a, n in enumerate(shape):
            if n == 1:
                index.append("0")
            else:
                var = AXES[start + len(heads)]
                places = ", ".join(self.share(n)) if a == axis else n
                heads.append(f"for {var} in range({places}):")
                index.append(var)
        return heads, tuple(index)

    def nest(
        self,
        shape: tuple[int, ...],
        body: Callable[[tuple[str, ...]], list[str]],
        axis: int | None = None,
    ) -> None:
        """A whole loop nest with one body."""
        heads, index = self.loops(shape, axis=axis)
        inside = body(index)  # may declare what it reads, before the loop
        for depth, head in enumerate(heads):
            self.write("    " * depth + head)
        self.write(*("    " * len(heads) + line for line in inside))


def shape_text(shape: tuple[int, ...]) -> str:
    """`(2, 3)`, without the type names that NumPy's integers would bring."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def number_text(v: Value) -> str:
    """A literal as a number of its dtype: `float32(0.1)`."""
    number, kind = v.number, TYPES[v.dtype.name]
    if v.dtype.kind == "b":
        return str(bool(number))
    assert number is not None
    if isinstance(number, float) and not math.isfinite(number):
        text = "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    else:
        # The shortest text that is the same number in this dtype: 0.1, not 0.10000000149011612.
        text = str(np.dtype(v.dtype).type(number)) if v.dtype.kind == "f" else repr(number)
    return f"{kind}({text})"
