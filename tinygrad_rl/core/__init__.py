"""A tensor, an op, and the record of one call: everything else is built from these three.

    y = record(op, inputs, params, array)   # what every op does once its values are there

A `Tensor` is a NumPy array that can require a gradient. An `Op` says how to compute an output and,
for each input, how a gradient comes back. Calling an op computes at once; when an input requires a
gradient, the call is also recorded in a `Node`, which remembers *which* inputs required one at that
moment. Nodes point to the nodes before them, never forward, so a graph that nobody holds is gone at
once.

Read `tensor.py`, then `node.py`, `op.py` and the kinds of op in `kinds.py` and `elements.py`;
`context.py` is the small print. After that `ops/arithmetic.py` (what an op looks like), then
`autodiff.py` (the way back).
"""

from tinygrad_rl.core import refusals as refusals
from tinygrad_rl.core.context import FlagChanges as FlagChanges
from tinygrad_rl.core.context import Observer as Observer
from tinygrad_rl.core.context import Where as Where
from tinygrad_rl.core.context import at as at
from tinygrad_rl.core.context import caller as caller
from tinygrad_rl.core.context import frames as frames
from tinygrad_rl.core.context import is_inside as is_inside
from tinygrad_rl.core.context import mode as mode
from tinygrad_rl.core.context import next_in_sequence as next_in_sequence
from tinygrad_rl.core.context import place as place
from tinygrad_rl.core.context import user_frame as user_frame
from tinygrad_rl.core.context import warn as warn
from tinygrad_rl.core.context import watching as watching
from tinygrad_rl.core.cuts import Cut as Cut
from tinygrad_rl.core.cuts import CutKind as CutKind
from tinygrad_rl.core.cuts import Line as Line
from tinygrad_rl.core.dtypes import DTYPES as DTYPES
from tinygrad_rl.core.dtypes import NUMBA as NUMBA
from tinygrad_rl.core.elements import Elementwise as Elementwise
from tinygrad_rl.core.elements import weak as weak
from tinygrad_rl.core.elements import zero as zero
from tinygrad_rl.core.hooks import register_hook as register_hook
from tinygrad_rl.core.hooks import retain_grad as retain_grad
from tinygrad_rl.core.index import Index as Index
from tinygrad_rl.core.kinds import Composite as Composite
from tinygrad_rl.core.kinds import Copy as Copy
from tinygrad_rl.core.kinds import Kernel as Kernel
from tinygrad_rl.core.kinds import Product as Product
from tinygrad_rl.core.kinds import Reduction as Reduction
from tinygrad_rl.core.kinds import normalize_axes as normalize_axes
from tinygrad_rl.core.moves import Gather as Gather
from tinygrad_rl.core.moves import Scatter as Scatter
from tinygrad_rl.core.moves import View as View
from tinygrad_rl.core.node import LOST as LOST
from tinygrad_rl.core.node import GradPlan as GradPlan
from tinygrad_rl.core.node import Node as Node
from tinygrad_rl.core.node import Rule as Rule
from tinygrad_rl.core.node import end_of_history as end_of_history
from tinygrad_rl.core.node import record as record
from tinygrad_rl.core.op import REGISTRY as REGISTRY
from tinygrad_rl.core.op import Op as Op
from tinygrad_rl.core.tensor import History as History
from tinygrad_rl.core.tensor import Tensor as Tensor
from tinygrad_rl.core.tensor import alias as alias
from tinygrad_rl.core.tensor import as_array as as_array
from tinygrad_rl.core.tensor import as_tensor as as_tensor
from tinygrad_rl.core.tensor import constant as constant
from tinygrad_rl.core.tensor import from_numpy as from_numpy
from tinygrad_rl.core.tensor import history_of as history_of
from tinygrad_rl.core.tensor import method as method
from tinygrad_rl.core.tensor import set_grad as set_grad
from tinygrad_rl.core.tensor import set_history as set_history
from tinygrad_rl.core.tensor import set_requires_grad as set_requires_grad
from tinygrad_rl.core.tensor import storage_of as storage_of
from tinygrad_rl.core.tensor import touch_grad as touch_grad
from tinygrad_rl.core.tensor import with_node as with_node
from tinygrad_rl.core.tensor import wrap as wrap
