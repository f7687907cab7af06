"""LLVM instructions on whole vector registers, for kernels that no compiler finds by itself.

    code = Vectors(builder, types.float32)
    sums = code.fma(code.splat(x), code.load(pointer), sums)

A vector is 512 bits wide: one register of AVX-512, two of AVX2, four of NEON; LLVM divides it.
"""

from collections.abc import Callable, Sequence

from llvmlite import ir
from numba import types
from numba.core import cgutils

BYTES = 64
"""Of a vector."""

_INT, _SIZE = ir.IntType(32), ir.IntType(64)


def size(number: int) -> ir.Constant:
    """A constant of the type that counts and offsets have."""
    return ir.Constant(_SIZE, number)


class Vectors:
    """Appends instructions to a function under construction."""

    def __init__(self, builder: ir.IRBuilder, kind: types.Float, bytes: int = BYTES) -> None:
        self.builder = builder
        self.itemsize = kind.bitwidth // 8
        self.width = bytes // self.itemsize
        self.number = ir.FloatType() if self.itemsize == 4 else ir.DoubleType()
        self.type = ir.VectorType(self.number, self.width)
        self.mask_type = ir.VectorType(ir.IntType(1), self.width)
        self.zero = ir.Constant(self.type, [0.0] * self.width)

    # Places in memory, from addresses as Numba's integers.

    def pointer(self, address: ir.Value) -> ir.Value:
        """An address as a pointer to numbers."""
        return self.builder.inttoptr(address, self.number.as_pointer())

    def at(self, pointer: ir.Value, *offsets: ir.Value | int) -> ir.Value:
        """So many numbers further on."""
        for offset in offsets:
            offset = size(offset) if isinstance(offset, int) else offset
            pointer = self.builder.gep(pointer, [offset])
        return pointer

    def row(self, pointer: ir.Value, step: ir.Value, k: int) -> ir.Value:
        """The k-th of places that are `step` numbers apart."""
        return self.at(pointer, self.builder.mul(step, size(k)))

    # Vectors.

    def load(self, pointer: ir.Value, mask: ir.Value | None = None) -> ir.Value:
        """A vector from memory, zero where the mask is not set."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            return self.builder.load(pointer, align=self.itemsize)
        align = ir.Constant(_INT, self.itemsize)
        return self._call("masked.load", self.type, [pointer, align, mask, self.zero], ".p0")

    def store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value | None = None) -> None:
        """Write a vector to memory, only the lanes whose mask is set."""
        pointer = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            self.builder.store(value, pointer, align=self.itemsize)
        else:
            align = ir.Constant(_INT, self.itemsize)
            self._call("masked.store", ir.VoidType(), [value, pointer, align, mask], ".p0")

    def prefetch(self, pointer: ir.Value) -> None:
        """Say that a place will be written to soon."""
        flags = [ir.Constant(_INT, n) for n in (1, 3, 1)]  # to write, in the first cache, data
        pointer = self.builder.bitcast(pointer, cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, *(flag.type for flag in flags)])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(function, [pointer, *flags])

    def splat(self, number: ir.Value) -> ir.Value:
        """The same number in every lane."""
        nothing = ir.Constant(ir.VectorType(number.type, self.width), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(_INT, 0))
        return self.shuffle(first, first, [0] * self.width)

    def shuffle(self, a: ir.Value, b: ir.Value, lanes: Sequence[int]) -> ir.Value:
        """Lanes of a (from 0) and b (from `width`)."""
        which = ir.Constant(ir.VectorType(_INT, self.width), list(lanes))
        return self.builder.shuffle_vector(a, b, which)

    def first(self, count: ir.Value) -> ir.Value:
        """The mask of the first `count` lanes: none if it is not positive, at most all."""
        lanes = ir.Constant(ir.VectorType(_SIZE, self.width), list(range(self.width)))
        return self.builder.icmp_signed("<", lanes, self.splat(count))

    def masked_if(self, condition: ir.Value, mask: ir.Value) -> ir.Value:
        """The mask where the condition holds, no lane where it does not."""
        return self.builder.select(condition, mask, ir.Constant(self.mask_type, [0] * self.width))

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """`a * b + c`: with one rounding where the processor can, else with two."""
        return self._call("fmuladd", self.type, [a, b, c])

    def totals(self, vectors: Sequence[ir.Value]) -> list[ir.Value]:
        """The sum of each vector's lanes, neighbours in halves: always in the same order.

        Two vectors become one, the half sums of each in half of its lanes, and so on. Their number
        is a power of two.
        """
        sums, w, h = list(vectors), self.width, self.width // 2
        if len(sums) > w:
            return [total for i in range(0, len(sums), w) for total in self.totals(sums[i : i + w])]
        while h:
            if len(sums) == 1:
                swapped = self.shuffle(sums[0], sums[0], [lane ^ h for lane in range(w)])
                sums = [self.builder.fadd(sums[0], swapped)]
            else:
                kept = [lane + (w if lane & h else 0) for lane in range(w)]
                moved = [(lane ^ h) + (w if lane & h else 0) for lane in range(w)]
                count = len(sums) // 2
                sums = [
                    self.builder.fadd(self.shuffle(a, b, kept), self.shuffle(a, b, moved))
                    for a, b in zip(sums[:count], sums[count:], strict=True)
                ]
            h //= 2
        step = w // len(vectors)
        lanes = [ir.Constant(_INT, step * i) for i in range(len(vectors))]
        return [self.builder.extract_element(sums[0], lane) for lane in lanes]

    def transposed(self, rows: list[ir.Value]) -> list[ir.Value]:
        """A square of numbers: swap blocks of half the size across the diagonal, and so on."""
        rows, w, h = list(rows), self.width, self.width // 2
        while h:
            low = [lane + (w - h if lane & h else 0) for lane in range(w)]
            high = [lane + (w if lane & h else h) for lane in range(w)]
            for j in range(w):
                if not j & h:
                    a, b = rows[j], rows[j + h]
                    rows[j], rows[j + h] = self.shuffle(a, b, low), self.shuffle(a, b, high)
            h //= 2
        return rows

    # Flow.

    def loop(
        self,
        count: ir.Value,
        carried: Sequence[ir.Value],
        body: Callable[[ir.Value, list[ir.Value]], list[ir.Value]],
    ) -> list[ir.Value]:
        """Run `body(k, carried)` for k from 0, at least once; what it returns is carried on."""
        builder, before = self.builder, self.builder.basic_block
        inside = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        builder.branch(inside)
        builder.position_at_end(inside)
        k = builder.phi(_SIZE)
        phis = [builder.phi(v.type) for v in carried]
        results = body(k, phis)
        next_k = builder.add(k, size(1))
        starts, ends = [size(0), *carried], [next_k, *results]
        for phi, start, end in zip([k, *phis], starts, ends, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(end, builder.basic_block)
        again = builder.cbranch(builder.icmp_signed("<", next_k, count), inside, after)
        again.set_metadata("llvm.loop", self._rolled())
        builder.position_at_end(after)
        return results

    def _rolled(self) -> ir.MDValue:
        """Says of a loop that it stays one: unrolled it is no faster, but three times the code."""
        module = self.builder.module
        disabled = module.add_metadata(["llvm.loop.unroll.disable"])
        loop = ir.MDValue(module, [], name=str(len(module.metadata)))
        loop.operands = (loop, disabled)  # that it names itself makes it different from all others
        return loop

    def _call(
        self, name: str, result: ir.Type, arguments: Sequence[ir.Value], ending: str = ""
    ) -> ir.Value:
        kind = ir.FunctionType(result, [a.type for a in arguments])
        full = f"llvm.{name}.v{self.width}f{8 * self.itemsize}{ending}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, full)
        return self.builder.call(function, arguments)
