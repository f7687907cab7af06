"""Names that are not there: who lacks what, and what to write."""

import difflib
from collections.abc import Collection, Iterable, Mapping
from inspect import getattr_static
from typing import Any, NoReturn

import numpy as np

from tinygrad_rl.spelling import names
from tinygrad_rl.spelling.calls import spelled

_ROOMS = {
    "tinygrad_rl": names.TENSOR | names.ENGINE,
    "tinygrad_rl.nn": names.NN,
    "tinygrad_rl.nn.functional": names.TENSOR | names.FUNCTIONAL,
    "tinygrad_rl.optim": names.OPTIM,
}
_public: dict[str, str] = {}
"""Each public name, and where users find it."""
_methods: set[str] = set()

# -- attributes ------------------------------------------------------------------------------------


class Absent:
    """An attribute that is not there, found where it would be: asking for it says what to write.

    A `__getattr__` would not need the names. But every attribute of an object whose class has one
    is slower to read, in Python 3.11 by so much that all ops take a twentieth longer.
    """

    def __init__(self, owner: str, name: str, way: str) -> None:
        self.owner, self.name, self.way = owner, name, way

    def __get__(self, thing: Any, kind: type) -> NoReturn:
        owner = self.owner.format(kind.__name__)
        # With an object of its own, None, it gets no second suggestion from Python.
        raise AttributeError(f"{owner} has no attribute {self.name!r}: {self.way}", obj=None)

    def __repr__(self) -> str:
        return self.way  # in `help`


def absent(kind: type, owner: str, table: Mapping[str, str]) -> None:
    """Put the names of a table into a class, as what is not there.

    Parameters
    ----------
    owner : who lacks it, as the sentence begins: "the module {}", with the class for the braces.
    table : names, and what to write for them.
    """
    for name, way in table.items():
        setattr(kind, name, Absent(owner, name, way))


def without_absent(thing: Any, listed: Iterable[str]) -> list[str]:
    """Those of the names that are there, for `dir`."""
    return [n for n in listed if type(getattr_static(thing, n, None)) is not Absent]


def unsettable(name: str, settable: Collection[str]) -> AttributeError:
    """What to raise for an attribute of a tensor that can't be set."""
    near = difflib.get_close_matches(name, settable, 1, 0.5)
    way = f"; did you mean {near[0]!r}?" if near else ""
    if name == "data":
        way = (
            ": writing past the version counter is how gradients go wrong silently. Use assign_() "
            "inside no_grad() to write, detach() to read"
        )
    return AttributeError(f"a Tensor has no attribute {name!r} to set{way}")


# -- public modules --------------------------------------------------------------------------------


def door(namespace: dict[str, Any]) -> None:
    """Make what a module exports, its `__all__`, answer wrong names and wrong arguments."""
    module, listed = namespace["__name__"], namespace["__all__"]
    path = module.replace("tinygrad_rl", "tg", 1)
    for name in listed:
        thing = namespace[name]
        namespace[name] = public = spelled(thing, name)
        if public is not thing:  # pickled, and shown, by where users find it
            public.__module__, public.__qualname__ = module, name
    _public.update({name: f"{path}.{name}" for name in listed})
    if "Tensor" in listed:
        _complete(namespace["Tensor"], namespace)

    def __getattr__(name: str) -> Any:
        text = f"{module} has no attribute {name!r}"
        if not name.startswith("_") and (way := _ROOMS[module].get(name) or _near(name, listed)):
            text = f"{text}: {way}"
        raise AttributeError(text, obj=None)

    namespace["__getattr__"] = __getattr__


def _complete(tensor: type, namespace: Mapping[str, Any]) -> None:
    """Absent are also the methods that only functions are, and those that would write in place."""
    there = {n for n in without_absent(tensor, dir(tensor)) if not n.startswith("_")}
    _methods.update(there)
    others = {n: thing for n, thing in namespace.items() if n in namespace["__all__"]}
    functions = {n for n, f in others.items() if callable(f) and not isinstance(f, type)}
    table = {n: f"it is the function `tg.{n}`" for n in functions - there - {*names.TENSOR}}
    for name in there - {n.removesuffix("_") for n in there if n.endswith("_")}:
        if callable(getattr(tensor, name)):
            way = f"nothing of that name writes in place, so write `x = x.{name}(...)`"
            table[f"{name}_"] = names.TENSOR.get(f"{name}_", way)
    absent(tensor, "a Tensor", table)


def _near(name: str, listed: Collection[str]) -> str | None:
    if name in _public:
        return f"it is `{_public[name]}`"
    if name in _methods:
        return f"it is a method, `x.{name}`"
    near = difflib.get_close_matches(name, listed, 1, 0.8)
    return f"did you mean {near[0]!r}?" if near else None


# -- NumPy's functions -----------------------------------------------------------------------------

ABOUT_ARRAYS = {
    *("shape", "ndim", "size", "result_type", "can_cast", "common_type", "min_scalar_type"),
    *("iscomplexobj", "isrealobj", "may_share_memory", "shares_memory"),
    *("allclose", "isclose", "array_equal", "array_equiv"),
    *("save", "savez", "savez_compressed", "savetxt", "copyto"),
    *("atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays"),
}
"""Functions of NumPy that ask, compare, write or, as matplotlib has it, make arrays of anything."""

_SHORT = {"absolute": "abs", "true_divide": "divide", "amax": "max", "amin": "min"}


def no_array_function(function: Any) -> TypeError:
    """What to raise when a function of NumPy, which would lose the gradient, gets a tensor."""
    room = getattr(function, "__module__", None) or "numpy"  # a ufunc's is None
    room = "np" + room.removeprefix("numpy") if room.startswith("numpy") else room
    called = name = function.__name__
    if room != "np" or hasattr(np, name):  # SciPy has ufuncs too
        called = f"{room}.{name}"
    name = _SHORT.get(name, name)
    array = "give it `x.numpy()`"
    here = [_public[name]] if name in _public else []
    here += [f"x.{name}"] if name in _methods else []
    if here:
        way = f"write `{'` or `'.join(here)}`, or {array} where no gradient is needed"
    else:
        table = {} if room == "np.fft" else _ROOMS["tinygrad_rl"]
        way = table.get(name, f"{array}, as there is no such function here")
    return TypeError(f"{called}() takes no tensors: {way}")
