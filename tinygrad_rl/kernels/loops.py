"""One scalar expression -> a Numba loop over arrays, for the eager path.

    kernel = elementwise("mul", "a * b", ("a", "b"), "float32", ("float32", "float32"), "vs")
    kernel(out, a, b)                     # flat, contiguous arrays

The pattern has a letter for each input: `v` has the output's shape, `s` is one number, `r` is one
row repeated over the leading axes (a bias), `c` one column repeated over the trailing ones.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from tinygrad_rl.kernels.cache import load

HEADER = """\
from numba import boolean, float32, float64, int32, int64, njit, uint8, void
from numba.types import Array
from numpy import inf, nan
"""
_FUNCTION = re.compile(r"\b([a-z]\w*)\(")
_TYPES = {"float32", "float64", "int64", "int32", "uint8", "boolean"}


def imports(expression: str) -> str:
    """The import line for the scalar functions that an expression calls."""
    names = sorted(set(_FUNCTION.findall(expression)) - _TYPES)
    return f"from tinygrad_rl.kernels.scalar import {', '.join(names)}\n" if names else ""


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
    out_type, types : Numba's names of the dtypes of the output and of each input.
    pattern : a letter for each input, see above; with `r` or `c` in it the output and the `v`
        inputs have two axes, else one.
    """
    flat = "r" not in pattern and "c" not in pattern
    axes = 1 if flat else 2
    arrays = [f'Array({out_type}, {axes}, "C")']
    before: list[str] = []
    inside: list[str] = []
    for name, dtype, letter in zip(args, types, pattern, strict=True):
        ndim = axes if letter == "v" else 1
        arrays.append(f'Array({dtype}, {ndim}, "C", readonly=True)')
        index = {"v": "i" if flat else "i, j", "s": "0", "r": "j", "c": "i"}[letter]
        (before if letter == "s" else inside).append(f"{name} = {name}_in[{index}]")
    loops = ["for i in range(out.shape[0]):"]
    if not flat:
        loops.append("    for j in range(out.shape[1]):")
    indent = "    " * len(loops)
    body = [*before, *loops, *(indent + line for line in inside)]
    body.append(f"{indent}out[{'i' if flat else 'i, j'}] = {expression}")
    source = (
        f"{HEADER}{imports(expression)}\n\n"
        f'@njit(void({", ".join(arrays)}), cache=True, error_model="numpy", nogil=True)\n'
        f"def kernel({', '.join(['out', *(f'{name}_in' for name in args)])}):\n    "
        + "\n    ".join(body)
        + "\n"
    )
    kernel: Any = load(source, f"{stem}_{pattern}").kernel
    return kernel
