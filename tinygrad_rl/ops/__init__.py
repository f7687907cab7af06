"""The ops: declarations, a file per family. Start with `elementwise.py`."""

from tinygrad_rl.ops import einsum, elementwise, index, inplace, join, linear, reduce, shape

__all__ = ["einsum", "elementwise", "index", "inplace", "join", "linear", "reduce", "shape"]
