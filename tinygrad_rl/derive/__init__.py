"""Scalar functions as expressions: read from source, differentiated, written as Numba code.

    f = parse(function)                   # def function(x, a): return a * exp(x)
    f.derivative("x").text                # 'a * exp(x)'
    f.render("float32")                   # the same, ready to stand in a Numba loop

An elementwise op is one scalar function. Its derivative is found here by the rules of calculus on
Python's own syntax tree: no tape, no numbers, just one expression turned into another. What comes
out is again a scalar function, so it can be differentiated again, and again.

`calculus.py` has the table of derivatives and the rules, `scalar.py` what an expression can tell
and become, `reading.py` how a function's source turns into one, `rows.py` the same for expressions
with sums over rows, such as softmax.
"""

from tinygrad_rl.derive.calculus import DERIVATIVES as DERIVATIVES
from tinygrad_rl.derive.reading import DeriveError as DeriveError
from tinygrad_rl.derive.reading import parse as parse
from tinygrad_rl.derive.reading import parse_text as parse_text
from tinygrad_rl.derive.rows import Rows as Rows
from tinygrad_rl.derive.rows import parse_rows as parse_rows
from tinygrad_rl.derive.scalar import NUMPY as NUMPY
from tinygrad_rl.derive.scalar import Scalar as Scalar

__all__ = [
    "DERIVATIVES",
    "NUMPY",
    "DeriveError",
    "Rows",
    "Scalar",
    "parse",
    "parse_rows",
    "parse_text",
]
