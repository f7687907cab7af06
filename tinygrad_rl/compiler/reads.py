"""What a function reads in Python while it is traced: the places that its names lead to.

    with watch_reads(function, args, kwargs) as reads:
        function(*args, **kwargs)
    reads.guards()                        # compared at each later call

The interpreter says which functions run. Their code says which names it loads (`loads.py`). From
there we look, before the code does: at the globals and at what it closes over, and in every object
that is found on the way, at the attributes with such names. Some of that is never read by this
code; then the function is traced once more than it had to be. What it did read is among it.
"""

import array
import builtins
import collections
import contextvars
import functools
import gc
import importlib.util
import operator
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_rl.compiler import guards
from tinygrad_rl.compiler.draws import GENERATORS, Draws
from tinygrad_rl.compiler.guards import ABSENT, Guards, Place, Setting, TraceError, setting
from tinygrad_rl.compiler.loads import BY_NAME, WHOLE, Loads, loads
from tinygrad_rl.core import Tensor, Where, at, is_inside
from tinygrad_rl.naming import arguments_of
from tinygrad_rl.tree import TensorHolder, leaves

_OPAQUE = (
    *("numpy", "scipy", "numba", "llvmlite"),
    *("pytest", "_pytest", "pluggy", "hypothesis", "coverage", "IPython", "ipykernel", "debugpy"),
)
"""What is not looked into: compiled libraries, and the tools that run the user's code."""
_STANDARD = os.path.dirname(os.__file__)
_MUTED = {
    *("numba", "llvmlite", "importlib", "_frozen_importlib", "_frozen_importlib_external"),
    *("warnings", "logging", "linecache"),
}
"""Who works for the engine, or tells the user something."""
_LIBRARIES = {*sys.stdlib_module_names, *_OPAQUE, "tinygrad_rl"}
_NOTHING_INSIDE = (
    *(int, float, complex, str, bytes, type(None), type(...), range, slice, np.generic, np.dtype),
    *(np.ufunc, types.CodeType),
)
_OTHERS = {*_LIBRARIES, "builtins"}
_LISTS = (list, set, frozenset, tuple, bytearray, collections.deque, array.array)
_VIEWS: Any = (type({}.keys()), type({}.values()), type({}.items()))
_FIELD: type = type(vars(collections.namedtuple("_", "field"))["field"])
_RANDOM = (
    "random numbers drawn inside a jitted function would be the same at every call ({}): draw them "
    "outside and pass them as an argument"
)


@contextmanager
def watch_reads(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator["Reads"]:
    """Record what this thread's code can read inside the block.

    Raises
    ------
    TraceError : when an iterator is read; at the end, when random numbers were drawn: the
        generators are then as they were.
    """
    reads = Reads(function, args, kwargs)
    before: Any = sys.getprofile()
    reads.chained = before if callable(before) else None
    sys.setprofile(reads.on_event)
    try:
        yield reads
    finally:
        if before is None or callable(before):
            sys.setprofile(before)
        else:  # a profiler written in C, which puts itself in place
            sys.setprofile(None)
            before.enable()
        reads.refuse()


class Reads:
    """The places found so far, and the objects in which others may be found."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        self.chained: Any = None
        self._places: dict[Any, Place] = {}
        self._names: dict[str, Where | None] = {}  # attributes that user code loads
        self._inner: set[str] = set()  # those that our own code loads
        self._held: set[str] = set()  # those that modules and optimizers have, of all that can be
        self._asked: dict[str, Where] = {}
        self._stores: dict[Any, Place] = {}  # as they were before code wrote there
        self._written: set[str] = set()  # of the names: those that are only written
        self._careful = self._super = False
        self._any = False
        self._codes: set[types.CodeType] = set()
        self._alive: dict[int, Any] = {}  # all that was reached
        self._objects: list[tuple[Any, str, Where | None]] = []
        self._functions: dict[types.CodeType, list[tuple[types.FunctionType, Where | None]]] = {}
        self._builtins: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._draws = Draws()
        self._settings: list[Setting] = []
        self._entropy: str | None = None
        self._muted: types.FrameType | None = None  # nothing is read for the function inside it
        self._refusal: TraceError | None = None
        self._reach(function, getattr(function, "__name__", type(function).__name__), None)
        for name, value in arguments_of(function, args, kwargs):
            for leaf in leaves(value):
                if isinstance(leaf, Tensor):
                    self._reach_hooks(leaf, name, None)
                else:
                    self._reach(leaf, name, None)

    # What the interpreter tells us.

    def on_event(self, frame: types.FrameType, event: str, arg: Any) -> None:
        """A function begins, or something was drawn from the operating system."""
        if self._muted is not None:
            if event == "return" and frame is self._muted:
                self._muted = None
        elif event == "call":
            if frame.f_code in self._codes:
                pass
            elif _library(frame.f_globals.get("__name__"), _MUTED):
                self._muted = frame
            else:
                self._on_code(frame)
        elif event == "c_call" and getattr(arg, "__name__", "") == "urandom":
            self._entropy = f"of the operating system, {_user_line(frame)}"
        if self.chained is not None:
            self.chained(frame, event, arg)

    def _on_code(self, frame: types.FrameType) -> None:
        """Before code runs for the first time: look at what it can read."""
        code, variables = frame.f_code, frame.f_globals
        library = _library(variables.get("__name__"))
        if library in sys.stdlib_module_names and _is_ours(frame):
            return  # it may still be called by the user
        self._codes.add(code)
        known = self._functions.setdefault(code, [])
        if is_inside(code):
            self._add_inner_names(code.co_names)
        elif library in sys.stdlib_module_names:
            self._add_names(dict.fromkeys(code.co_names))
        elif not library:
            loaded = loads(code)
            self._look_at_globals(variables, loaded)
            self._careful |= loaded.careful  # an error may come from the code that runs from now on
            self._asked.update(loaded.attributes if self._careful else loaded.asked)
            self._any |= loaded.any
            if "super" in loaded.globals and not self._super:
                self._super = True
                for found in list(self._objects):
                    self._reach_bases(*found)
            self._add_names(loaded.attributes, loaded.written)
            if code.co_freevars and not known and not self._is_inner(code):
                referrers = gc.get_referrers(code)
                known += [(f, None) for f in referrers if isinstance(f, types.FunctionType)]
        for function, where in known:
            self._look_inside(function, where)

    def _add_names(self, names: dict[str, Any], written: Set[str] = frozenset()) -> None:
        new = names.keys() - (self._names.keys() - (self._written - written))
        self._written = (self._written | (written - self._names.keys())) - (names.keys() - written)
        self._names.update((name, names[name]) for name in new)
        for found in list(self._objects):
            self._look(*found, {*new, *(_names_of(found[0]) if self._any else ())})

    def _add_inner_names(self, names: Sequence[str]) -> None:
        new = {*names} - self._inner
        self._inner |= new
        if known := new & self._held:
            for found in list(self._objects):
                if isinstance(found[0], TensorHolder):
                    self._look(*found, known)

    def _is_inner(self, code: types.CodeType) -> bool:
        """Whether the function was made by code that ran, which has its variables."""
        return any(code in outer.co_consts for outer in self._codes)

    def _look_at_globals(self, variables: dict[str, Any], loaded: Loads) -> None:
        builtin = loaded.globals.keys() - variables.keys()
        for name in builtin & vars(builtins).keys():
            if getattr(vars(builtins)[name], "__module__", "") != "builtins":
                self._look_at_global(vars(builtins), name, loaded.globals[name])
        self._builtins.setdefault(id(variables), (variables, set()))[1].update(builtin)
        names = variables if "globals" in loaded.globals else loaded.globals.keys() - builtin
        for name in sorted(names):
            where = loaded.globals.get(name)
            if name in loaded.written and _is_store(variables[name]):
                store = guards.global_(variables, name, where)
                self._stores.setdefault((id(variables), name), store)
                continue
            self._look_at_global(variables, name, where)
        for module, where in loaded.modules.items():
            parent = variables.get("__package__") or variables.get("__name__")
            name = importlib.util.resolve_name(module, parent) if module[:1] == "." else module
            if name in sys.modules:
                self._look_at_global(sys.modules, name, where)

    def _look_at_global(self, variables: dict[str, Any], name: str, where: Where | None) -> None:
        make = functools.partial(guards.global_, variables, name, where)
        self._reach(self._add((id(variables), name), make).value, name, where)

    def _add(self, key: Any, make: Callable[[], Place]) -> Place:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._stores.get(key) or make()
        return place

    # From object to object.

    def _reach(self, thing: Any, name: str, where: Where | None) -> None:
        """Look into something that user code can get at."""
        if _is_plain(thing) or id(thing) in self._alive or thing is sys.modules:
            return
        self._alive[id(thing)] = thing
        if isinstance(thing, Tensor):
            self._settings.append(setting(thing))
            self._reach_hooks(thing, name, where)
        elif isinstance(thing, np.ndarray):
            self._add(("values", id(thing)), lambda: guards.values(thing, name, where))
            for k, value in enumerate(thing.flat if thing.dtype == object else ()):
                self._reach(value, f"{name}.flat[{k}]", where)
            if not _library(type(thing).__module__):
                self._watch(thing, name, where)
        elif isinstance(thing, GENERATORS):
            self._draws.watch(thing, name, where)
        elif isinstance(thing, types.FunctionType):
            self._functions.setdefault(thing.__code__, []).append((thing, where))
            if thing.__code__ in self._codes or is_inside(thing.__code__):
                self._look_inside(thing, where)
            self._watch(thing, name, where)
        elif isinstance(thing, types.ModuleType):
            if _library(thing.__name__) not in ("tinygrad_rl", *_OPAQUE):
                self._watch(thing, name, where)
        elif isinstance(thing, type):
            if not _library(thing.__module__):
                self._watch(thing, name, where)
        elif not self._reach_around(thing, name, where):
            self._reach_instance(thing, name, where)

    def _reach_hooks(self, tensor: Tensor, name: str, where: Where | None) -> None:
        for hook in tensor.hooks or ():
            self._reach(hook, f"a hook of {name}", where)

    def _reach_around(self, thing: Any, name: str, where: Where | None) -> bool:
        """What only leads on to others: a bound method, a property, a reference."""
        if isinstance(thing, types.MethodType):
            owner = "self" if where is None else name.rpartition(".")[0] or name
            self._reach(thing.__self__, owner, where)
            parts: tuple[Any, ...] = (thing.__func__,)
        elif isinstance(thing, functools.partial):
            parts = (thing.func, thing.args, thing.keywords)
        elif isinstance(thing, property):
            parts = (thing.fget,)
        elif isinstance(thing, (staticmethod, classmethod)):
            parts = (thing.__func__,)
        elif isinstance(thing, (weakref.ref, contextvars.ContextVar)):
            get = thing if isinstance(thing, weakref.ref) else functools.partial(thing.get, ABSENT)
            place = self._add(("called", id(thing)), lambda: guards.called(get, name, where))
            parts = (place.value,)
        elif isinstance(thing, weakref.ProxyTypes):
            parts = (thing.__init__.__self__,)
        elif isinstance(thing, _VIEWS):
            parts = (thing.mapping,)
        elif type(thing).__name__ in ("builtin_function_or_method", "cython_function_or_method"):
            parts = (getattr(thing, "__self__", None),)
            self._any |= getattr(thing, "__name__", "") in WHOLE | BY_NAME
        elif isinstance(thing, (operator.attrgetter, operator.methodcaller)):
            parts = ()
            self._any = True
        else:
            return False
        for part in parts:
            self._reach(part, name, where)
        return True

    def _reach_instance(self, thing: Any, name: str, where: Where | None) -> None:
        kind = type(thing)
        if isinstance(thing, (dict, types.MappingProxyType)):
            place = self._add(("contents", id(thing)), lambda: guards.contents(thing, name, where))
            for key, value in zip(thing, place.value[len(thing) :], strict=True):
                self._reach(value, f"{name}[{key!r}]", where)
        elif isinstance(thing, _LISTS):
            if not isinstance(thing, (tuple, frozenset)):
                self._add(("contents", id(thing)), lambda: guards.contents(thing, name, where))
            for k, value in enumerate(thing):
                self._reach(value, f"{name}[{k}]", where)
        elif isinstance(guards.find_on(kind, "__next__"), types.WrapperDescriptorType):
            if not hasattr(thing, "fileno"):
                self._refusal = TraceError(
                    f"{name!r}, which a jitted function reads ({at(where)}), is an iterator: what "
                    "it gives at a call can't be known before; call next() outside and pass the "
                    "result as an argument"
                )
                raise self._refusal
        elif _is_buffer(thing):
            self._add(("values", id(thing)), lambda: guards.values(thing, name, where))
        if isinstance(thing, TensorHolder):
            self._watch(thing, name, where)
        elif _library(kind.__module__) == "tinygrad_rl":
            self._reach(getattr(thing, "__wrapped__", None), name, where)
        elif kind.__module__ != "builtins" and _library(kind.__module__) not in _OPAQUE:
            self._watch(thing, name, where)

    def _look_inside(self, function: types.FunctionType, where: Where | None) -> None:
        """What a function that runs closes over, and its defaults."""
        name = function.__name__
        where = where or (function.__code__, -1)
        if not is_inside(function.__code__):
            for key in ("__code__", "__defaults__", "__kwdefaults__"):
                value = getattr(function, key)
                if value is not None:
                    test = f"{{0}}.{key} is {{value}}"
                    read = functools.partial(getattr, function, key)
                    place = Place(f"{name}.{key}", where, read, value, test, (function,))
                    self._places.setdefault((id(function), key), place)
                    self._reach(value, f"{name}.{key}", where)
        loaded = loads(function.__code__)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for variable, cell in cells:
            if variable in loaded.cells and not (
                variable in loaded.written and _is_store(guards.held(cell))
            ):
                line = loaded.cells[variable] if not is_inside(function.__code__) else where
                place = self._add(
                    ("cell", id(cell)), functools.partial(guards.cell, variable, cell, line)
                )
                self._alive[id(cell)] = cell
                self._reach(place.value, variable, line)

    def _watch(self, thing: Any, name: str, where: Where | None) -> None:
        self._objects.append((thing, name, where))
        if self._super:
            self._reach_bases(thing, name, where)
        if isinstance(thing, TensorHolder):
            key = (id(thing), "attributes")
            self._add(key, lambda: guards.attribute_names(thing, name, where))
            self._held.update(vars(thing), *map(vars, type(thing).__mro__))
        elif not _library(type(thing).__module__, _OTHERS):
            self._add((id(thing), "class"), lambda: guards.class_of(thing, name, where))
        names = {*self._names}
        if isinstance(thing, TensorHolder):  # our code reads it too, and what it holds by any name
            names |= {*self._inner, *vars(thing)}
        elif self._any:
            names |= _names_of(thing)
        self._look(thing, name, where, names)

    def _reach_bases(self, thing: Any, name: str, where: Where | None) -> None:
        """The classes that super() leads to."""
        for kind in type(thing).__mro__[1:]:
            self._reach(kind, f"{kind.__name__}, a base of {name}", where)

    def _look(self, thing: Any, name: str, where: Where | None, names: Set[str]) -> None:
        """Look at the attributes of an object that have one of the names."""
        for key in sorted(names):
            value = guards.find(thing, key)
            if value is ABSENT and key not in self._asked and not _is_asked(thing):
                continue
            if key in self._written and _is_store(value):
                store = guards.attribute(thing, key, f"{name}.{key}", where)
                self._stores.setdefault((id(thing), key), store)
                continue
            if key.startswith("__") and not isinstance(value, (str, tuple, int, float)):
                if key not in getattr(thing, "__dict__", {}) or isinstance(thing, type):
                    continue  # the interpreter's, as `__dict__`; operators: see `_add_operators`
            if not self._matters(thing, key, value):
                continue
            self._add_attribute(thing, key, name, self._names.get(key) or where)

    def _add_attribute(self, thing: Any, key: str, name: str, where: Where | None) -> None:
        path = title = f"{name}.{key}"
        if isinstance(thing, TensorHolder):
            title = f"{key} of the {'optimizer' if thing.borrows else 'module'} {name!r}"
        make = functools.partial(guards.attribute, thing, key, title, where)
        place = self._add((id(thing), key), make)
        place.counted &= key not in self._names  # what user code reads may be set past the class
        self._reach(place.value, path, where)

    def _matters(self, thing: Any, key: str, value: Any) -> bool:
        """Whether an attribute is the user's, and not a number that nobody asks for."""
        if isinstance(thing, types.ModuleType) and _library(thing.__name__):
            return not (callable(value) or isinstance(value, types.ModuleType) or _is_plain(value))
        if not isinstance(thing, TensorHolder):
            return not isinstance(value, _FIELD)
        of_class = value is not ABSENT and key not in vars(thing)
        if of_class and guards.is_ours(type(thing), key):
            return False
        asked = key in self._names or key in self._inner
        return asked or not _is_plain(value)

    def _add_operators(self) -> None:
        """The methods that ran without being called by their names: `__call__`, `__enter__`."""
        for thing, name, where in list(self._objects):
            kind = thing if isinstance(thing, type) else type(thing)
            for key in {key for c in kind.__mro__ for key in vars(c) if key.startswith("__")}:
                value = guards.find_on(kind, key)
                ran = isinstance(value, types.FunctionType) and value.__code__ in self._codes
                if ran and not guards.is_ours(kind, key):
                    self._add_attribute(thing, key, name, where)

    # The end.

    def refuse(self) -> None:
        """Raise when a generator is not where it was; and set it back."""
        if self._refusal is not None:  # the function may have caught it
            raise self._refusal
        drawn = self._draws.undo()
        if drawn is not None:
            name, where = drawn
            raise TraceError(_RANDOM.format(f"of {name}, {at(where or self._names.get('random'))}"))
        if self._entropy is not None:
            raise TraceError(_RANDOM.format(self._entropy))

    def guards(self) -> Guards:
        """All places and tensors that were found."""
        self._add_operators()
        for variables, names in self._builtins.values():
            place = guards.no_globals(variables, frozenset(names))
            self._places[id(variables), "builtins"] = place
        return Guards(list(self._places.values()), self._settings)


def _library(module: Any, among: Set[str] = _LIBRARIES) -> str:
    """The package of the standard library, of NumPy or of ours that a module belongs to, or ''."""
    package = str(module).partition(".")[0]
    if package.startswith("namedtuple_"):  # code that it generated
        return "collections"
    return package if package in among and not _is_namesake(package) else ""


@functools.cache
def _is_namesake(package: str) -> bool:
    """Whether a file of the user's, such as `code.py`, has a name of the standard library."""
    file = getattr(sys.modules.get(package), "__file__", None)
    return package in sys.stdlib_module_names and not (file or _STANDARD).startswith(_STANDARD)


def _is_plain(thing: Any) -> bool:
    """Whether there is nothing inside; a user's class of numbers may have attributes."""
    return isinstance(thing, _NOTHING_INSIDE) and type(thing).__module__ in ("builtins", "numpy")


def _is_store(thing: Any) -> bool:
    """Whether writing to it changes no result, as long as nobody reads it."""
    own = type(thing).__module__ in ("builtins", "collections", "array", "numpy")
    return _is_plain(thing) or (own and isinstance(thing, (*_LISTS, dict, np.ndarray)))


def _is_asked(thing: Any) -> bool:
    """Whether an object answers for attributes that it doesn't have."""
    kind = type(thing)
    return guards.find_on(kind, "__getattr__") is not ABSENT and not _library(kind.__module__)


def _names_of(thing: Any) -> set[str]:
    """The names of all attributes, those of classes of the user's among them."""
    classes = [c for c in type(thing).__mro__ if not _library(c.__module__, _OTHERS)]
    return {*getattr(thing, "__dict__", {}), *(name for c in classes for name in vars(c))}


def _is_buffer(thing: Any) -> bool:
    try:
        memoryview(thing)
    except TypeError:
        return False
    return True


def _is_ours(frame: types.FrameType) -> bool:
    """Whether a function of the standard library works for our code, not for the user's."""
    caller: types.FrameType | None = frame
    while caller and _library(caller.f_globals.get("__name__")) in sys.stdlib_module_names:
        caller = caller.f_back
    return caller is not None and is_inside(caller.f_code)


def _user_line(frame: types.FrameType) -> str:
    """The innermost line that is neither ours nor a library's."""
    user: types.FrameType | None = frame
    while user and (_library(user.f_globals.get("__name__")) or is_inside(user.f_code)):
        user = user.f_back
    return f"{user.f_code.co_filename}:{user.f_lineno}" if user else "?"
