"""The text under construction: names, arrays in memory, and how to read any value at any place."""

import keyword
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from tinygrad_rl.compiler import phases
from tinygrad_rl.compiler.plan import Plan
from tinygrad_rl.compiler.program import Value, unique
from tinygrad_rl.compiler.views import Places, is_reordered, matrix, source_index, subscript
from tinygrad_rl.core import NUMBA, Index, Kernel
from tinygrad_rl.kernels import scalar

AXES = (*"ijklmnop", *(f"i{k}" for k in range(2, 58)))  # NumPy's arrays have up to 64 axes
SCALAR_FUNCTIONS = tuple(n for n in vars(scalar) if not n.startswith("_"))
_PRODUCTS = [
    f"matmul{flips}{rows}" for flips in ("", "_nt", "_tn", "_tt") for rows in ("", "_rows")
]
_RESERVED = {
    *keyword.kwlist, *NUMBA.values(), *AXES, *SCALAR_FUNCTIONS, *_PRODUCTS,
    "array", "cell", "reshaped", "strided", "plus", "memory", "phase", "part", "row",
    "njit", "void", "inf", "nan", "range", "math", "np", "numba",
}  # fmt: skip


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
        self.temporaries: dict[Value, tuple[str, Places]] = {}
        self.declared: dict[str, str] = {}  # array name -> its declaration
        self.blocks: dict[tuple[str, Value | np.dtype], int] = {("shared", np.dtype(np.uint8)): 0}
        self.used: set[str] = set()
        self.products: set[np.dtype] = set()  # dtypes of the matrix products
        self.kernels: dict[Callable[..., None], str] = {}

    # Names.

    def name(self, v: Value) -> str:
        """The variable of a value: its own name, made unique."""
        if v not in self.names:
            self.names[v] = self.unique(v.name)
        return self.names[v]

    def unique(self, stem: str) -> str:
        """A name that nothing else in the function has."""
        return unique(stem, self.taken)

    def call(self, function: str) -> str:
        """The name of a helper, noted for the import line."""
        self.used.add(function)
        return function

    # Arrays in memory.

    def block(self, kind: str, key: Value | np.dtype) -> int:
        """The number of a block of memory: the call fills in its address."""
        return self.blocks.setdefault((kind, key), len(self.blocks))

    def placed(self, block: int, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> str:
        """A contiguous array in a block, as an expression."""
        place = f"{block}, {offset}, {shape_text(shape)}, {NUMBA[dtype]}"
        return f"{self.call('array')}(memory, {place})"

    def array(self, v: Value) -> str:
        """The name of the array that holds `v`, declared at its first use."""
        if v in self.plan.in_place:
            return self.array(self.plan.in_place[v])
        name = self.name(v)
        if name not in self.declared:
            self.declared[name] = self._declaration(v)
        return name

    def _declaration(self, v: Value) -> str:
        shape = v.shape or (1,)
        if v in self.plan.offsets:
            return self.placed(0, self.plan.offsets[v], shape, v.dtype)
        n = self.block("output" if v.kind == "result" else v.kind, v)
        if v.kind == "state" and not v.array.flags.c_contiguous:
            strides = f"{shape}, {v.array.strides}, {NUMBA[v.dtype]}"
            return f"{self.call('strided')}(memory, {n}, {strides})"
        return self.placed(n, 0, shape, v.dtype)

    def expression(self, v: Value) -> str:
        """`v` as an array for a call: a name, or the array of another value in another shape."""
        if not self.plan.is_view(v):
            return self.array(v)
        i = self.plan.made_by[v]
        assert is_reordered(i), f"{i} has no array"
        return f"{self.call('reshaped')}({self.expression(i.inputs[0])}, {shape_text(v.shape)})"

    def matrix(self, v: Value) -> tuple[str, bool]:
        """`v` as a matrix for a product: the text of an array, and whether to transpose it."""
        found = matrix(v, self.plan.made_by)
        assert found is not None, f"{v} is no matrix in memory"
        base, start, flipped = found
        counts = (*v.shape[:-2], v.shape[-1], v.shape[-2]) if flipped else v.shape
        whole = counts == base.shape
        parts = [
            ":" if (first, count) == (0, n) else f"{first}:{first + count}"
            for first, count, n in zip(start, counts, base.shape, strict=True)
        ]
        return self.expression(base) + ("" if whole else f"[{', '.join(parts)}]"), flipped

    # Elements.

    def element(self, v: Value, index: Places) -> str:
        """`v` at one place, as an expression."""
        if v.kind == "literal":
            return number_text(v)
        if v in self.temporaries and self.temporaries[v][1] == index:
            return self.temporaries[v][0]
        if not self.plan.is_view(v):
            return self.target(v, index)
        i = self.plan.made_by[v]
        inner = source_index(i, index)
        if inner is not None:
            return self.element(i.inputs[0], inner)
        name = self.name(v)
        if name not in self.declared:
            self.declared[name] = self.expression(v)
        return subscript(name, index)

    def target(self, v: Value, index: Places) -> str:
        """Where one element has its place: in its array, or in a variable."""
        if v.kind == "result" and not v.shape and v not in self.plan.offsets:
            return self.name(v)
        return subscript(self.array(v), index)

    def kernel(self, op: Kernel) -> str:
        """The name under which the function finds a user's kernel."""
        assert op.kernel is not None
        if op.kernel not in self.kernels:
            op.check_names()
            self.kernels[op.kernel] = self.unique(re.sub(r"\W", "_", f"kernel_{op.name}"))
        return self.kernels[op.kernel]

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
    ) -> tuple[list[str], Places]:
        """Headers of loops over the axes larger than 1, and the index that they spell.

        Of `axis`, a part runs over its share.
        """
        heads: list[str] = []
        index: list[Index] = []
        for a, n in enumerate(shape):
            if n == 1:
                index.append(Index())
            else:
                var = AXES[start + len(heads)]
                places = ", ".join(self.share(n)) if a == axis else n
                heads.append(f"for {var} in range({places}):")
                index.append(Index.of(var))
        return heads, tuple(index)

    def nest(
        self,
        shape: tuple[int, ...],
        body: Callable[[Places], list[str]],
        axis: int | None = None,
    ) -> list[str]:
        """A whole loop nest with one body, as lines to be written."""
        heads, index = self.loops(shape, axis=axis)
        return indented(heads, body(index))


def indented(heads: list[str], body: list[str]) -> list[str]:
    """A loop nest: each header inside the one before, the body inside them all."""
    for head in reversed(heads):
        body = [head, *("    " + line for line in body)]
    return body


def shape_text(shape: tuple[int, ...]) -> str:
    """`(2, 3)`, without the type names that NumPy's integers would bring."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def number_text(v: Value) -> str:
    """A literal as a number of its dtype: `float32(0.1)`."""
    number, kind = v.number, NUMBA[v.dtype]
    if v.dtype.kind == "b":
        return str(bool(number))
    assert number is not None
    if isinstance(number, float) and not math.isfinite(number):
        text = "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    else:
        # The shortest text that is the same number in this dtype: 0.1, not 0.10000000149011612.
        text = str(np.dtype(v.dtype).type(number)) if v.dtype.kind == "f" else repr(number)
    return f"{kind}({text})"
