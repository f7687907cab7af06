"""Scalar expressions -> Numba loops over arrays, for the eager path.

    mul = elementwise("mul", "a * b", ("a", "b"), "float32", ("float32", "float32"), "vs")
    mul(out, a, b)                        # flat, contiguous arrays

    norm = reduction("norm", "0", "total + x * x", "sqrt(total)", "float32", "float64", "float32")
    norm(out, x)                          # out[i] = norm of x[i]

A loop's source is a file in the cache folder that can be read, and is compiled once.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from tinygrad_rl.kernels.cache import load

_HEADER = """\
from numba import boolean, float32, float64, int32, int64, njit, uint8, void
from numba.types import Array
from numpy import inf, nan
"""
_FUNCTION = re.compile(r"\b([a-z]\w*)\(")
_BUILT_IN = {"float32", "float64", "int64", "int32", "uint8", "boolean", "range"}


def _compiled(
    stem: str, arrays: Sequence[str], names: Sequence[str], body: Sequence[str]
) -> Callable[..., None]:
    """Compile (or load) a function of these arrays; the first one is written to."""
    called = ", ".join(sorted(set(_FUNCTION.findall("\n".join(body))) - _BUILT_IN))
    imported = f"from tinygrad_rl.kernels.scalar import {called}\n" if called else ""
    source = (
        f"{_HEADER}{imported}\n\n"
        f'@njit(void({", ".join(arrays)}), cache=True, error_model="numpy", nogil=True)\n'
        f"def kernel({', '.join(names)}):\n    " + "\n    ".join(body) + "\n"
    )
    kernel: Any = load(source, stem).kernel
    return kernel


def _array(dtype: str, ndim: int, readonly: bool = True) -> str:
    return f'Array({dtype}, {ndim}, "C"{", readonly=True" if readonly else ""})'


@cache
def elementwise(
    stem: str,
    expression: str,
    args: tuple[str, ...],
    out_type: str,
    types: tuple[str, ...],
    pattern: str,
) -> Callable[..., None]:
    """Compile (or load) the loop that computes `expression` for every element.

    Parameters
    ----------
    stem : names the file in the cache folder.
    expression : Numba source of one element, in the names `args`.
    args : the names of the inputs in it.
    out_type, types : Numba's names of the dtypes of the output and of each input.
    pattern : a letter for each input. `v` has the output's shape, `s` is one number, `r` is one row
        repeated over the leading axes (a bias), `c` one column repeated over the trailing ones.
        With `r` or `c` in it the output and the `v` inputs have two axes, else one.
    """
    flat = "r" not in pattern and "c" not in pattern
    axes = 1 if flat else 2
    arrays = [_array(out_type, axes, readonly=False)]
    before: list[str] = []
    inside: list[str] = []
    for name, dtype, letter in zip(args, types, pattern, strict=True):
        arrays.append(_array(dtype, axes if letter == "v" else 1))
        index = {"v": "i" if flat else "i, j", "s": "0", "r": "j", "c": "i"}[letter]
        (before if letter == "s" else inside).append(f"{name} = {name}_in[{index}]")
    loops = ["for i in range(out.shape[0]):"]
    if not flat:
        loops.append("    for j in range(out.shape[1]):")
    indent = "    " * len(loops)
    body = [*before, *loops, *(indent + line for line in inside)]
    body.append(f"{indent}out[{'i' if flat else 'i, j'}] = {expression}")
    names = ["out", *(f"{name}_in" for name in args)]
    return _compiled(f"{stem}_{pattern}", arrays, names, body)


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
    arrays = [_array(out_dtype, 1, readonly=False), _array(in_dtype, 2)]
    return _compiled(stem, arrays, ["out", "x_in"], body)
