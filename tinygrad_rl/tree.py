"""The only walk over nested tuples, lists and dicts: the tensors in what a user handed over.

tensors_in(((x, y), {"a": z}))        # [x, y, z]
replaced(state, Tensor, copy)         # the same structure with something else in their place
"""

from collections.abc import Callable
from typing import Any

from tinygrad_rl.core import Tensor


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        return [t for v in tree.values() for t in tensors_in(v)]
    if isinstance(tree, (list, tuple)):
        return [t for v in tree for t in tensors_in(v)]
    return []


def replaced(tree: Any, kind: type | tuple[type, ...], new: Callable[[Any], Any]) -> Any:
    """The same lists, tuples and dicts with `new(thing)` in the place of things of a kind."""
    if isinstance(tree, kind):
        return new(tree)
    if isinstance(tree, dict):
        return {k: replaced(v, kind, new) for k, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(replaced(v, kind, new) for v in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(replaced(v, kind, new) for v in tree)
    return tree
