"""The ops: declarations, a file per family. Start with `arithmetic.py`."""

from tinygrad_rl.ops import activations as activations
from tinygrad_rl.ops import arithmetic as arithmetic
from tinygrad_rl.ops import contraction as contraction
from tinygrad_rl.ops import index as index
from tinygrad_rl.ops import inplace as inplace
from tinygrad_rl.ops import join as join
from tinygrad_rl.ops import products as products
from tinygrad_rl.ops import reduce as reduce
from tinygrad_rl.ops import shape as shape
