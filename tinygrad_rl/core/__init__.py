"""A tensor, an op, and the record of one call: everything else is built from these three.

    y = record(op, inputs, params, array)   # what every op does once its values are there

A `Tensor` is a NumPy array that can require a gradient. An `Op` says how to compute an output and,
for each input, how a gradient comes back. Calling an op computes at once; when an input requires a
gradient, the call is also recorded in a `Node`, which remembers *which* inputs required one at that
moment. Nodes point to the nodes before them, never forward, so a graph that nobody holds is gone at
once.

Read `tensor.py`, then `node.py`, `op.py` and the kinds of op: `elements.py`, `rows.py`, `kinds.py`;
`context.py` is the small print. After that `ops/arithmetic.py` (what an op looks like), then
`autodiff.py` (the way back).
"""

# ruff: noqa: F401, I001  (what the package offers, packed)

from tinygrad_rl.core import refusals
from tinygrad_rl.core.context import Changes, Observer, Where, caller, frames, frozen_anywhere
from tinygrad_rl.core.context import is_inside, mode, next_in_sequence, place, user_frame, warn
from tinygrad_rl.core.context import watched_anywhere, watching
from tinygrad_rl.core.cuts import Cut, CutKind
from tinygrad_rl.core.dtypes import DTYPES, NUMBA, Size
from tinygrad_rl.core.elements import Elementwise, weak, zero
from tinygrad_rl.core.freezing import Frozen, freeze, frozen_here, unfreeze
from tinygrad_rl.core.hooks import register_hook, retain_grad
from tinygrad_rl.core.index import Index
from tinygrad_rl.core.kinds import Composite, Copy, Kernel, Product, Reduction
from tinygrad_rl.core.layout import normalize_axes
from tinygrad_rl.core.lines import Line, at
from tinygrad_rl.core.moves import Gather, Scatter, View
from tinygrad_rl.core.node import LOST, GradPlan, Node, Rule, changed_since, end_of_history, record
from tinygrad_rl.core.op import REGISTRY, Op
from tinygrad_rl.core.operands import as_tensor, constant, from_numpy
from tinygrad_rl.core.rows import FUNCTIONS, Rowwise
from tinygrad_rl.core.storage import common_writer
from tinygrad_rl.core.tensor import REFLECTED, History, Tensor, alias, as_array
from tinygrad_rl.core.tensor import history_of, method, set_grad, set_history
from tinygrad_rl.core.tensor import set_requires_grad, storage_of, touch_grad, with_node, wrap
