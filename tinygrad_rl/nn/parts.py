"""What belongs to a module: the one walk over its attributes, which everything asks.

    parts = parts_of(twin)
    parts.tensors            # [('q.0.weight', ...), ('q.0.bias', ...), ('q.1.weight', ...), ...]
    parts.holders            # [('q.0', Linear(...)), ('q.1', Linear(...))]

Nothing is registered: the walk sees what stands there now, so that a list which grew, or a layer
that was replaced, is never overlooked. Lists, tuples and dicts are named and ordered as PyTorch's
`ModuleList`, `ModuleDict` and `ParameterList`. What can't be named like that is refused rather than
passed over: a set, an iterator, an object of another class that holds modules or parameters.
"""

import gc
from collections import deque
from collections.abc import Iterable, Iterator, MappingView, Set
from dataclasses import is_dataclass
from enum import Enum, auto
from functools import lru_cache
from numbers import Integral
from types import BuiltinFunctionType, FunctionType, GeneratorType, MappingProxyType, ModuleType
from typing import Any
from weakref import ProxyTypes

import numpy as np

from tinygrad_rl.core import CutKind, Tensor
from tinygrad_rl.spelling import kind
from tinygrad_rl.tree import TensorHolder, contents

_PLAIN = frozenset({bool, int, float, complex, str, bytes, type(None)})
_NESTED = (list, tuple, dict)
_NAMELESS = (Set, deque, Iterator, MappingView, MappingProxyType, np.ndarray)
_LAZY = (GeneratorType, map)  # what they will give is not there yet
_APART = (FunctionType, BuiltinFunctionType, type, ModuleType, *ProxyTypes)  # not looked into


class _Role(Enum):
    """What the walk does with an attribute, by its type."""

    TENSOR = auto()
    MODULE = auto()
    HOLDER = auto()  # which says itself what it holds
    CONTAINER = auto()
    OTHER = auto()
    APART = auto()


class Walked(TensorHolder):
    """A holder that is what its attributes are: a module."""


def is_parameter(tensor: Tensor) -> bool:
    """Whether a tensor is trained, also while it is frozen: its cuts remember that."""
    if tensor.node is not None or tensor.requires_grad:
        return tensor.node is None
    kinds = [cut.kind for cut in tensor.cuts]
    # The result of an op has the cuts of its inputs, but not that one of them was unfrozen.
    return CutKind.UNFROZEN in kinds or (tensor.op is None and CutKind.FROZEN in kinds)


def _is_state(tensor: Tensor) -> bool:
    """A result with history is no state; a tensor that got its history in place still is."""
    return tensor.node is None or tensor.op is None


class Parts:
    """Tensors and modules under dotted names.

    Attributes
    ----------
    tensors : pairs (name, tensor): parameters and buffers, under each of their names.
    holders : pairs (name, module or other holder). What stands inside itself is entered once.
    others : pairs (name, object) of what was not looked into.
    """

    def __init__(self, root: object) -> None:
        self.tensors: list[tuple[str, Tensor]] = []
        self.holders: list[tuple[str, TensorHolder]] = []
        self.others: list[tuple[str, Any]] = []
        self._root = root
        self._path = {id(root)}

    def add(self, items: Iterable[tuple[Any, Any]], prefix: str = "") -> None:
        """Walk pairs (attribute, index or key; value): tensors first, then what has its own.

        Raises
        ------
        TypeError : for what has a part under a key that can't be in a dotted name.
        """
        inner = []
        for key, value in items:
            role = _role(type(value))  # type: ignore[arg-type]  # a type can be hashed
            if role is _Role.TENSOR:
                if _is_state(value):
                    self.tensors.append((_dotted(prefix, key), value))
            elif role is _Role.OTHER:
                if _may_hold(value):
                    self.others.append((f"{prefix}{key}", value))
            elif role is not _Role.APART:
                inner.append((role, key, value))
        for role, key, value in inner:
            if id(value) not in self._path:
                self._path.add(id(value))
                if role is _Role.CONTAINER:
                    self._add_container(prefix, key, value)
                else:
                    self._add_holder(_dotted(prefix, key), value, role)
                self._path.remove(id(value))

    def _add_holder(self, name: str, holder: Any, role: _Role) -> None:
        self.holders.append((name, holder))
        if role is _Role.MODULE:
            self.add(vars(holder).items(), f"{name}.")
        else:
            self.holders += [(f"{name}.{key}", inner) for key, inner in holder.named_holders()]
            self.tensors += [(f"{name}.{key}", t) for key, t in holder.named_tensors()]

    def _add_container(self, prefix: str, key: Any, value: Any) -> None:
        if not _may_hold(value):
            return
        name, before = f"{prefix}{key}", len(self.tensors) + len(self.holders)
        self.add(contents(value), f"{name}.")
        if len(self.tensors) + len(self.holders) > before:
            _dotted(prefix, key)
            if len({str(k) for k, _ in contents(value)}) < len(value):
                raise TypeError(f"keys of {name!r} are the same in a name: {list(value)}")
        if isinstance(value, dict) and any(map(_may_hold, value)):
            self.others.append((name, value.keys()))
        if getattr(value, "__dict__", None):  # of a subclass
            self.others.append((name, value))

    def check(self) -> None:
        """Look into the others.

        Raises
        ------
        TypeError : naming the attribute that holds modules or parameters which are not found here.
        """
        if not self.others:
            return
        known = {id(self._root), *(id(thing) for _, thing in (*self.tensors, *self.holders))}
        for name, value in self.others:
            if isinstance(value, _LAZY):
                raise TypeError(
                    f"{name!r} is {kind(value)}, and what it will give can't be part of a module: "
                    "assign a list"
                )
            for thing in _held(value):
                if id(thing) in known or not _belongs(thing, isinstance(value, _NAMELESS)):
                    continue
                raise TypeError(
                    f"{name!r} holds {kind(thing)} in {kind(value)}, where it can't be part "
                    "of the module: use a list, tuple or dict, or a module (or a function that "
                    "returns it, if it shall be no part)"
                )


def parts_of(module: Walked) -> Parts:
    """Everything that belongs to a module now.

    Raises
    ------
    TypeError : naming the attribute, for what can't be part of it.
    """
    parts = Parts(module)
    parts.add(vars(module).items())
    parts.check()
    return parts


def parts_added(module: Walked, name: str, value: Any) -> Parts:
    """What a module gets by an attribute that is about to be set; raises as `parts_of`."""
    parts = Parts(module)
    if _may_hold(value):
        parts.add([(name, value)])
        if parts.others:
            parts.add([(key, v) for key, v in vars(module).items() if key != name])
            parts.check()
    return parts


def check_class(cls: type) -> None:
    """Refuse what all modules of a class would share without its being part of any.

    Raises
    ------
    TypeError : naming the attribute.
    """
    for base in (b for b in cls.__mro__ if b is cls or not issubclass(b, Walked)):
        if vars(base).get("__slots__"):
            raise TypeError(f"{base.__name__} has __slots__, where parts of a module aren't found")
        parts = Parts(cls)
        parts.add((key, v) for key, v in vars(base).items() if not key.startswith("__"))
        parts.check()
        trained = [(name, t) for name, t in parts.tensors if is_parameter(t)]
        for name, thing in (*trained, *parts.holders):
            raise TypeError(
                f"{name!r} of the class {base.__name__} is {kind(thing)} that no module of it "
                " would own: assign it to self in __init__"
            )


def _dotted(prefix: str, key: Any) -> str:
    part = str(key)
    if part and "." not in part and isinstance(key, (str, Integral)):
        return prefix + part
    where = f" of {prefix[:-1]!r}" if prefix else ""
    raise TypeError(
        f"the key {key!r}{where} can't be in the name of a parameter or module: use strings "
        "without dots, or ints"
    )


@lru_cache(maxsize=1024)
def _role(kind: type) -> _Role:
    if issubclass(kind, Tensor):
        return _Role.TENSOR
    if issubclass(kind, TensorHolder):
        holder = _Role.MODULE if issubclass(kind, Walked) else _Role.HOLDER
        return _Role.APART if kind.borrows else holder
    if issubclass(kind, _NESTED):
        return _Role.CONTAINER
    return _Role.APART if kind in _PLAIN or issubclass(kind, _APART) else _Role.OTHER


def _may_hold(value: Any) -> bool:
    """Rules out cheaply what is never looked into: numbers, strings, arrays, and lists of them."""
    if type(value) in _NESTED:
        items = [*value, *value.values()] if isinstance(value, dict) else value
        if _PLAIN.issuperset(map(type, items)):
            return False
        return gc.is_tracked(value) or any(map(_may_hold, items))
    # What the collector doesn't track holds no objects; only it doesn't know NumPy's arrays.
    return gc.is_tracked(value) or (isinstance(value, np.ndarray) and value.dtype.hasobject)


def _belongs(thing: Tensor | TensorHolder, nameless: bool) -> bool:
    """Constants may stand in objects: only a collection of them looks like a part of the state."""
    if isinstance(thing, Tensor):
        return is_parameter(thing) or (nameless and _is_state(thing))
    return not thing.borrows


def _held(value: Any) -> Iterator[Tensor | TensorHolder]:
    """What an object has in its own attributes, and in collections and dataclasses there."""
    seen, stack = {id(value)}, [value]
    while stack:
        for thing in _referents(stack.pop()):
            if not _may_hold(thing):
                continue
            if isinstance(thing, (Tensor, TensorHolder)):
                yield thing
            elif id(thing) not in seen and _is_collection(thing):
                seen.add(id(thing))
                stack.append(thing)


def _referents(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype.hasobject else []
    wrapped = getattr(value, "__dict__", {}).get("__wrapped__")
    # A jitted function holds tensors of its forms, which are not its own.
    return gc.get_referents(value) if wrapped is None else [wrapped]


def _is_collection(thing: Any) -> bool:
    return isinstance(thing, _NESTED + _NAMELESS) or (
        is_dataclass(thing) and not isinstance(thing, type)
    )
