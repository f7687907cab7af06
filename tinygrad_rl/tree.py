"""The only walk over nested tuples, lists and dicts, and what may stand there: holders of tensors.

    tensors_in(((x, y), {"a": z}))         # [x, y, z]
    replaced(state, Tensor, copy)          # the same structure with something else in their place
    collect_tensors([actor, critic.bias])  # the parameters of modules, tensors, iterables of both

A structure is taken apart and made anew. Other objects are never rebuilt, for whoever holds one
wants to see what happens to it; those that hold tensors say so by being a `TensorHolder`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from tinygrad_rl.core import Changes, Tensor

Kind = type | tuple[type, ...]


class TensorHolder(ABC):
    """What holds tensors under names: a module its parameters, an optimizer those that it moves.

    Attributes
    ----------
    borrows : whether the parameters belong to somebody else, who has better names for them.
    """

    borrows: ClassVar[bool] = False

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not isinstance(getattr(type(self), name, None), property):  # which counts by itself
            Changes.count += 1

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        Changes.count += 1

    @abstractmethod
    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (name, tensor) of what is trained, each once; `0.weight` and `params[0]` are names.

        This is what `frozen`, `polyak` and the optimizers take from a holder.
        """

    @abstractmethod
    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Pairs (name, tensor) of everything held: parameters, buffers, moments."""

    def named_holders(self) -> Iterator[tuple[str, "TensorHolder"]]:
        """Pairs (name, holder) of the holders inside this one, at any depth."""
        return iter(())


def contents(tree: Any) -> Iterable[tuple[Any, Any]]:
    """Pairs (key, field or index; value) of what a dict, tuple or list holds; none for others."""
    if isinstance(tree, Mapping):
        return tree.items()
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return zip(tree._fields, tree, strict=True)
    return enumerate(tree) if isinstance(tree, (list, tuple)) else ()


def leaves(tree: Any) -> Iterator[Any]:
    """What stands in nested lists, tuples and dicts, in order."""
    if isinstance(tree, (list, tuple, dict)):
        for _, value in contents(tree):
            yield from leaves(value)
    else:
        yield tree


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors in nested lists, tuples and dicts, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return []
    return [t for v in tree for t in tensors_in(v)]


def replaced(tree: Any, kind: Kind, new: Callable[[Any], Any]) -> Any:
    """The same lists, tuples and dicts with `new(thing)` in the place of things of a kind."""
    if isinstance(tree, kind):
        return new(tree)
    if isinstance(tree, (list, tuple)):
        return _form(tree)([replaced(v, kind, new) for v in tree])
    if isinstance(tree, dict):
        return {k: replaced(v, kind, new) for k, v in tree.items()}
    return tree


def prepared(tree: Any, kind: Kind, new: Callable[[Any], Callable[[Any], Any]]) -> Any:
    """A function that makes the structure again at each call, with other things in their place.

    Parameters
    ----------
    new : is asked once for each thing of the kind; what it returns makes, from the argument of the
        call, what stands in that place.
    """
    if isinstance(tree, kind):
        return new(tree)
    if isinstance(tree, (list, tuple)):
        form, makers = _form(tree), [prepared(v, kind, new) for v in tree]
        return lambda given: form([make(given) for make in makers])
    if isinstance(tree, dict):
        items = [(k, prepared(v, kind, new)) for k, v in tree.items()]
        return lambda given: {k: make(given) for k, make in items}
    return lambda given: tree


def _form(tree: Any) -> Callable[[list[Any]], Any]:
    """What makes a list, tuple or named tuple of this type from its values."""
    return getattr(tree, "_make", type(tree))


def collect_tensors(things: Any) -> list[Tensor]:
    """The parameters of holders, and the tensors in nested iterables, each once, in order.

    Raises
    ------
    TypeError : for anything else.
    """
    if isinstance(things, Tensor):
        return [things]
    if isinstance(things, TensorHolder):
        return [t for _, t in things.named_parameters()]
    if isinstance(things, Mapping):
        things = things.values()
    elif not isinstance(things, Iterable) or isinstance(things, (str, bytes)):
        raise TypeError(f"expected a module or tensors, not {type(things).__name__}")
    return list({id(t): t for thing in things for t in collect_tensors(thing)}.values())
