"""What the user calls a tensor: the only finder of names.

    names = Names()
    names.search_function(loss_fn, args)
    names.tensors[id(t)]                  # 'critic.0.weight'

A name is worth more than a shape in a report, and makes generated code readable. It is found by
looking where a function takes its tensors from: its arguments first, then what it closes over, then
the globals that its code really loads, and what those hold: modules, containers, objects.
Optimizers come last, for their parameters usually have a better name elsewhere.
"""

import dis
import functools
import heapq
import inspect
import itertools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_rl.core import Tensor, user_frame
from tinygrad_rl.tree import TensorHolder, contents

_DEPTH = 4  # how many attributes or indices deep a tensor may hide
_WIDTH = 200  # how many entries of a container are looked at


def callers_variables() -> dict[str, Any]:
    """Globals and locals of the innermost function of the user's."""
    frame = user_frame()
    return {} if frame is None else {**frame.f_globals, **frame.f_locals}


class Names:
    """Names of tensors and modules, by identity; the first name found stays.

    Attributes
    ----------
    tensors : `id` of a tensor -> its name; without what only optimizers hold, their moments.
    modules : `id` of a module -> its name.
    parameters : ids of the tensors that some module counts among its parameters.
    found : the named tensors, in the order in which they were found.
    """

    def __init__(self) -> None:
        self.tensors: dict[int, str] = {}
        self.modules: dict[int, str] = {}
        self.parameters: set[int] = set()
        self.found: list[Tensor] = []
        self._borrowers: list[tuple[str, TensorHolder]] = []
        self._seen: set[int] = set()
        self._alive: list[Any] = []  # an id means something only while its object lives
        self._queue: list[tuple[int, int, int, str, Any]] = []
        self._order = itertools.count()

    def search_function(
        self, fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Name everything that a call `fn(*args, **kwargs)` can reach."""
        for name, value in arguments_of(fn, args, kwargs or {}):
            self._push(name, value, 0)
        self._push("", fn, 0)
        self._search()

    def search_code(self, code: types.CodeType, variables: Mapping[str, Any]) -> None:
        """Name everything that the globals hold which a function's code loads."""
        for name in _loaded(code):
            if name in variables:
                self._push(name, variables[name], 0)
        self._search()

    def search_variables(self, variables: Mapping[str, Any]) -> None:
        """Name the tensors and modules among the variables, and what is in their containers."""
        for name, value in variables.items():
            if not name.startswith("__"):
                self._push(name, value, _DEPTH - 1)
        self._search()

    def add(self, name: str, value: Any) -> None:
        """Give a tensor, or the parameters of a module, this very name."""
        self._push(name, value, 0)
        self._search()

    def with_moments(self) -> dict[int, str]:
        """The names of all tensors, with those that only optimizers hold, for a program."""
        names = dict(self.tensors)
        for name, holder in self._borrowers:
            for key, t in holder.named_tensors():
                names.setdefault(id(t), _join(name, f".{key}"))
        return names

    def _push(self, name: str, value: Any, depth: int) -> None:
        rank = _rank(value)
        if rank is not None and depth <= _DEPTH:
            heapq.heappush(self._queue, (rank, depth, next(self._order), name, value))

    def _search(self) -> None:
        while self._queue:
            _, depth, _, name, value = heapq.heappop(self._queue)
            if id(value) in self._seen:
                continue
            self._seen.add(id(value))
            self._alive.append(value)
            if isinstance(value, Tensor):
                self._add(name, value)
            elif isinstance(value, TensorHolder):
                self._add_holder(name, value)
            for part, inner in _parts(value):
                self._push(_join(name, part), inner, depth + 1)

    def _add(self, name: str, tensor: Tensor) -> None:
        if id(tensor) not in self.tensors:
            self.tensors[id(tensor)] = name or f"tensor{len(self.found)}"
            self.found.append(tensor)

    def _add_holder(self, name: str, holder: TensorHolder) -> None:
        if holder.borrows:
            self._borrowers.append((name, holder))
            tensors = holder.named_parameters()
        else:
            for key, inner in (("", holder), *holder.named_holders()):
                path = _join(name, f".{key}" if key else "")
                self.modules.setdefault(id(inner), path or type(inner).__name__)
            self.parameters |= {id(t) for _, t in holder.named_parameters()}
            tensors = holder.named_tensors()
        for key, t in tensors:
            self._add(_join(name, f".{key}"), t)


def _join(name: str, part: str) -> str:
    """`.attr` and `[i]` continue a name, a variable starts one, nothing keeps it."""
    if part and part[0] not in ".[":
        return part
    return name + part if name else part.removeprefix(".")


def _rank(value: Any) -> int | None:
    """How soon to look into a value; None for never."""
    if isinstance(value, Tensor):
        return 0
    if isinstance(value, TensorHolder):
        return 2 if value.borrows else 0
    if isinstance(value, types.FunctionType):
        return None if (value.__module__ or "").startswith("tinygrad_rl.") else 1
    if isinstance(value, (type, types.ModuleType)):
        return None
    return 1 if isinstance(value, (list, tuple, dict)) or hasattr(value, "__dict__") else None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Pairs (how the name goes on, object) of what a value holds, see `_join`."""
    if isinstance(value, Tensor):
        return
    if isinstance(value, (dict, list, tuple)):
        attributes = hasattr(value, "_fields")
        for key, v in itertools.islice(contents(value), _WIDTH):
            yield (f".{key}" if attributes else f"[{key!r}]"), v
    elif isinstance(value, functools.partial):
        yield from arguments_of(value.func, value.args, value.keywords)
        yield "", value.func
    elif isinstance(value, types.MethodType):
        yield "", value.__self__
        yield "", value.__func__
    elif isinstance(value, types.FunctionType):
        yield from variables_of(value)
    elif "__wrapped__" in vars(value):  # a jitted function is looked through, not into
        yield "", value.__wrapped__
    elif not (isinstance(value, TensorHolder) and value.borrows):
        yield from ((f".{key}", v) for key, v in vars(value).items())


def arguments_of(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """The arguments of a call under the names of the parameters that take them."""
    target = getattr(fn, "forward", fn) if isinstance(fn, TensorHolder) else fn
    try:
        bound = inspect.signature(target).bind_partial(*args, **kwargs)
    except (TypeError, ValueError):
        yield from ((f"argument{i}", a) for i, a in enumerate(args))
        yield from kwargs.items()
        return
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((f"{name}[{i}]", v) for i, v in enumerate(value))
        elif kind is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        else:
            yield name, value


def variables_of(fn: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What the function closes over, and the globals that its code loads (inner functions' too)."""
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    yield from ((n, fn.__globals__[n]) for n in _loaded(fn.__code__) if n in fn.__globals__)


@functools.lru_cache(maxsize=1024)
def _loaded(code: types.CodeType) -> tuple[str, ...]:
    """Names of the globals that code loads, each once."""
    inner = (name for c in code.co_consts if isinstance(c, types.CodeType) for name in _loaded(c))
    own = (i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL")
    return tuple(dict.fromkeys((*own, *inner)))
