"""The ops: declarations, a file per family. Start with `arithmetic.py`."""

# ruff: noqa: F401, I001  (imported for what they declare; packed)

from tinygrad_rl.ops import activations, arithmetic, contraction, index, inplace, join, products
from tinygrad_rl.ops import reduce, shape
