"""The ops: declarations, a file per family. Start with `elementwise.py`."""

from tinygrad_rl.ops import elementwise, index, inplace, join, linear, reduce, shape

__all__ = ["elementwise", "index", "inplace", "join", "linear", "reduce", "shape"]
