"""`jit(function)`: trace once, compile, and from then on run the compiled form.

step = jit(step)
step(x, y)                            # traces and compiles; later calls run one Numba function
print(step.source())                  # that function, to be read
"""

import functools
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from tinygrad_rl.compiler.codegen import generate, render
from tinygrad_rl.compiler.passes import simplify
from tinygrad_rl.compiler.schedule import Plan, make_plan
from tinygrad_rl.compiler.source import Source
from tinygrad_rl.core import FlagChanges, Node, Tensor, caller, mode, storage_of, wrap
from tinygrad_rl.core import Plan as GradPlan
from tinygrad_rl.kernels.cache import load
from tinygrad_rl.names import tensors_in
from tinygrad_rl.program import Program, Trace, TraceError, trace

Address = int


class CacheInfo(NamedTuple):
    """How often a jitted function was called and traced, and why each time."""

    hits: int
    traces: int
    reasons: tuple[str, ...]


def jit(function: Callable[..., Any]) -> "Jitted":
    """Compile a function of tensors: forward, backward and updates become one Numba function.

    The first call with arguments of new shapes, dtypes or gradient flags runs the function once to see
    which ops it calls, undoes what that run changed, and compiles. Tensors that the function uses from
    outside (parameters, moments, a replay buffer) are used by reference and updated in place. Python
    numbers, strings and other objects among the arguments are constants: another value is traced anew.
    What else the function does in Python (printing, counting, appending) happens only while tracing.

    Parameters
    ----------
    function : takes and returns tensors, also in tuples, lists and dicts; NumPy arrays may be passed.

    Raises
    ------
    TraceError : at a call, when the function reads a number out of a traced tensor (`float(x)`,
        `if x > 0`); everything is left as it was.
    """
    return Jitted(function)


class Jitted:
    """A function and its compiled forms, one for each kind of arguments and flags."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._entries: dict[Any, list[_Compiled]] = {}
        self._last: _Compiled | None = None
        self._keys: list[Any] = []
        self._reasons: list[str] = []
        self._hits = 0
        self._lock = threading.RLock()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if mode.observers:
            # Whoever watches ops (another trace, a FLOP count, an explanation) wants to see them.
            return self._function(*args, **kwargs)
        args, kwargs = _as_tensors(args), _as_tensors(kwargs)
        key = (mode.grad, _signature(args), _signature(kwargs) if kwargs else ())
        with self._lock:
            compiled = next((c for c in self._entries.get(key, ()) if c.fits()), None)
            if compiled is None:
                compiled = self._compile(key, args, kwargs)
            else:
                self._hits += 1
            self._last = compiled
            return compiled.run(tensors_in((args, kwargs)) if kwargs else tensors_in(args))

    def _compile(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "_Compiled":
        known = self._entries.get(key, [])
        reason = "first call"
        if known:
            reason = known[-1].why_not()
        elif self._keys:
            reason = _difference(self._keys[-1], key)
        compiled = _Compiled(trace(self._function, args, kwargs))
        self._entries.setdefault(key, []).append(compiled)
        self._keys.append(key)
        self._reasons.append(reason)
        return compiled

    def cache_info(self) -> CacheInfo:
        """Calls that found a compiled form, traces, and the reason of each trace."""
        return CacheInfo(self._hits, len(self._reasons), tuple(self._reasons))

    def source(self) -> str:
        """The generated function that the last call ran; the very file that Numba compiled."""
        return self._latest().text

    def program(self) -> Program:
        """The traced program of the last call, before any pass."""
        return self._latest().trace.program

    def plan(self) -> Plan:
        """What the compiler made of it: the simplified program, its steps and their memory."""
        return self._latest().plan

    def _latest(self) -> "_Compiled":
        if self._last is None:
            raise RuntimeError("nothing is compiled yet: call the function once")
        return self._last


# -- arguments ---------------------------------------------------------------------------------------


def _as_tensors(tree: Any) -> Any:
    if isinstance(tree, np.ndarray):
        return wrap(np.asarray(tree))
    if type(tree) is tuple:
        return tuple([_as_tensors(v) for v in tree])
    if type(tree) is list:
        return [_as_tensors(v) for v in tree]
    return {k: _as_tensors(v) for k, v in tree.items()} if type(tree) is dict else tree


def _signature(tree: Any) -> Any:
    """What of an argument selects the compiled form."""
    kind = type(tree)
    if kind is Tensor:
        return tree._array.shape, tree._array.dtype, tree._flag
    if kind in (tuple, list):
        return (kind, *[_signature(v) for v in tree])
    if kind is dict:
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
    for k, (a, b) in enumerate(zip(old[1][1:], new[1][1:], strict=False)):
        if a != b:
            return f"argument {k}: {_shown(a)} -> {_shown(b)}"
    return "other arguments"


def _shown(spec: Any) -> str:
    if isinstance(spec, tuple) and len(spec) == 3 and isinstance(spec[1], np.dtype):
        return f"{spec[1]}{list(spec[0])}{' requires_grad' if spec[2] else ''}"
    return str(spec[1]) if isinstance(spec, tuple) and len(spec) == 2 else str(spec)


# -- one compiled form -------------------------------------------------------------------------------


class _Compiled:
    """A compiled function with its memory, ready to run."""

    def __init__(self, traced: Trace) -> None:
        self.trace = traced
        _refuse_overlaps(traced.program)
        self.plan = make_plan(simplify(traced.program))
        source = generate(self.plan)
        self.text = render(source)
        kernels = {
            name: njit(kernel, error_model="numpy", nogil=True)
            for name, kernel in source.kernels.items()
        }
        module = load(self.text, f"jit_{traced.program.name}", kernels)
        self._function = getattr(module, traced.program.name)
        self._flags_seen = FlagChanges.count
        self._lay_out(source)
        self._outputs = [self._reader(v) for v in self.plan.program.outputs]
        self._tensors = [t for t in tensors_in(traced.result)]
        kept = iter(self.plan.program.outputs[len(self._tensors) :])
        self._grads = [
            (leaf, None if v is None else self._kept(next(kept))) for leaf, v in traced.grads
        ]
        self._written = [
            storage_of(s.tensor) for s, _ in traced.program.writes if s.tensor is not None
        ]

    def _lay_out(self, source: Source) -> None:
        """Give every block of memory its address; arguments get theirs at each call."""
        self._memory = np.zeros(len(source.blocks), np.int64)
        self._shared = np.empty(self.plan.size + 64, np.uint8)
        self._arguments: list[tuple[int, int]] = []
        self._arrays: dict[Any, np.ndarray[Any, Any]] = {}
        for n, (kind, what) in enumerate(source.blocks):
            if kind == "input":
                self._arguments.append((n, self.trace.program.inputs.index(what)))
            elif kind == "state":
                self._memory[n] = what.tensor._array.ctypes.data
            elif kind == "shared":
                self._memory[n] = -(-self._shared.ctypes.data // 64) * 64
            else:
                count = sum(1 for v in self.plan.program.outputs if not v.shape and v.dtype == what)
                array = (
                    np.empty(count, what) if kind == "scalars" else np.empty(what.shape, what.dtype)
                )
                self._arrays[what] = array
                self._memory[n] = array.ctypes.data

    def _reader(self, v: Any) -> Callable[[], np.ndarray[Any, Any]]:
        """How to get a fresh array with an output's numbers."""
        if v.shape:
            return self._arrays[v].copy
        same = [o for o in self.plan.program.outputs if not o.shape and o.dtype == v.dtype]
        array, k = self._arrays[v.dtype], same.index(v)
        return array[k : k + 1].reshape(()).copy

    def _kept(self, v: Any) -> Tensor:
        """A gradient that stays in its place: every call overwrites it."""
        if v.shape:
            return wrap(self._arrays[v])
        same = [o for o in self.plan.program.outputs if not o.shape and o.dtype == v.dtype]
        return wrap(self._arrays[v.dtype][same.index(v) :][:1].reshape(()))

    def fits(self) -> bool:
        """Whether flags and gradients are as they were when this form was traced."""
        if self._flags_seen != FlagChanges.count:
            if any(t._flag is not flag for t, flag in self.trace.flags):
                return False
            self._flags_seen = FlagChanges.count
        return all(leaf._grad is before for leaf, before in self.trace.grads_read)

    def why_not(self) -> str:
        """Which flag or gradient differs."""
        names = {
            id(v.tensor): v.name for v in [*self.trace.program.inputs, *self.trace.program.states]
        }
        for t, flag in self.trace.flags:
            if t._flag is not flag:
                return f"requires_grad of {names.get(id(t), 'a tensor')}: {flag} -> {t._flag}"
        for leaf, before in self.trace.grads_read:
            if leaf._grad is not before:
                return f"another .grad of {names.get(id(leaf), 'a tensor')} than when it was traced"
        return "other arguments"

    def run(self, tensors: list[Tensor]) -> Any:
        """Run on these arguments; the result has the form of the function's own."""
        alive = []
        for block, k in self._arguments:
            array = tensors[k]._array
            if not array.flags.c_contiguous:
                array = np.ascontiguousarray(array)
                alive.append(array)
            self._memory[block] = array.ctypes.data
        self._function(self._memory)
        if self._written:
            where = caller()
            for storage in self._written:
                storage.version += 1
                storage.changed = where
        for leaf, gradient in self._grads:
            object.__setattr__(leaf, "_grad", gradient)
        return _rebuild(self.trace.result, self._results())

    def _results(self) -> Iterator[Tensor]:
        for before, read in zip(self._tensors, self._outputs, strict=False):
            out = wrap(read())
            if before._flag:
                object.__setattr__(out, "_node", _boundary(before))
                object.__setattr__(out, "_flag", True)
            yield out


def _rebuild(tree: Any, tensors: Iterator[Tensor]) -> Any:
    if isinstance(tree, Tensor):
        return next(tensors)
    if isinstance(tree, dict):
        return {k: _rebuild(v, tensors) for k, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_rebuild(v, tensors) for v in tree))
    if isinstance(tree, (list, tuple)):
        return type(tree)(_rebuild(v, tensors) for v in tree)
    return tree


def _refuse_overlaps(program: Program) -> None:
    """Two tensors on one memory, one of them written: the order of reads and writes would be lost."""
    written = {id(state) for state, _ in program.writes}
    spans = sorted(
        (v.tensor._array.__array_interface__["data"][0], v.nbytes, v)
        for v in program.states
        if v.tensor is not None and v.nbytes
    )
    for (start, size, a), (after, _, b) in zip(spans, spans[1:], strict=False):
        if after < start + size and (id(a) in written or id(b) in written):
            raise TraceError(
                f"{a.name} and {b.name} share memory and one of them is written inside a jitted "
                "function: use one of the two only, or a copy()"
            )


def _stop(g: Tensor) -> Tensor:
    raise RuntimeError(
        "this gradient would have to go back through a jitted function, which keeps no history: call "
        "backward() inside it, or detach() its result"
    )


class _Ended:
    """Stands in the place of an op at the end of a result's history."""

    name = "jitted"


def _boundary(out: Tensor) -> Node:
    """History that says where it ends, for a result that would have had one."""
    node = Node()
    node.op, node.params = _Ended, {}  # type: ignore[assignment]
    node.plan = GradPlan((0,), ((_stop, ("g",)),), (), False, ())
    node.parents = (out,)
    node.saved = node.versions = ()
    node.output = node.shapes = node.hooks = node.released = node.unflagged = None
    node.shape, node.dtype, node.sequence, node.where = out.shape, out.dtype, 0, None
    return node
