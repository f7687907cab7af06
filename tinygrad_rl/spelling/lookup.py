"""Names that are not there: who lacks what, and what to write."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

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


def absent(owner: str, name: str, table: Mapping[str, str], known: Collection[str]) -> Exception:
    """What to raise for an attribute that is not there.

    Parameters
    ----------
    owner : who lacks it, as the sentence begins: "a Tensor".
    table : names, and what to write for them.
    known : the names that there are.
    """
    text = f"{owner} has no attribute {name!r}"
    if name.startswith("_"):  # Python and NumPy ask for such names all the time
        return AttributeError(text)
    known = [k for k in known if not k.startswith("_")]
    if way := table.get(name) or _elsewhere(name, known):
        text = f"{text}: {way}"
    # With an object of its own it gets no second suggestion from Python.
    return AttributeError(text, obj=None)


def _elsewhere(name: str, known: Collection[str]) -> str | None:
    if name in _public:
        return f"it is `{_public[name]}`"
    if name in _methods:
        return f"it is a method, `x.{name}`"
    bare = name.removesuffix("_")
    if bare != name and bare in known:
        return f"nothing of that name writes in place, so write `x = x.{bare}(...)`"
    near = difflib.get_close_matches(name, known, 1, 0.8)
    return f"did you mean {near[0]!r}?" if near else None


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


def door(namespace: dict[str, Any]) -> None:
    """Make what a module exports, its `__all__`, answer wrong names and wrong arguments."""
    module, listed = namespace["__name__"], namespace["__all__"]
    path = module.replace("tinygrad_rl", "tg", 1)
    for name in listed:
        thing = namespace[name]
        namespace[name] = public = spelled(thing, name)
        if public is not thing:  # pickled, and shown, by where users find it
            public.__module__, public.__qualname__ = module, name
        if isinstance(thing, type) and name == "Tensor":
            _methods.update(m for m in dir(thing) if not m.startswith("_"))
    _public.update({name: f"{path}.{name}" for name in listed})

    def __getattr__(name: str) -> Any:
        raise absent(module, name, _ROOMS[module], listed)

    namespace["__getattr__"] = __getattr__


# -- NumPy's functions -----------------------------------------------------------------------------

ABOUT_ARRAYS = {
    *("shape", "ndim", "size", "result_type", "can_cast", "common_type", "min_scalar_type"),
    *("iscomplexobj", "isrealobj", "may_share_memory", "shares_memory"),
    *("allclose", "isclose", "array_equal", "array_equiv"),
    *("save", "savez", "savez_compressed", "savetxt", "copyto"),
}
"""Functions of NumPy that ask, compare, print or write, and so lose no gradient."""

_SHORT = {"absolute": "abs", "true_divide": "divide", "amax": "max", "amin": "min"}


def no_array_function(function: Any) -> TypeError:
    """What to raise when a function of NumPy, which would lose the gradient, gets a tensor."""
    room = getattr(function, "__module__", None) or "numpy"  # a ufunc's is None
    room = "np" + room.removeprefix("numpy") if room.startswith("numpy") else room
    called, name = f"{room}.{function.__name__}()", function.__name__
    name = _SHORT.get(name, name)
    array = "give it `x.numpy()`"
    here = [
        *([_public[name]] if name in _public else []),
        *([f"x.{name}"] if name in _methods else []),
    ]
    if here:
        way = f"write `{'` or `'.join(here)}`, or {array} where no gradient is needed"
    else:
        table = {} if room == "np.fft" else _ROOMS["tinygrad_rl"]
        way = table.get(name, f"{array}, as there is no such function here")
    return TypeError(f"{called} takes no tensors: {way}")
