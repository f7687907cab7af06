"""Matrix products at the speed of the processor: `out = a @ b` for matrices with any strides.

BLAS libraries are made for large matrices: for a small network's they spend much of the time on
choosing a method, copying, and waking threads. Here a product is a loop nest around blocks of `out`
that stay in registers while their sums run over the terms (`blocks.py`), in one of three ways:

* By panels: vectors lie along the columns. What a block reads of `b` is first copied to where it
  lies together, unless few rows would use the copy; so is `a` where its rows are far apart. The
  loops around it keep both in the caches (Goto and van de Geijn, "Anatomy of high-performance
  matrix multiplication", 2008).
* Transposed: `out.T = b.T @ a.T` by panels, where columns are too few to fill vectors.
* By inner products: vectors lie along the terms, where rows or columns are few.

In the first two, each element of `out` is summed in the order of its terms, a multiply-add each, up
to `_DEPTH` of them in one go. Rows may be divided among threads: whether a product goes by inner
products depends on the shape of the whole only, so that the result is the same to the last bit.
"""

from functools import cache
from typing import Any

import llvmlite.binding
import numpy as np
from numba import njit
from numba.core import config

from tinygrad_rl.kernels.blocks import (
    allocate,
    copy_rows,
    free,
    get,
    inner_sweep,
    itemsize,
    lanes,
    on_stack,
    part,
    put,
    sweep,
    transpose,
)
from tinygrad_rl.kernels.cache import load
from tinygrad_rl.kernels.vector import BYTES

_FEATURES = config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten()
# Registers decide how large a block is: AVX-512 has 32 of a vector each, AVX2 16 of half a vector.
# Fewer rows than the largest block's are divided among smaller ones.
if "+avx512f" in _FEATURES:
    _PANEL, _BROAD, _GROUP = 2, 4, 8
    _panel, _broad = sweep(_PANEL, (8, 4, 2, 1)), sweep(_BROAD, (6, 4, 2, 1))
    _edge, _narrow = (sweep(1, (8, 6, 4, 2, 1), n, masked=True) for n in (BYTES, BYTES // 2))
    _inner_4, _inner_2 = inner_sweep(4, (4, 2, 1)), inner_sweep(2, (4, 2, 1))
    _inner_1 = inner_sweep(1, (8, 4, 2, 1))
else:
    _PANEL, _BROAD, _GROUP = 1, 1, 12
    _panel = _broad = sweep(_PANEL, (6, 4, 2, 1))
    _edge, _narrow = (sweep(1, (4, 2, 1), n, masked=True) for n in (BYTES, BYTES // 2))
    _inner_4, _inner_2 = inner_sweep(4, (1,)), inner_sweep(2, (2, 1))
    _inner_1 = inner_sweep(1, (4, 1))
"""`_PANEL` and `_BROAD`: vectors in a row of a panel, and of one for few rows. `_GROUP`: rows of
`a` whose copy has the numbers of a term together."""

# Measured, see "Record" in benchmarks/README.md.
_DEPTH = 512
"""Terms that are added in one go: more of a panel would not stay in the second cache."""
_TALL = 512
"""Rows that are worked on in one go: so much of `a` stays there too."""
_COPY_B = 256
"""Rows from which panels of `b` are copied even if their rows are contiguous."""
_COPY_A = 4096
"""Bytes between rows from which `a` is copied: rows of as many bytes share few lines of a cache."""
_SHORT = 24
"""Terms up to which a product is mostly writing: rows are finished one block after the other."""
_BROAD_ROWS = 7
"""Rows up to which panels are broad: nothing is read twice then, and more of it at a time."""
_THIN, _VERY_THIN = 24, 8
"""Rows or columns up to which a product goes by inner products, with many terms and with few."""
_THIN_DEPTH = 256
"""Terms of which few columns are copied for inner products."""

_panel_memory = on_stack(max(_DEPTH * _PANEL * BYTES, _THIN * _THIN_DEPTH * 8))
_tile_memory = on_stack(_PANEL * _BROAD * BYTES * BYTES // 4)  # of three quarters as many rows


# -- copies: addresses in bytes, strides in numbers ------------------------------------------------


@part
def _transpose_all(kind, target, source, target_row, source_row, rows, columns, width):
    """`target[k, j] = source[j, k]`; rows of the target may be written up to `width`."""
    s, vector = itemsize(kind), lanes(kind)
    for j in range(0, columns, vector):
        for k in range(0, rows, vector):
            to, at = target + s * (k * target_row + j), source + s * (j * source_row + k)
            if columns - j > 2:
                transpose(kind, to, at, target_row, source_row, rows - k, columns - j, width - j)
                continue
            for i in range(min(vector, rows - k)):
                for n in range(columns - j):
                    value = get(kind, at + s * (n * source_row + i))
                    put(kind, to + s * (i * target_row + n), value)


@part
def _copy(kind, target, b, width, terms, columns, b_term, b_column):
    """Copy columns of b so that a term's numbers lie beside each other, `width` after `width`."""
    s, vector = itemsize(kind), lanes(kind)
    if b_column == 1:
        for j in range(0, columns, vector):
            copy_rows(kind, target + s * j, b + s * j, width, b_term, terms, columns - j)
    elif b_term == 1:
        _transpose_all(kind, target, b, width, b_column, terms, columns, width)
    else:
        for k in range(terms):
            for j in range(columns):
                value = get(kind, b + s * (k * b_term + j * b_column))
                put(kind, target + s * (k * width + j), value)


# -- the ways: rows have `out_row` numbers between them, and so on ---------------------------------


@part
def _by_inner_products(
    kind, out, a, b, rows, columns, terms, out_row, out_column, a_row, b_term, b_column
):
    """Every row of a, which are contiguous, with every one of few columns of b."""
    s, memory, room = itemsize(kind), _panel_memory(), 1024 if b_term == 1 else _THIN_DEPTH
    for done in range(0, terms, room):
        depth = min(room, terms - done)
        y, y_column = b + s * done * b_term, b_column
        if b_term != 1:
            _copy(kind, memory, y, room, columns, depth, b_column, b_term)
            y, y_column = memory, room
        for i in range(0, rows, 32):  # which stay in the first cache for all columns
            x, n = a + s * (i * a_row + done), min(32, rows - i)
            j = 0
            while j < columns:
                v, z = out + s * (i * out_row + j * out_column), y + s * j * y_column
                if columns - j >= 4:
                    _inner_4(kind, v, x, z, n, depth, out_row, out_column, a_row, y_column, done)
                    j += 4
                elif columns - j >= 2:
                    _inner_2(kind, v, x, z, n, depth, out_row, out_column, a_row, y_column, done)
                    j += 2
                else:
                    _inner_1(kind, v, x, z, n, depth, out_row, out_column, a_row, y_column, done)
                    j += 1


@part
def _sweeps(kind, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_row, broad_rows, more):
    """All columns of out, some together, where rows of b are contiguous."""
    s, vector = itemsize(kind), lanes(kind)
    width, broad = _PANEL * vector, _BROAD * vector
    j = 0
    while j < columns:
        v, z, left = out + s * j, b + s * j, columns - j
        if left >= broad and rows <= broad_rows:
            some = left // broad * broad
            _broad(kind, v, a, z, rows, terms, out_row, a_row, a_term, b_row, some, more)
        elif left >= width:
            some = left // width * width
            _panel(kind, v, a, z, rows, terms, out_row, a_row, a_term, b_row, some, more)
        elif 2 * left > vector:
            some = min(left, vector)
            _edge(kind, v, a, z, rows, terms, out_row, a_row, a_term, b_row, some, more)
        else:
            some = left
            _narrow(kind, v, a, z, rows, terms, out_row, a_row, a_term, b_row, some, more)
        j += some


@part
def _by_panels(
    kind, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, copy
):
    """All columns of out, a copied panel of b after the other.

    `copy` is memory for a copy of `a`, 0 where it is read as it is.
    """
    s, panel, width = itemsize(kind), _panel_memory(), _PANEL * lanes(kind)
    for top in range(0, rows, _TALL):
        tall = min(_TALL, rows - top)
        for done in range(0, terms, _DEPTH):
            depth = min(_DEPTH, terms - done)
            x, x_row, x_term = a + s * (top * a_row + done * a_term), a_row, a_term
            group, x_group = tall, 0
            if copy:
                for i in range(0, tall, _GROUP):
                    to, some = copy + s * i * depth, min(_GROUP, tall - i)
                    _copy(kind, to, x + s * i * a_row, _GROUP, depth, some, a_term, a_row)
                x, x_row, x_term, group, x_group = copy, 1, _GROUP, _GROUP, s * _GROUP * depth
            for j in range(0, columns, width):
                some, z = min(width, columns - j), x
                y = b + s * (done * b_term + j * b_column)
                _copy(kind, panel, y, width, depth, some, b_term, b_column)
                for i in range(0, tall, group):
                    to, n = out + s * ((top + i) * out_row + j), min(group, tall - i)
                    if some == width:
                        _panel(
                            kind, to, z, panel, n, depth, out_row, x_row, x_term, width, width, done
                        )
                    else:
                        _sweeps(
                            kind, to, z, panel, n, some, depth, out_row, x_row, x_term, width, 0,
                            done,
                        )  # fmt: skip
                    z += x_group


@part
def _transposed(kind, out, a, b, rows, columns, terms, out_column, a_row, a_term, b_term):
    """Few rows, whose numbers are not beside each other in out, by way of a tile where they are."""
    s, tile, broad = itemsize(kind), _tile_memory(), _BROAD * lanes(kind)
    for done in range(0, terms, _DEPTH):
        x, depth = a + s * done * a_term, min(_DEPTH, terms - done)
        for j in range(0, columns, broad):
            to, some = out + s * j * out_column, min(broad, columns - j)
            y = b + s * (done * b_term + j)
            if done:
                _transpose_all(kind, tile, to, broad, out_column, rows, some, some)
            _sweeps(kind, tile, x, y, rows, some, depth, broad, a_row, a_term, b_term, rows, done)
            _transpose_all(kind, to, tile, out_column, broad, some, rows, rows)


@part
def _in_place(kind, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term):
    """Nothing is copied."""
    s = itemsize(kind)
    tall = 8 if terms <= _SHORT and columns >= 256 else rows
    i = 0
    while i < rows:
        n = min(tall, rows - i)
        for done in range(0, terms, _DEPTH):
            to, x = out + s * i * out_row, a + s * (i * a_row + done * a_term)
            y, depth = b + s * done * b_term, min(_DEPTH, terms - done)
            _sweeps(
                kind, to, x, y, n, columns, depth, out_row, a_row, a_term, b_term, _BROAD_ROWS, done
            )
        i += n


@njit(inline="always")
def product(
    kind, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, all_rows
):
    """`out[rows, columns] = a[rows, terms] @ b[terms, columns]`; columns of out are contiguous.

    The rows may be some of those of a larger product, which has `all_rows`.
    """
    s, width, out_column = itemsize(kind), _PANEL * lanes(kind), 1
    thin = min(all_rows, columns)
    if b_term == 1:
        inner = (thin <= _VERY_THIN and terms >= 16) or (thin <= _THIN and terms >= 64)
    else:  # the columns would have to be copied
        inner = columns <= _THIN and all_rows >= 16 and terms >= 128
    inner = inner and a_term == 1
    if inner:
        swapped = b_term == 1 and all_rows < columns
    elif columns == 1 and out_row == 1:
        swapped = a_row == 1
    else:
        swapped = a_row == 1 and 4 * columns <= 3 * width and columns < rows and terms >= 16
    if swapped:
        a, b, rows, columns = b, a, columns, rows
        a_row, a_term, b_term, b_column = b_column, b_term, a_term, a_row
        out_row, out_column = out_column, out_row
    if inner:
        _by_inner_products(
            kind, out, a, b, rows, columns, terms, out_row, out_column, a_row, b_term, b_column
        )
        return
    if out_column != 1:
        _transposed(kind, out, a, b, rows, columns, terms, out_column, a_row, a_term, b_term)
        return
    far = columns >= 4 * width and rows >= 32 and s * max(a_row, a_term) >= _COPY_A
    if b_column == 1 and ((rows < _COPY_B and not far) or terms <= _SHORT):
        _in_place(kind, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term)
        return
    memory = 0
    if far:
        memory = allocate(s * (min(rows, _TALL) + _GROUP) * min(terms, _DEPTH) + BYTES)
    start = (memory + BYTES - 1) // BYTES * BYTES
    _by_panels(
        kind, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, start
    )
    if memory:
        free(memory)


# -- what compiled functions call ------------------------------------------------------------------

_SOURCE = """\
\"\"\"out = a @ b for {kind}: see tinygrad_rl/kernels/gemm.py.\"\"\"

from numba import cfunc, {kind}, int64, void
from tinygrad_rl.kernels.gemm import product


@cfunc(void({arguments}), cache=True, nopython=True, error_model="numpy")
def gemm(out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, all_rows):
    product(
        {kind}, out, a, b, rows, columns, terms, out_row, a_row, a_term, b_term, b_column, all_rows
    )
"""
ARGUMENTS = 12


def symbol(dtype: np.dtype[Any]) -> str:
    """The name under which machine code finds the product of this dtype."""
    return f"tinygrad_rl_gemm_{dtype.name}"


@cache
def install(dtype: np.dtype[Any]) -> None:
    """Compile the product of float32 or float64 matrices, or load it; machine code may call it."""
    source = _SOURCE.format(kind=dtype.name, arguments=", ".join(["int64"] * ARGUMENTS))
    address = load(source, f"gemm_{dtype.name}").gemm.address
    llvmlite.binding.add_symbol(symbol(dtype), address)
