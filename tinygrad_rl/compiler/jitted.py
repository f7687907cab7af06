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
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rl.compiler.compiled import Compiled
from tinygrad_rl.compiler.guards import Reason, shown
from tinygrad_rl.compiler.plan import Plan
from tinygrad_rl.compiler.program import Program
from tinygrad_rl.compiler.tracing import trace
from tinygrad_rl.core import Size, Tensor, from_numpy, mode, warn
from tinygrad_rl.spelling import counted, misplaced
from tinygrad_rl.tree import contents, replaced, tensors_in


class CacheInfo(NamedTuple):
    """How often a jitted function was called and traced, and why each time.

    Attributes
    ----------
    hits : calls that found a compiled form.
    traces : calls that made one.
    reasons : why, of the last 1000 traces: `config.scale, train.py:12: 2.0 -> 3.0`.
    forms : how many compiled forms are kept.
    """

    hits: int
    traces: int
    reasons: tuple[str, ...]
    forms: int


MAX_FORMS = 64
"""How many compiled forms of a function are kept; a new one then takes the place of that which was
not used for longest."""

_REPEATED = 8
"""After so many traces in a row that one thing caused, a warning names it."""

_PLAIN = frozenset({int, bool, str, float, Size, type(None)})
"""What is compared by its value: of numbers with a point, by how it is written."""
_EXACT = frozenset({int, bool, str, type(None)})


def jit(function: Callable[..., Any]) -> "Jitted":
    """Compile a function of tensors: forward, backward and updates become one Numba function.

    The first call with arguments of new shapes, dtypes or gradient flags runs the function once to
    see which ops it calls, undoes what that run changed, and compiles. Tensors that the function
    uses from outside (parameters, moments, a replay buffer) are used by reference and updated in
    place. Everything else that it finds in Python is compared at each call: other arguments,
    globals, variables that it closes over, attributes, settings of modules and optimizers, hooks,
    NumPy arrays. What differs is traced anew, and `cache_info()` says what that was. What the
    function does in Python (printing, counting, appending) happens only when it is traced. What
    Python can't tell (a file, the clock) belongs to the trace; docs/what-jit-does.md has the whole
    list.

    At most 64 forms are kept. A value that makes a new one at each call is warned about once.

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
        a number out of a traced tensor (`float(x)`, `if x > 0`), draws random numbers, takes from
        an iterator, writes through a view. Everything is left as it was.
    IndexError : at a call, for an index out of range. Found while the compiled function runs: what
        was written to tensors from outside before it stays written.
    """
    if not callable(function) or isinstance(function, (type, Size)):
        raise misplaced("jit", "a function", function)
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"jit takes a plain function: {function.__name__!r} is run piece by piece")
    return Jitted(function)


class Jitted:
    """A function and its compiled forms, one for each kind of arguments and flags."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._entries: dict[Any, list[Compiled]] = {}
        self._last: Compiled | None = None
        self._last_key: Any = None  # of the arguments that were traced last
        self._reasons: deque[Reason] = deque(maxlen=1000)
        self._warned: set[str] = set()
        self._hits = self._traces = 0
        self._lock = threading.RLock()
        _jitted.add(self)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the compiled form for these arguments, made first where there is none yet."""
        key: tuple[Any, ...]
        if mode.observers:
            # Whoever watches ops (another trace, a FLOP count, an explanation) wants to see them.
            return self._function(*args, **kwargs)
        tensors: list[Tensor] = []
        of_args: list[Any] = [tuple]
        for argument in () if kwargs else args:
            kind = type(argument)
            if kind is Tensor:
                tensors.append(argument)
                of_args.append(_of_tensor(argument))
            elif kind in _EXACT:
                of_args.append((kind, argument))
            elif kind in _PLAIN:
                of_args.append((kind, repr(argument)))
            else:
                break
        if len(of_args) > len(args):  # the usual call: tensors, and settings beside them
            key = (mode.grad, tuple(of_args), ())
        else:
            args, kwargs = _as_tensors(args), _as_tensors(kwargs)
            tensors = tensors_in((args, kwargs))
            key = (mode.grad, _signature(args), _signature(kwargs) if kwargs else ())
        if len(tensors) > 1 and len({id(t) for t in tensors}) < len(tensors):
            tensors, pattern = _once(tensors)
            key = (*key, pattern)
        with self._lock:
            for compiled in self._entries.get(key, ()):
                if compiled.fits(tensors):
                    compiled.used = self._hits = self._hits + 1
                    if compiled is not self._last:  # to be looked at first from now on
                        self._entries[key].sort(key=lambda form: -form.used)
                    break
            else:
                compiled = self._compile(key, args, kwargs, tensors)
            self._last = compiled
            return compiled.run(tensors)

    def _compile(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]
    ) -> "Compiled":
        reason = Reason("first call")
        if key in self._entries:
            reason = self._entries[key][0].why_not(tensors)
        elif self._entries:
            reason = _difference(self._last_key, key, _parameters(self._function))
        compiled = Compiled(trace(self._function, args, kwargs))
        compiled.used = self._hits
        self._drop_oldest()
        forms = self._entries.get(key, ())
        self._entries[key] = [compiled, *[form for form in forms if form.trace.guards.usable]]
        for form in forms:
            if not form.trace.guards.usable:
                form.release()
        self._last_key = key
        self._traces += 1
        self._reasons.append(reason)
        self._warn_of_repetition()
        return compiled

    def _drop_oldest(self) -> None:
        """Make room for one more form."""
        forms = [(form.used, key, form) for key, forms in self._entries.items() for form in forms]
        if len(forms) < MAX_FORMS:
            return
        _, key, form = min(forms, key=lambda entry: entry[0])
        self._entries[key] = [kept for kept in self._entries[key] if kept is not form]
        if not self._entries[key]:
            del self._entries[key]
        form.release()

    def _warn_of_repetition(self) -> None:
        """Say once that the same thing makes a new form at each call."""
        last = list(self._reasons)[-_REPEATED:]
        what = last[-1].what
        if len(last) < _REPEATED or any(r.what != what for r in last) or what in self._warned:
            return
        self._warned.add(what)
        name = getattr(self, "__name__", "a jitted function")
        seen = ", ".join(r.now for r in last[-3:])
        values = "" if "another" in seen else f" ({seen})"
        warn(
            f"{name!r} was traced and compiled {_REPEATED} times in a row, because {what} was "
            f"another one each time{values}: {last[-1].remedy}"
        )

    def cache_info(self) -> CacheInfo:
        """Calls that found a compiled form, traces, and the reason of each trace."""
        forms = sum(map(len, self._entries.values()))
        return CacheInfo(self._hits, self._traces, tuple(map(str, self._reasons)), forms)

    def guards(self) -> tuple[str, ...]:
        """What the form of the last call relies on in Python: when it changes, it is traced anew.

        A line for each place: `self.config.tau, agent.py:163: 0.01`.
        """
        return tuple(map(str, self._latest().trace.guards.places))

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
    _refuse_attributes(tree)
    return replaced(tree, (np.ndarray, np.generic), lambda array: from_numpy(np.asarray(array)))


def _refuse_attributes(tree: Any) -> None:
    if isinstance(tree, (tuple, list, dict)):
        if names := ", ".join(map(str, getattr(tree, "__dict__", ()))):
            raise TypeError(
                f"an argument of type {type(tree).__name__} is made anew for a jitted function, "
                f"which would lose its attributes ({names}): pass these beside it"
            )
        for _, value in contents(tree):
            _refuse_attributes(value)


def _once(tensors: list[Tensor]) -> tuple[list[Tensor], tuple[int, ...]]:
    """Each tensor once, and which of them stands at which place."""
    once = {id(t): t for t in tensors}
    place = {key: k for k, key in enumerate(once)}
    return list(once.values()), tuple(place[id(t)] for t in tensors)


def _signature(tree: Any) -> Any:
    """What of an argument selects the compiled form."""
    kind = type(tree)
    if kind is Tensor:
        return _of_tensor(tree)
    if isinstance(tree, (tuple, list)):
        return (kind, *[_signature(v) for v in tree])
    if isinstance(tree, dict):
        return (kind, *[(_signature_of_key(k), _signature(v)) for k, v in tree.items()])
    if kind in _PLAIN:
        return kind, tree if kind in _EXACT else repr(tree)
    return kind, _Same(tree)


def _signature_of_key(key: Any) -> Any:
    return key if type(key) is str else (type(key), key)  # 1 and True are equal


def _of_tensor(t: Tensor) -> Any:
    # A result of an op is not treated as a leaf: gradients can't be left in it.
    array, leaf = t._array, t.node is None
    if t.hooks:
        return array.shape, array.dtype, t.requires_grad, leaf, *map(_Same, t.hooks)
    return array.shape, array.dtype, t.requires_grad, leaf


class _Same:
    """Any other object is itself, compared by identity and kept alive."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return id(self.thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing


def _difference(old: Any, new: Any, names: Sequence[str]) -> Reason:
    if old[0] != new[0]:
        return Reason("grad mode", str(old[0]), str(new[0]))
    if len(old[1]) != len(new[1]):
        return Reason("number of arguments", str(len(old[1]) - 1), str(len(new[1]) - 1))
    before, after = ({**dict(enumerate(key[1][1:])), **dict(key[2][1:])} for key in (old, new))
    for name in sorted({*before, *after}, key=lambda name: (isinstance(name, str), name)):
        a, b = before.get(name), after.get(name)
        if a != b:
            was, now = _shown(a), _shown(b)
            known = names[name] if isinstance(name, int) and name < len(names) else name
            return Reason(f"argument {known!r}", was, now if now != was else "another", _remedy(b))
    return Reason("the same tensor as several arguments")


def _parameters(function: Callable[..., Any]) -> list[str]:
    """The names of the arguments by position, as far as they are known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _remedy(spec: Any) -> str:
    """What to do about an argument that makes a new form at each call."""
    if spec is not None and len(spec) >= 4 and isinstance(spec[1], np.dtype):
        return "give it one of few shapes, by padding it"
    if spec is not None and spec[0] in (int, float, bool):
        return "pass a number that changes as a tensor"
    if spec is not None and isinstance(spec[-1], _Same) and callable(spec[-1].thing):
        return "make the function once, outside of the loop"
    return "pass the same object each time, or tensors"


def _shown(spec: Any) -> str:
    if spec is None:
        return "not given"
    if len(spec) >= 4 and isinstance(spec[1], np.dtype):
        flag = "" if not spec[2] else " requires_grad" if spec[3] else " with history"
        hooks = f" {counted(len(spec) - 4, 'hook')}" if spec[4:] else ""
        return f"{spec[1]}{list(spec[0])}{flag}{hooks}"
    if spec[0] in (int, bool, str, float, Size, type(None)):
        return repr(spec[1]) if spec[0] in _EXACT else str(spec[1])
    if len(spec) == 2 and isinstance(spec[1], _Same):
        return shown(spec[1].thing)
    if issubclass(spec[0], dict):
        return f"{{{', '.join(f'{k!r}: {_shown(v)}' for k, v in spec[1:])}}}"
    return f"({', '.join(_shown(v) for v in spec[1:])})"
