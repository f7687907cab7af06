"""Scalar expressions -> Numba loops over arrays, for the eager path.

    mul = elementwise("mul", "a * b", ("a", "b"), "float32", ("float32", "float32"))
    mul(a, b)                             # a NumPy ufunc: arrays of any shapes that broadcast

    norm = reduction("norm", "0", "total + x * x", "sqrt(total)", "float32", "float64", "float32")
    norm(out, x)                          # out[i] = norm of x[i]

A loop's source is a file in the cache folder that can be read, and is compiled once.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tinygrad_rl.kernels.cache import load
from tinygrad_rl.kernels.ufunc import BLOCK, LOOP, make

_HEADER = """\
from numba import boolean, float32, float64, int32, int64, intp, njit, uint8, void
from numba.types import Array, CPointer, voidptr
from numpy import inf, nan
"""
_FUNCTION = re.compile(r"\b([a-z]\w*)\(")
_BUILT_IN = {"float32", "float64", "int64", "int32", "uint8", "boolean", "range", "min"}
_MODULES = {
    "native": {"larger", "plus", "smaller"},
    "ufunc": {"beside", "buffer", "forget", "pointer", "spread"},
}
_OWN = {"count", "counts", "data", "ends", "first", "i", "j", "kernel", "n", "out", "size", "steps"}
_OWN |= _BUILT_IN.union(*_MODULES.values(), ("inf", "nan"))


def local_names(args: Sequence[str]) -> tuple[str, ...]:
    """What the arguments of an expression are called in a loop, which has names of its own."""
    taken, names = {*_OWN, *args}, []
    for name in args:
        if name in _OWN or name.endswith(("_in", "_block", "_part", "_row")):
            while name in taken:
                name += "_"
            taken.add(name)
        names.append(name)
    return tuple(names)


def _compiled(stem: str, signature: str, names: Sequence[str], body: Sequence[str]) -> Any:
    """Compile (or load) a function of this signature."""
    called = set(_FUNCTION.findall("\n".join(body))) - _BUILT_IN
    found = {module: called & functions for module, functions in _MODULES.items()}
    found["scalar"] = called.difference(*found.values())
    imported = [
        f"from tinygrad_rl.kernels.{module} import {', '.join(sorted(functions))}\n"
        for module, functions in found.items()
        if functions
    ]
    source = (
        f"{_HEADER}{''.join(imported)}\n\n"
        f'@njit({signature}, cache=True, error_model="numpy", nogil=True)\n'
        f"def kernel({', '.join(names)}):\n    " + "\n    ".join(body) + "\n"
    )
    return load(source, stem).kernel


def _array(dtype: str, ndim: int, readonly: bool = True) -> str:
    return f'Array({dtype}, {ndim}, "C"{", readonly=True" if readonly else ""})'


@cache
def elementwise(
    stem: str, expression: str, args: tuple[str, ...], out_type: str, types: tuple[str, ...]
) -> Callable[..., Any]:
    """The NumPy ufunc that computes `expression` for every element, compiled or loaded.

    Parameters
    ----------
    stem : names the file in the cache folder, and the ufunc.
    expression : Numba source of one element, in the names `args`.
    args : the names of the inputs in it.
    out_type, types : Numba's names of the dtypes of the output and of each input.
    """
    names, last = [*args, "out"], len(args)
    dtypes = [np.dtype("bool" if t == "boolean" else t) for t in (*types, out_type)]
    in_memory = ["uint8" if d.kind == "b" else d.name for d in dtypes]
    whole = " and ".join(f"steps[{k}] == {d.itemsize}" for k, d in enumerate(dtypes))
    at = [f"ends[{k}] + first * steps[{k}]" for k in range(len(names))]
    body = [
        f"size = counts[0] if {whole} else {BLOCK}",
        *(f"{name}_block = buffer({t})" for name, t in zip(names, in_memory, strict=True)),
        "for first in range(0, counts[0], size):",
        "    count = min(size, counts[0] - first)",
    ]
    elements = []
    for k, name in enumerate(args):
        kind, width = in_memory[k], dtypes[k].itemsize
        given = f"{at[k]}, steps[{k}], count, {width}, {kind}, {name}_block, first == 0"
        body.append(f"    {name}_in = beside({given})")
        elements.append(f"{name} = {name}_in[i]{' != 0' * (types[k] == 'boolean')}")
    kind, width = in_memory[last], dtypes[last].itemsize
    body += [
        f"    out = pointer({at[last]}, {kind}) if steps[{last}] == {width} else out_block",
        "    for i in range(count):",
        *(f"        {line}" for line in elements),
        f"        out[i] = {f'uint8({expression})' if out_type == 'boolean' else expression}",
        f"    if steps[{last}] != {width}:",
        f"        spread({at[last]}, steps[{last}], count, {kind}, out_block)",
        "forget()",
    ]
    return make(_compiled(stem, LOOP, ["ends", "counts", "steps", "data"], body), stem, dtypes)


@cache
def reduction(
    stem: str,
    start: str,
    combine: str,
    finish: str | None,
    in_dtype: str,
    acc_dtype: str,
    out_dtype: str,
) -> Callable[..., None]:
    """Compile (or load) the loop `loop(out, x)` that reduces each row of x to a number of out.

    Parameters
    ----------
    stem : names the file in the cache folder.
    start : Numba source of the value before the first element, and of an empty row.
    combine : what becomes of `total` with one more element `x`; elements come in order.
    finish : the result, in `total` and the number of elements `n`; None for `total` itself.
    in_dtype, acc_dtype, out_dtype : Numba's names of the dtypes of x, of `total`, and of out.
    """
    body = [
        "n = x_in.shape[1]",
        "for i in range(out.shape[0]):",
        f"    total = {acc_dtype}({start})",
        "    for j in range(n):",
        "        x = x_in[i, j]",
        f"        total = {acc_dtype}({combine})",
        f"    out[i] = {finish or 'total'}",
    ]
    arrays = _array(out_dtype, 1, readonly=False), _array(in_dtype, 2)
    return _compiled(stem, f"void({', '.join(arrays)})", ["out", "x_in"], body)


_CHUNK = 1024
"""Elements that are added up in the dtype of the sum, before they go to a total in float64."""


@cache
def rowwise(
    stem: str,
    totals: tuple[tuple[str, str, str], ...],
    value: str,
    args: tuple[str, ...],
    dtype: str,
    letters: str,
    each_element: bool,
) -> Callable[..., None]:
    """Compile (or load) `loop(out, count, ...)`: totals of each row, then a value.

    Parameters
    ----------
    stem : names the file in the cache folder.
    totals : (name, kind, expression) of each: "sum", "max" or "min" of the expression, in which the
        arguments, the totals before it and `n`, the number of elements of a row, may stand.
    value : the result, in the arguments, the totals and `n`.
    args : the names of the inputs.
    dtype : Numba's name of the dtype of them all.
    letters : a letter for each input. `v` is a matrix with a row for each row, `r` one row for all,
        `c` a column with one number for each row, `s` one number.
    each_element : whether there is a value for each element (`out` is a matrix), or for each row.
    """
    width = np.dtype(dtype).itemsize
    place = {"v": f"(i * count + first) * {width}", "r": f"first * {width}"}
    given = [*zip(args, letters, strict=True)]

    def over_row(size: str, expressions: Sequence[str], lines: Sequence[str]) -> list[str]:
        """A loop over `size` elements from `first` on: each is read, then the lines."""
        words = {word for e in expressions for word in re.findall(r"\w+", e)}
        read = [(a, k) for a, k in given if k in place and a in words]
        return [
            *(f"{a}_row = pointer({a}_in.ctypes.data + {place[k]}, {dtype})" for a, k in read),
            f"for j in range({size}):",
            *(f"    {a} = {a}_row[j]" for a, _ in read),
            *(f"    {line}" for line in lines),
        ]

    row = [f"{a} = {a}_in[i]" for a, k in given if k == "c"]
    for group in _independent(totals):
        row += _totals_of_row(group, dtype, over_row)
    if each_element:
        row += ["first = 0", f"out_row = pointer(out.ctypes.data + {place['v']}, {dtype})"]
        row += over_row("count", [value], [f"out_row[j] = {value}"])
    else:
        row += [f"out[i] = {value}"]
    body = [f"n = {dtype}(count)", *(f"{a} = {a}_in[0]" for a, k in given if k == "s")]
    body += ["for i in range(out.shape[0]):", *(f"    {line}" for line in row)]
    arrays = [_array(dtype, 2 if each_element else 1, readonly=False), "intp"]
    arrays += [_array(dtype, 2 if k == "v" else 1) for k in letters]
    names = ["out", "count", *(f"{a}_in" for a in args)]
    stem = f"{stem}_{letters}"
    return _compiled(stem, f"void({', '.join(arrays)})", names, body)


def _independent(totals: Sequence[tuple[str, str, str]]) -> list[list[tuple[str, str, str]]]:
    """Totals in order, those together that need nothing of each other."""
    groups: list[list[tuple[str, str, str]]] = []
    for total in totals:
        words = {*re.findall(r"\w+", total[2])}
        if not groups or any(name in words for name, _, _ in groups[-1]):
            groups.append([])
        groups[-1].append(total)
    return groups


def _totals_of_row(
    group: Sequence[tuple[str, str, str]], dtype: str, over_row: Callable[..., list[str]]
) -> list[str]:
    """One pass over a row: sums of chunks in their own dtype, of all chunks in float64."""
    starts = {"sum": "0.0", "max": "-inf", "min": "inf"}
    ways = {"sum": "plus", "max": "larger", "min": "smaller"}
    adds = [f"{t}_part = {ways[kind]}({t}_part, {dtype}({e}))" for t, kind, e in group]
    return [
        *(f"{t} = float64({starts[kind]})" for t, kind, _ in group),
        f"for first in range(0, count, {_CHUNK}):",
        *(f"    {t}_part = {dtype}({starts[kind]})" for t, kind, _ in group),
        f"    size = min({_CHUNK}, count - first)",
        *(f"    {line}" for line in over_row("size", [e for _, _, e in group], adds)),
        *(f"    {t} = {ways[kind]}({t}, float64({t}_part))" for t, kind, _ in group),
        *(f"{t} = {dtype}({t})" for t, _, _ in group),
    ]
