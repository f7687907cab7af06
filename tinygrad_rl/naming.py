"""The names by which a user knows the tensors that a function can reach."""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_rl.core import Tensor

_PLAIN = (str, bytes, int, float, complex, bool, type(None), type)


def names_of(
    function: Callable[..., Any],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> dict[int, str]:
    """Names of the tensors that a function can reach, by the tensors' ids.

    Looked through are its arguments, the object that it is a method of, the variables that it
    closes over and the globals that it mentions, also those of functions beside it; in them
    attributes, lists and dicts: `actor.layers.0.weight`.
    """
    found: dict[int, str] = {}
    seen: set[int] = set()
    for name, thing in (*(kwargs or {}).items(), *_roots(function, args)):
        for tensor, path in _walk(thing, name, seen, 0):
            found.setdefault(id(tensor), path)
    return found


def _roots(function: Callable[..., Any], args: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    while isinstance(function, functools.partial):
        args = (*function.args, *args)
        function = function.func
    owner = getattr(function, "__self__", None)
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if inspect.isfunction(plain):
        parameters = list(inspect.signature(plain).parameters)
        yield from zip(parameters[1:] if owner is not None else parameters, args, strict=False)
    if owner is not None:
        yield "", owner
    if inspect.isfunction(plain):
        yield from _mentioned(plain, set())
    elif not inspect.isbuiltin(plain):
        yield "", plain


def _mentioned(function: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Variables that a function finds outside, then those of the functions of its module."""
    seen.add(id(function))
    try:
        closed = inspect.getclosurevars(function)
    except ValueError:  # a variable of it has no value yet
        return
    variables = {**closed.globals, **closed.nonlocals}
    yield from variables.items()
    for thing in variables.values():
        beside = getattr(thing, "__globals__", None) is function.__globals__
        if beside and inspect.isfunction(thing) and id(thing) not in seen:
            yield from _mentioned(thing, seen)


def _walk(thing: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[Tensor, str]]:
    if isinstance(thing, Tensor):
        yield thing, path
        return
    if isinstance(thing, _PLAIN) or id(thing) in seen or depth > 6 or inspect.ismodule(thing):
        return
    seen.add(id(thing))
    items: Any = ()
    if isinstance(thing, dict):
        items = thing.items()
    elif isinstance(thing, (list, tuple)):
        items = enumerate(thing)
    elif not callable(thing) or hasattr(type(thing), "forward"):
        items = [(k, v) for k, v in getattr(thing, "__dict__", {}).items() if not k.startswith("_")]
        items = sorted(items, key=lambda item: not isinstance(item[1], Tensor))
    for key, value in items:
        if isinstance(key, (str, int)):
            yield from _walk(value, f"{path}.{key}" if path else str(key), seen, depth + 1)
