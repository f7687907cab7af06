"""What the user calls a tensor: names found by looking where a function takes its tensors from.

    names = Names()
    names.search_function(loss_fn, args)
    names.tensors[id(t)]                  # 'critic.0.weight'

A name is worth more than a shape in a report. Arguments are looked at first, then what the function
closes over, then the globals that its code really loads, and what those hold: modules, containers,
objects. Optimizers come last, for their parameters usually have a better name elsewhere.
"""

import dis
import functools
import heapq
import inspect
import itertools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_rl.core import Tensor
from tinygrad_rl.nn.module import Module
from tinygrad_rl.optim import Optimizer

_DEPTH = 4  # how many attributes or indices deep a tensor may hide
_WIDTH = 200  # how many entries of a container are looked at


class Names:
    """Names of tensors and modules, by identity; the first name found stays.

    Attributes
    ----------
    tensors, modules : `id` of the object -> its name.
    parameters : the tensors that some module counts among its parameters.
    """

    def __init__(self) -> None:
        self.tensors: dict[int, str] = {}
        self.modules: dict[int, str] = {}
        self.parameters: set[int] = set()
        self.found: list[Tensor] = []
        self._seen: set[int] = set()
        self._alive: list[Any] = []  # an id means something only while its object lives
        self._queue: list[tuple[int, int, int, str, Any]] = []
        self._order = itertools.count()

    def search_function(self, fn: Callable[..., Any], args: Sequence[Any]) -> None:
        """Name everything that a call `fn(*args)` can reach."""
        for name, value in _arguments(fn, args):
            self._push(name, value, 0)
        self._push("", fn, 0)
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
            elif isinstance(value, Module):
                self._add_module(name, value)
            for part, inner in _contents(value):
                self._push(_join(name, part), inner, depth + 1)

    def _add(self, name: str, tensor: Tensor) -> None:
        if id(tensor) not in self.tensors:
            self.tensors[id(tensor)] = name or f"tensor{len(self.found)}"
            self.found.append(tensor)

    def _add_module(self, name: str, module: Module) -> None:
        stack = [(name, module)]
        while stack:
            path, m = stack.pop()
            self.modules.setdefault(id(m), path or type(m).__name__)
            stack += [(_join(path, f".{key}"), child) for key, child in m._children.items()]
        for key, p in module.named_parameters():
            self._add(_join(name, f".{key}"), p)
            self.parameters.add(id(p))
        for key, b in module.named_buffers():
            self._add(_join(name, f".{key}"), b)


def _join(name: str, part: str) -> str:
    """`.attr` and `[i]` continue a name, a variable starts one, nothing keeps it."""
    if part and part[0] not in ".[":
        return part
    return name + part if name else part.removeprefix(".")


def _rank(value: Any) -> int | None:
    """How soon to look into a value; None for never."""
    if isinstance(value, (Tensor, Module)):
        return 0
    if isinstance(value, Optimizer):
        return 2
    if isinstance(value, (list, tuple, dict, functools.partial, types.MethodType)):
        return 1
    if isinstance(value, types.FunctionType):
        return None if value.__module__.startswith("tinygrad_rl.") else 1
    if isinstance(value, (type, types.ModuleType)) or not hasattr(value, "__dict__"):
        return None
    return 1


def _contents(value: Any) -> Iterator[tuple[str, Any]]:
    """Pairs (how the name goes on, object) of what a value holds, see `_join`."""
    if isinstance(value, Tensor):
        return
    if isinstance(value, Optimizer):
        yield from ((f".params[{i}]", p) for i, p in enumerate(value.params))
    elif isinstance(value, dict):
        yield from ((f"[{key!r}]", v) for key, v in itertools.islice(value.items(), _WIDTH))
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        for i, v in enumerate(itertools.islice(value, _WIDTH)):
            yield (f".{fields[i]}" if fields else f"[{i}]"), v
    elif isinstance(value, functools.partial):
        yield from _arguments(value.func, value.args)
        yield from value.keywords.items()
        yield "", value.func
    elif isinstance(value, types.MethodType):
        yield "", value.__self__
        yield "", value.__func__
    elif isinstance(value, types.FunctionType):
        yield from _variables(value)
    else:
        own = {"_parameters", "_buffers", "_children"} if isinstance(value, Module) else set()
        yield from ((f".{key}", v) for key, v in vars(value).items() if key not in own)


def _arguments(fn: Callable[..., Any], args: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    target = fn.forward if isinstance(fn, Module) else fn
    try:
        bound = inspect.signature(target).bind_partial(*args)
    except (TypeError, ValueError):
        yield from ((f"argument{i}", a) for i, a in enumerate(args))
        return
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((f"{name}[{i}]", v) for i, v in enumerate(value))
        else:
            yield name, value


def _variables(fn: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What the function closes over, and the globals that its code loads (inner functions' too)."""
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not bound yet
            continue
    codes = [fn.__code__]
    loaded: dict[str, None] = {}
    while codes:
        code = codes.pop()
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
        loaded |= {i.argval: None for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    yield from ((n, fn.__globals__[n]) for n in loaded if n in fn.__globals__)
