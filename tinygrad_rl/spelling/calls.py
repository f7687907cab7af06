"""Public functions answer a wrong argument with the right one.

Python raises before a function's first line runs. So what is public goes by a second function with
the same parameters, and two more that take whatever fits nowhere. It is written out for each list
of parameters: as `*args, **kwargs` with a `try` around the call it would cost five times as much.
"""

import inspect
from collections.abc import Callable
from functools import cache, partial, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

from tinygrad_rl.spelling.arguments import missing, misspelt, too_many

_MISSING: Any = object()
_PUBLIC: dict[Callable[..., Any], Callable[..., Any]] = {}
_FILE = str(Path(__file__).with_name("<public>"))  # in the package, as frames are told apart


def spelled(thing: Any, name: str) -> Any:
    """The function that stands for a public one; a class with such as its methods.

    Anything else, and what takes any keyword itself, comes back as it is.
    """
    if isinstance(thing, type):
        for method, value in list(vars(thing).items()):
            if method == "__new__":
                thing.__new__ = spelled(value.__func__, name)  # type: ignore[method-assign]
            elif method == "__init__" or not (method.startswith("_") or method == "forward"):
                if type(value) is FunctionType:
                    setattr(thing, method, spelled(value, name if method[0] == "_" else method))
        return thing
    if type(thing) is not FunctionType:
        return thing
    if thing not in _PUBLIC:
        _PUBLIC[thing] = public = _public(thing, name)
        _PUBLIC[public] = public
    return _PUBLIC[thing]


def _public(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind in (p.VAR_KEYWORD, p.POSITIONAL_ONLY) for p in parameters):
        return function
    make = _maker(tuple((p.name, p.kind, p.default is p.empty) for p in parameters))
    defaults = {p.name: p.default for p in parameters}
    wrong = partial(_wrong, name, function)
    return update_wrapper(make(function, wrong, defaults, _MISSING), function)


@cache
def _maker(parameters: tuple[tuple[str, Any, bool], ...]) -> Any:
    """What makes the function with these parameters: (name, kind, whether it must be given)."""
    head, passed, required = [], [], []
    kinds = inspect.Parameter
    takes_rest = any(kind is kinds.VAR_POSITIONAL for _, kind, _ in parameters)
    for name, kind, must in parameters:
        if kind is kinds.VAR_POSITIONAL:
            head.append(f"*{name}")
            passed.append(f"*{name}")
            continue
        if kind is kinds.KEYWORD_ONLY and not takes_rest:
            head.append("*_rest")
            takes_rest = True
        head.append(f"{name}=_missing" if must else f"{name}=_defaults[{name!r}]")
        passed.append(f"{name}={name}" if kind is kinds.KEYWORD_ONLY else name)
        required += [name] if must else []
    if not takes_rest:
        head.append("*_rest")
    has_rest = "*_rest" in head
    tests = [*(["_rest"] if has_rest else []), "_other", *(f"{r} is _missing" for r in required)]
    absent = "".join(f"{r!r} if {r} is _missing else None, " for r in required)
    text = (
        "def make(_function, _wrong, _defaults, _missing):\n"
        f"    def public({', '.join(head)}, **_other):\n"
        f"        if {' or '.join(tests)}:\n"
        f"            raise _wrong({'_rest' if has_rest else '()'}, _other, ({absent}))\n"
        f"        return _function({', '.join(passed)})\n"
        "    return public\n"
    )
    space: dict[str, Any] = {"__name__": __name__}
    exec(compile(text, _FILE, "exec"), space)
    return space["make"]


def _wrong(
    name: str,
    function: Callable[..., Any],
    rest: tuple[Any, ...],
    other: dict[str, Any],
    absent: tuple[str | None, ...],
) -> TypeError:
    """What to raise for arguments that fit nowhere, or are not given."""
    signature = inspect.signature(function)
    own = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    own = [p for p in own if p.name not in ("self", "cls")]
    takes = f"{name}{inspect.Signature(own)}"
    if other:
        named = [p.name for p in own if p.kind is not p.VAR_POSITIONAL]
        return misspelt(name, next(iter(other)), named, takes)
    if left_out := [a for a in absent if a]:
        return missing(name, left_out[0], takes)
    return too_many(name, takes)
