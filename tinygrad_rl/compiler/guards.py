"""Guards: what Python held when a function was traced, and whether it still does.

    guards = Guards(places, settings)
    guards.hold()                         # False: the compiled form would be stale
    guards.changed()                      # the Place that differs

A `Place` is one thing that the traced code could read: an attribute of an object, a global, a
variable that it closes over, the contents of a list. All of them are compared at each call, by
identity, in one generated expression; only when that fails, or when settings of modules and
optimizers were counted, they are looked at one by one, and numbers by their value.
"""

import ast
import builtins
import functools
import operator
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_rl.core import Tensor, Where, at, warn
from tinygrad_rl.spelling import counted
from tinygrad_rl.tree import TensorHolder


class TraceError(RuntimeError):
    """Something a straight-line program can't hold, such as a choice that depends on a number."""


class _Absent:
    """What stands in a place that holds nothing."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


Setting = tuple[Tensor, bool, tuple[Any, ...]]
"""A tensor, its flag, and its hooks."""


def setting(tensor: Tensor) -> Setting:
    """Flag and hooks as they are now."""
    return tensor, tensor.requires_grad, tuple(tensor.hooks or ())


@dataclass(eq=False)
class Place:
    """Something that can be read again: what it held, and what it holds now.

    Attributes
    ----------
    name : what the user calls it: `self.config.tau`.
    where : the line of the user's code that leads to it.
    read : gives what it holds now.
    value : what it held.
    test : an expression that is true when it still holds that, where there is a quicker one than
        `read() is value`; `{0}`, `{1}`, ... in it are `objects`, `{value}` is the value.
    counted : whether every change of it is counted in `core.Changes`, so that it needs no look.
    remedy : what to do when it changes at each call.
    """

    name: str
    where: Where | None
    read: Callable[[], Any]
    value: Any
    test: str = "{0}() is {value}"
    objects: tuple[Any, ...] = ()
    counted: bool = False
    remedy: str = (
        "a value that changes at each call belongs into a tensor, which is changed with assign_(), "
        "or among the arguments"
    )

    def __post_init__(self) -> None:
        self.objects = self.objects or (self.read,)

    def now(self) -> Any:
        """What it holds now; a place that can't be read any more has changed."""
        try:
            return self.read()
        except Exception:
            return ABSENT

    def __str__(self) -> str:
        return f"{self._line()}: {shown(self.value)}"

    def _line(self) -> str:
        return self.name if self.where is None else f"{self.name}, {at(self.where)}"

    def reason(self) -> "Reason":
        """What it held and what it holds now."""
        before, now = shown(self.value), shown(self.now())
        return Reason(self._line(), before, now if now != before else "another", self.remedy)


@dataclass(frozen=True)
class Reason:
    """Why a function was traced: what changed, from what, to what, and what to do about it."""

    what: str
    before: str = ""
    now: str = ""
    remedy: str = "set it once, before the calls"

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.now}" if self.now else self.what


@dataclass(eq=False)
class Guards:
    """What a compiled form relies on in Python.

    Attributes
    ----------
    places : what its code could read.
    settings : the tensors that it could get at.
    usable : whether a later call may find everything as it was; not what the function itself
        changes.
    quick : whether all that is not counted holds the very things that it held; raises where a
        place is gone. Else `hold` knows.
    """

    places: list[Place] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)

    def __post_init__(self) -> None:
        # What the function itself changes is another at each call, even if it is changed back.
        self._spoiled: Place | None = None
        self._spoiled = self.changed()
        self.usable = self._spoiled is None
        self._test = _Test([p for p in self.places if not p.counted])
        self._counted = _Test([p for p in self.places if p.counted])
        self.quick = self._test.holds if self.usable else lambda: False

    def hold(self) -> bool:
        """Whether everything holds what it held."""
        if not self.usable:
            return False
        try:
            if self.quick() and self._counted.holds():
                return self.changed_setting() is None
        except Exception:  # something is gone
            return False
        # Perhaps only made anew: 0.5 is 0.5. A list can have become the same list of others.
        if self.changed() is not None:
            return False
        self._test.renew()
        self._counted.renew()
        return self.changed_setting() is None

    def changed_setting(self) -> tuple[Tensor, str, Any, Any] | None:
        """A tensor whose flag or hooks are not what they were, and what these were and are."""
        for t, flag, hooks in self.settings:
            if t.requires_grad is not flag:
                return t, "requires_grad", flag, t.requires_grad
            if hooks != tuple(t.hooks or ()):
                return t, "the hooks", len(hooks), len(t.hooks or ())
        return None

    def changed(self) -> Place | None:
        """The first place that holds something else now, or did so when the trace was over."""
        return self._spoiled or next((p for p in self.places if not same(p.value, p.now())), None)


class _Test:
    """One function that compares all places: a call of each `read` would take far longer.

    The objects are constants of its code. They could be variables that it closes over, but each
    cell of these is one more place in memory to wait for.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        different = {(p.test, *map(id, p.objects)): p for p in places}
        self._places = list(different.values())
        objects: list[Any] = [_same_items, *[p.value for p in self._places]]
        number = {id(thing): k for k, thing in enumerate(objects) if k == 0}
        tests = ["True"]
        for k, place in enumerate(self._places, 1):
            for thing in place.objects:
                if id(thing) not in number:
                    number[id(thing)] = len(objects)
                    objects.append(thing)
            names = [f"o{number[id(thing)]}" for thing in place.objects]
            tests.append(place.test.format(*names, value=f"o{k}"))
        source = " and ".join(tests).replace("same_items(", "o0(")
        tree = _Numbered().visit(ast.parse(f"lambda: {source}", mode="eval"))
        outer = compile(ast.fix_missing_locations(tree), "<guards>", "eval")
        code = next(c for c in outer.co_consts if isinstance(c, types.CodeType))
        self._order = [next(iter(c)) if isinstance(c, frozenset) else None for c in code.co_consts]
        kept = [
            c if k is None else objects[k] for c, k in zip(code.co_consts, self._order, strict=True)
        ]
        code = code.replace(co_consts=tuple(kept))
        self.holds = types.FunctionType(code, {"__builtins__": builtins})

    def renew(self) -> None:
        """Compare with what the places hold now, from now on."""
        constants = list(self.holds.__code__.co_consts)
        for k, number in enumerate(self._order):
            if number is not None and 0 < number <= len(self._places):
                place = self._places[number - 1]
                place.value = constants[k] = place.now()
        self.holds.__code__ = self.holds.__code__.replace(co_consts=tuple(constants))


class _Numbered(ast.NodeTransformer):
    """Puts constants that are like no others in the place of the names o0, o1, ...

    Each is written `constant if True else None`, which compiles to the same instructions: Python
    warns of a constant that is compared by `is` or subscripted, and a thread can't ignore a warning
    without changing what other threads ignore.
    """

    def visit_Name(self, node: ast.Name) -> ast.expr:
        number = node.id.removeprefix("o")
        if not number.isdigit():
            return node
        placeholder: Any = frozenset([int(number)])
        return ast.IfExp(ast.Constant(True), ast.Constant(placeholder), ast.Constant(None))


def _same_items(things: Any, before: tuple[Any, ...]) -> bool:
    """Whether these are the very things in the same order."""
    return len(things) == len(before) and all(map(operator.is_, things, before))


_FEW = 8
_LARGE = 1 << 20
_ATOMS = (int, str, bytes, bool, np.dtype, types.CodeType)


def same(before: Any, now: Any) -> bool:
    """Whether a place that held one holds the like of it: the same number, or the same object."""
    if before is now:
        return True
    if type(before) is not type(now):
        return False
    if isinstance(before, types.MethodType):
        return before.__self__ is now.__self__ and before.__func__ is now.__func__
    if hasattr(before, "__dict__"):  # a class of the user's: equal ones may have other attributes
        return False
    if isinstance(before, _ATOMS):
        return bool(before == now)
    if isinstance(before, (float, complex)):
        return repr(before) == repr(now)  # a NaN is itself, and -0.0 is not 0.0
    if isinstance(before, np.generic):
        return before.tobytes() == now.tobytes()
    if isinstance(before, tuple):
        return len(before) == len(now) and all(map(same, before, now))
    if isinstance(before, (slice, range)):  # ranges of the same numbers may have other ends
        return same(_limits(before), _limits(now))
    return False


def _limits(s: slice | range) -> tuple[Any, Any, Any]:
    return s.start, s.stop, s.step


# -- the kinds of place ----------------------------------------------------------------------------


def global_(variables: dict[str, Any], name: str, where: Where | None) -> Place:
    """A global variable, or another item of a dictionary of the interpreter's."""
    read = functools.partial(variables.get, name, ABSENT)
    return Place(name, where, read, read(), f"{{0}}[{name!r}] is {{value}}", (variables,))


def no_globals(variables: dict[str, Any], names: frozenset[str]) -> Place:
    """Builtins that no global of the same name hides."""
    name = f"a global of {variables.get('__name__', 'the code')} that hides a builtin"

    def read() -> Any:
        return next((n for n in names if n in variables), ABSENT)

    test = " and ".join([f"{n!r} not in {{0}}" for n in sorted(names)]) or "True"
    return Place(name, None, read, read(), test, (variables,))


def cell(name: str, of: types.CellType, where: Where | None) -> Place:
    """A variable that a function closes over."""
    read = functools.partial(held, of)
    if read() is ABSENT:
        return Place(name, where, read, ABSENT)
    return Place(name, where, read, read(), "{0}.cell_contents is {value}", (of,))


def held(of: types.CellType) -> Any:
    """What a variable of an outer function holds, if it was set."""
    try:
        return of.cell_contents
    except ValueError:
        return ABSENT


def attribute(thing: Any, key: str, name: str, where: Where | None) -> Place:
    """What `thing.key` leads to, found without running code of the user's."""
    read = functools.partial(find, thing, key)
    value = read()
    place = Place(name, where, read, value)
    of_class = _is_of_class(thing, key)
    place.counted = isinstance(thing, TensorHolder) and not of_class
    if value is ABSENT or "__getattribute__" in _written(type(thing)):
        return place
    if not key.isidentifier():  # a layer of a Sequential
        place.test, place.objects = f"{{0}}[{_literal(key)}] is {{value}}", (vars(thing),)
        return place
    binds = hasattr(type(value), "__get__")
    function = isinstance(value, types.FunctionType)
    if isinstance(thing, type):
        direct = function or not binds
    else:
        direct = not of_class or not binds
    if direct:
        place.test, place.objects = f"{{0}}.{key} is {{value}}", (thing,)
    elif function and isinstance(thing, TensorHolder):  # one test for all of the class
        place.test, place.objects = f"{{0}}.{key} is {{value}}", (type(thing),)
    elif function:  # quicker than to ask the object, which would make a bound method
        place.test = f"{{0}}.{key} is {{value}} and {key!r} not in {{1}}"
        place.objects = type(thing), _attributes(thing)
    elif isinstance(thing, type) or hasattr(type(value), "__set__"):  # a descriptor: not asked
        kind = thing if isinstance(thing, type) else type(thing)
        first = kind.__mro__[: kind.__mro__.index(_owner(kind, key)) + 1]  # they may hide it later
        place.objects = tuple(map(vars, reversed(first)))
        hidden = [f" and {key!r} not in {{{k}}}" for k in range(1, len(first))]
        place.test = f"{{0}}[{key!r}] is {{value}}{''.join(hidden)}"
    return place


def class_of(thing: Any, name: str, where: Where | None) -> Place:
    """The class of an object, which can be set."""
    read = functools.partial(type, thing)
    return Place(f"type({name})", where, read, read(), "type({0}) is {value}", (thing,))


def attribute_names(thing: TensorHolder, name: str, where: Where | None) -> Place:
    """Its class, and which attributes a module has: another one may hide one of the class."""

    def read() -> tuple[Any, ...]:
        return type(thing), *vars(thing)

    test = "type({0}) is {1} and same_items({2}, {3})"
    objects = thing, type(thing), vars(thing), tuple(vars(thing))
    return Place(f"the attributes of {name}", where, read, read(), test, objects, True)


def contents(thing: Any, name: str, where: Where | None) -> Place:
    """The items of a list, set or dictionary, in order."""
    if isinstance(thing, (dict, types.MappingProxyType)):
        read: Callable[[], Any] = functools.partial(_items, thing)
        test = "same_items([*{0}, *{0}.values()], {value})"
    else:
        read = functools.partial(tuple, thing)
        test = "same_items({0}, {value})"
    place = Place(f"the contents of {name}", where, read, read(), test, (thing,))
    keys = list(thing) if isinstance(thing, dict) else list(range(len(place.value)))
    items = place.value[-len(keys) :] if keys else ()
    if (
        type(thing) in (list, dict)
        and len(keys) <= _FEW
        and not any(isinstance(item, (*_ATOMS, float)) for item in items)
        and (type(thing) is list or all(type(k) is str for k in keys))
    ):  # without a call
        start = "[*{0}] == {1}" if type(thing) is dict else f"len({{0}}) == {len(keys)}"
        tests = [f"{{0}}[{_literal(k)}] is {{{n}}}" for n, k in enumerate(keys, 2)]
        place.test = " and ".join([start, *tests])
        place.objects = (thing, keys, *items)
    return place


def _literal(key: Any) -> str:
    """A key as it is written in a test, where braces have a meaning."""
    return repr(key).replace("{", "{{").replace("}", "}}")


def _items(mapping: Mapping[Any, Any]) -> tuple[Any, ...]:
    return (*mapping, *mapping.values())


def values(array: Any, name: str, where: Where | None) -> Place:
    """The values of a NumPy array or another buffer, which can be written in place."""
    read = functools.partial(_bits, array)
    remedy = "make it a tensor outside, with from_numpy(): its values are read at each call"
    size = memoryview(array).nbytes
    if size > _LARGE:
        warn(
            f"a jitted function compares the values of {name!r} at each call, {size / 1e6:.1f} MB: "
            f"{remedy}"
        )
    objects = isinstance(array, np.ndarray) and array.dtype == object
    test = "same_items({0}(), {value})" if objects else "{0}() == {value}"
    return Place(f"the values of {name}", where, read, read(), test, remedy=remedy)


def _bits(array: Any) -> tuple[Any, ...]:
    if isinstance(array, np.ndarray) and array.dtype == object:  # its bytes are only addresses
        return array.ndim, *array.shape, *array.flat
    if isinstance(array, np.ndarray):
        return array.shape, array.dtype, array.tobytes()
    return (memoryview(array).tobytes(),)


def called(get: Callable[[], Any], name: str, where: Where | None) -> Place:
    """What a call gives: of a weak reference, of a context variable."""
    return Place(name, where, get, get())


# -- attributes, without running code --------------------------------------------------------------


def find(thing: Any, key: str) -> Any:
    """What `thing.key` leads to: the value, or the property, function or other descriptor."""
    if isinstance(thing, type):
        return find_on(thing, key)
    descriptor = find_on(type(thing), key)
    if isinstance(descriptor, types.MemberDescriptorType):  # a slot
        try:
            return descriptor.__get__(thing, type(thing))
        except AttributeError:
            return ABSENT
    if descriptor is not ABSENT and hasattr(type(descriptor), "__set__"):
        return descriptor
    return _attributes(thing).get(key, descriptor)


def find_on(kind: type, key: str) -> Any:
    """What a class, or one that it inherits from, holds under a name."""
    for c in kind.__mro__:
        if key in (attributes := c.__dict__):
            return attributes[key]
    return ABSENT


def _owner(kind: type, key: str) -> type:
    return next(c for c in kind.__mro__ if key in vars(c))


def is_ours(kind: type, key: str) -> bool:
    """Whether the class that holds this under a name is one of the package."""
    return _owner(kind, key).__module__.startswith("tinygrad_rl.")


def _is_of_class(thing: Any, key: str) -> bool:
    """Whether `thing.key` is what its class holds, and not the thing itself."""
    descriptor = find_on(type(thing), key)
    slot = isinstance(descriptor, types.MemberDescriptorType)
    return not slot and (key not in _attributes(thing) or hasattr(type(descriptor), "__set__"))


def _attributes(thing: Any) -> dict[str, Any]:
    try:
        attributes = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return vars(thing) if isinstance(thing, threading.local) else {}
    return attributes if isinstance(attributes, dict) else {}


def _written(kind: type) -> frozenset[str]:
    """Names that classes written in Python give to this one."""
    return frozenset(name for c in kind.__mro__ if c.__module__ != "builtins" for name in vars(c))


def shown(value: Any) -> str:
    """A value in a message: numbers and strings as they are, of others what they are."""
    if isinstance(value, (int, float, complex, str, type(None), _Absent)):
        return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
    if isinstance(value, tuple) and len(value) <= 4:
        return f"({', '.join(map(shown, value))})"
    if isinstance(value, tuple):
        return counted(len(value), "item")
    if isinstance(value, Tensor):
        return f"a tensor of shape {value.shape}"
    return str(getattr(value, "__qualname__", None) or f"an object of {type(value).__name__}")
