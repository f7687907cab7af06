"""`jit(function)`: trace once, compile, and from then on run the compiled form.

    step = jit(step)
    step(x, y)                            # traces and compiles; later calls run one Numba function
    print(step.source())                  # that function, to be read

Here is decided which compiled form fits a call; what one is made of stands in `compiled.py`.
"""

import functools
import inspect
import os
import threading
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl.compiler.compiled import Compiled
from tinygrad_rl.compiler.plan import Plan
from tinygrad_rl.compiler.program import Program
from tinygrad_rl.compiler.tracing import trace
from tinygrad_rl.core import Tensor, from_numpy, mode
from tinygrad_rl.tree import replaced, tensors_in


class CacheInfo(NamedTuple):
    """How often a jitted function was called and traced, and why each time."""

    hits: int
    traces: int
    reasons: tuple[str, ...]


def jit(function: Callable[..., Any]) -> "Jitted":
    """Compile a function of tensors: forward, backward and updates become one Numba function.

    The first call with arguments of new shapes, dtypes or gradient flags runs the function once to
    see which ops it calls, undoes what that run changed, and compiles. Tensors that the function
    uses from outside (parameters, moments, a replay buffer) are used by reference and updated in
    place. Python numbers, strings and other objects among the arguments are constants: another
    value is traced anew. What else the function does in Python (printing, counting, appending) and
    what it finds in other Python variables belongs to the trace: it happens, or is looked at, only
    then. So a parameter is changed with `assign_`, not by putting another tensor in its place.

    Gradients that a call leaves in the `.grad` of parameters stay there until the next call, which
    may write over them: copy one that you want to keep.

    Threads may call it at the same time: calls of one function take turns. Different functions that
    write to the same tensors don't, nor does a fork wait for what another thread is just writing:
    there a lock is yours to take. A fork does wait for another thread that compiles.

    Parameters
    ----------
    function : takes and returns tensors, also in tuples, lists and dicts; NumPy arrays may be
        passed, and count as tensors. Its results are new tensors without history.

    Raises
    ------
    TypeError : for a generator function or a coroutine; at a call, for a result that is neither a
        tensor nor a number, string or None.
    TraceError : at a call, when the function does what a straight line of ops can't hold: it reads
        a number out of a traced tensor (`float(x)`, `if x > 0`), draws random numbers, writes
        through a view. Everything is left as it was.
    IndexError : at a call, for an index out of range. Found while the compiled function runs: what
        was written to tensors from outside before it stays written.
    """
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"jit takes a plain function, {function.__name__!r} runs piece by piece")
    return Jitted(function)


class Jitted:
    """A function and its compiled forms, one for each kind of arguments and flags."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._entries: dict[Any, list[Compiled]] = {}
        self._last: Compiled | None = None
        self._last_key: Any = None  # of the arguments that were traced last
        self._reasons: list[str] = []
        self._hits = 0
        self._lock = threading.RLock()
        _jitted.add(self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled form for these arguments, made first where there is none yet."""
        if mode.observers:
            # Whoever watches ops (another trace, a FLOP count, an explanation) wants to see them.
            return self._function(*args, **kwargs)
        args, kwargs = _as_tensors(args), _as_tensors(kwargs) if kwargs else kwargs
        tensors = tensors_in((args, kwargs)) if kwargs else tensors_in(args)
        key: tuple[Any, ...] = (mode.grad, _signature(args), _signature(kwargs) if kwargs else ())
        if len(tensors) > 1 and len({id(t) for t in tensors}) < len(tensors):
            tensors, pattern = _once(tensors)
            key = (*key, pattern)
        with self._lock:
            for compiled in self._entries.get(key, ()):
                if compiled.fits(tensors):
                    self._hits += 1
                    break
            else:
                compiled = self._compile(key, args, kwargs, tensors)
            self._last = compiled
            return compiled.run(tensors)

    def _compile(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]
    ) -> "Compiled":
        reason = "first call"
        if key in self._entries:
            reason = self._entries[key][-1].why_not(tensors)
        elif self._entries:
            reason = _difference(self._last_key, key)
        compiled = Compiled(trace(self._function, args, kwargs))
        self._entries[key] = [*self._entries.get(key, ()), compiled]
        self._last_key = key
        self._reasons.append(reason)
        return compiled

    def cache_info(self) -> CacheInfo:
        """Calls that found a compiled form, traces, and the reason of each trace."""
        return CacheInfo(self._hits, len(self._reasons), tuple(self._reasons))

    def source(self) -> str:
        """The generated function that the last call ran; the very file that Numba compiled."""
        return self._latest().text

    def file(self) -> Path:
        """Where that file is."""
        return self._latest().file

    def program(self) -> Program:
        """The traced program of the last call, before any pass."""
        return self._latest().trace.program

    def plan(self) -> Plan:
        """What the compiler made of it: the simplified program, its steps and their memory."""
        return self._latest().plan

    def _latest(self) -> "Compiled":
        if self._last is None:
            raise RuntimeError("nothing is compiled yet: call the function once")
        return self._last

    def renew_lock(self) -> None:
        """Make a lock that nobody holds."""
        self._lock = threading.RLock()


_jitted: weakref.WeakSet[Jitted] = weakref.WeakSet()


def _renew_locks() -> None:
    """In a child process, where the threads that were inside do not exist."""
    for jitted in _jitted:
        jitted.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


# -- arguments -------------------------------------------------------------------------------------


def _as_tensors(tree: Any) -> Any:
    return replaced(tree, (np.ndarray, np.generic), lambda array: from_numpy(np.asarray(array)))


def _once(tensors: list[Tensor]) -> tuple[list[Tensor], tuple[int, ...]]:
    """Each tensor once, and which of them stands at which place."""
    once = {id(t): t for t in tensors}
    place = {key: k for k, key in enumerate(once)}
    return list(once.values()), tuple(place[id(t)] for t in tensors)


def _signature(tree: Any) -> Any:
    """What of an argument selects the compiled form."""
    kind = type(tree)
    if kind is Tensor:
        # A result of an op is not treated as a leaf: gradients can't be left in it.
        return tree._array.shape, tree._array.dtype, tree.requires_grad, tree.node is None
    if isinstance(tree, (tuple, list)):
        return (kind, *[_signature(v) for v in tree])
    if isinstance(tree, dict):
        return (kind, *[(k, _signature(v)) for k, v in tree.items()])
    if kind in (int, bool, str, float, type(None)):
        return kind, repr(tree)
    return kind, _Same(tree)


class _Same:
    """Any other object is itself, compared by identity and kept alive."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing

    def __repr__(self) -> str:
        return type(self.thing).__name__


def _difference(old: Any, new: Any) -> str:
    if old[0] != new[0]:
        return f"grad mode: {old[0]} -> {new[0]}"
    if len(old[1]) != len(new[1]):
        return f"number of arguments: {len(old[1]) - 1} -> {len(new[1]) - 1}"
    before, after = ({**dict(enumerate(key[1][1:])), **dict(key[2][1:])} for key in (old, new))
    for name in sorted({*before, *after}, key=lambda name: (isinstance(name, str), name)):
        a, b = before.get(name), after.get(name)
        if a != b:
            return f"argument {name}: {_shown(a)} -> {_shown(b)}"
    return "the same tensor as several arguments"


def _shown(spec: Any) -> str:
    if spec is None:
        return "not given"
    if len(spec) == 4 and isinstance(spec[1], np.dtype):
        flag = "" if not spec[2] else " requires_grad" if spec[3] else " with history"
        return f"{spec[1]}{list(spec[0])}{flag}"
    if spec[0] in (int, bool, str, float, type(None)):
        return str(spec[1])
    if len(spec) == 2 and isinstance(spec[1], _Same):
        return f"another {spec[1]!r}"
    if issubclass(spec[0], dict):
        return f"{{{', '.join(f'{k!r}: {_shown(v)}' for k, v in spec[1:])}}}"
    return f"({', '.join(_shown(v) for v in spec[1:])})"
