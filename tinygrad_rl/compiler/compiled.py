"""One compiled form of a function: its memory, its arguments, and what a call leaves behind.

    compiled = Compiled(trace(function, args))
    compiled.run(tensors)                 # what the function would have returned

Everything that can be prepared is prepared when it is made: a call copies small arguments, runs the
Numba function, and counts what was written.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.lib.array_utils import byte_bounds

from tinygrad_rl.compiler.codegen import generate, render
from tinygrad_rl.compiler.guards import Reason, TraceError
from tinygrad_rl.compiler.passes import simplify
from tinygrad_rl.compiler.program import Program, Value
from tinygrad_rl.compiler.schedule import make_plan
from tinygrad_rl.compiler.source import Source
from tinygrad_rl.compiler.tracing import Outside, Result, Trace
from tinygrad_rl.core import (
    Changes,
    Tensor,
    caller,
    common_writer,
    end_of_history,
    frozen_anywhere,
    set_grad,
    storage_of,
    wrap,
)
from tinygrad_rl.kernels import gemm
from tinygrad_rl.kernels.cache import load, release
from tinygrad_rl.kernels.pool import Pooled, get_num_threads
from tinygrad_rl.spelling import kind
from tinygrad_rl.tree import leaves, prepared

Array = np.ndarray[Any, Any]

_NO_HISTORY = (
    "this gradient would have to go back through a jitted function, which keeps no history: "
    "call backward() inside it, or detach() its result"
)

_SMALL = 1 << 15
"""Bytes up to which an argument is copied: cheaper than its address and what it overlaps."""


class Compiled:
    """A compiled function with its memory, ready to run."""

    def __init__(self, traced: Trace) -> None:
        self.trace = traced
        _check_result(traced.result)
        _refuse_overlaps(traced.program)
        self.plan = make_plan(simplify(traced.program), get_num_threads())
        source = generate(self.plan)
        self.text = render(source)
        kernels = {
            name: njit(kernel, error_model="numpy", nogil=True)
            for kernel, name in source.kernels.items()
        }
        for dtype in source.products:
            gemm.install(dtype)
        self._module = load(self.text, f"jit_{traced.program.name}", kernels)
        self.used = 0  # set by whoever calls: when this was
        self._function = getattr(self._module, source.function)
        if self.plan.parts:  # the results are left in a phase of their own
            phases = len(self.plan.phases) + 1
            self._function = Pooled(self._function, phases, self.plan.parts)
        self.file = Path(str(self._module.__file__))
        self._changes_seen = -1
        self._quick = traced.guards.quick
        self._lay_out(source)
        self._place_results()
        self._writes = _Writes(traced)
        self._lent = [lent for v in traced.program.states if (lent := _Lent.of(v))]
        self._build = prepared(traced.result, Result, self._result)

    def _lay_out(self, source: Source) -> None:
        """Give every block of memory its address; arguments get theirs at each call."""
        self._memory = np.zeros(len(source.blocks), np.int64)
        self._address = self._memory.ctypes.data
        self._shared = np.empty(self.plan.size + 64, np.uint8)
        self._inputs: list[tuple[int, int]] = []  # block, number of the input
        self._staged: list[tuple[Array, int]] = []  # where a small input is copied to, its number
        written = {s for s, _ in self.trace.program.writes}
        self._arrays: dict[Any, Array] = {}
        for n, (sort, what) in enumerate(source.blocks):
            if isinstance(what, Value) and sort == "input":
                k = self.trace.program.inputs.index(what)
                if what.nbytes <= _SMALL and what not in written:
                    self._staged.append((np.empty(what.shape, what.dtype), k))
                    self._memory[n] = self._staged[-1][0].ctypes.data
                else:
                    self._inputs.append((n, k))
            elif isinstance(what, Value) and sort == "state":
                self._memory[n] = what.array.ctypes.data
            elif sort == "shared":
                self._memory[n] = -(-self._shared.ctypes.data // 64) * 64
            else:
                shape = what.shape if isinstance(what, Value) else (len(self._scalars(what)),)
                dtype = what.dtype if isinstance(what, Value) else what
                self._arrays[what] = np.empty(shape, dtype)
                self._memory[n] = self._arrays[what].ctypes.data

    def _scalars(self, dtype: Any) -> list[Value]:
        """The 0-d outputs of a dtype, which share one array."""
        return [v for v in self.plan.program.outputs if not v.shape and v.dtype == dtype]

    def _array_of(self, v: Value) -> Array:
        if v.shape:
            return self._arrays[v]
        return self._arrays[v.dtype][self._scalars(v.dtype).index(v) :][:1].reshape(())

    def _place_results(self) -> None:
        """Where each result and each gradient is found after a call."""
        final = dict(zip(self.trace.program.outputs, self.plan.program.outputs, strict=True))
        self._results = {v: self._array_of(final[v]) for v in self.trace.program.outputs}
        self._grads: list[tuple[Outside, Any]] = []
        self._kept_grads: list[tuple[Tensor, Tensor]] = []
        placed: set[Value] = set()
        for leaf, g in self.trace.grads:
            left: Any = self._results[g] if isinstance(g, Value) else g
            if isinstance(g, Value) and not isinstance(leaf, int) and final[g] not in placed:
                # A parameter's gradient stays in its place, and every call writes over it. Others
                # get copies: an argument's, and one that is equal to another leaf's.
                placed.add(final[g])
                self._kept_grads.append((leaf, wrap(left)))
            else:
                self._grads.append((leaf, left))

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Whether everything is as it was when this form was traced."""
        count = Changes.count
        if self._changes_seen != count or frozen_anywhere:
            if not self.trace.guards.hold():
                return False
            self._changes_seen = -1 if frozen_anywhere else count  # -1: others see other flags
        else:
            try:
                held = self._quick()
            except Exception:  # a place is gone
                held = False
            if not held and not self.trace.guards.hold():
                return False
        outer, themselves = self.trace.outer, self.trace.themselves
        for k, t in enumerate(tensors):
            if id(t) in outer or themselves.get(k, t) is not t:
                return False
        for leaf in self.trace.absent:  # loops are quicker than all(...)
            if _found(leaf, tensors).accumulated is not None:
                return False
        for leaf in self.trace.incoming:  # noqa: SIM110 (as above)
            if _found(leaf, tensors).accumulated is None:
                return False
        return True

    def why_not(self, tensors: Sequence[Tensor]) -> Reason:
        """What differs: a place in Python, a flag, a gradient."""
        program, incoming, absent = self.trace.program, self.trace.incoming, self.trace.absent
        names = {id(v.tensor): v.name for v in [*program.inputs, *program.states]}
        for leaf, v in zip(incoming[::-1], program.inputs[::-1], strict=False):
            names.setdefault(id(leaf), v.name.removeprefix("grad_"))
        if place := self.trace.guards.changed():
            return place.reason()
        if setting := self.trace.guards.changed_setting():
            t, what, before, now = setting
            return Reason(f"{what} of {names.get(id(t), 'a tensor')}", str(before), str(now))
        for k, t in enumerate(tensors):
            if id(t) in self.trace.outer:
                return Reason(f"argument {k} is {names.get(id(t), 'a tensor')} from outside")
            if self.trace.themselves.get(k, t) is not t:
                return Reason(f"argument {k} is not the tensor from outside that it was")
        for asked, was in ((absent, "None"), (incoming, "there")):
            for leaf in asked:
                if (_found(leaf, tensors).accumulated is None) != (was == "None"):
                    known = names.get(id(leaf), "a leaf")
                    name = f"argument {leaf}" if isinstance(leaf, int) else known
                    return Reason(f".grad of {name}: {was} when it was traced")
        return Reason("other arguments")

    def release(self) -> None:
        """Give its code back, which is not run again."""
        release(self._module)

    def run(self, tensors: list[Tensor]) -> Any:
        """Run on these arguments; the result has the form of the function's own."""
        given: list[Any] = tensors
        if self.trace.incoming:
            given = [*tensors, *[_found(leaf, tensors).accumulated for leaf in self.trace.incoming]]
        for lent in self._lent:
            lent.check()
        for buffer, k in self._staged:
            array = given[k]._array
            if self._writes.may_touch(array):
                self._writes.check(given, (k,))
            buffer[...] = array
        copies = self._point_to(given) if self._inputs else ()
        try:
            self._function(self._address)
        finally:  # an index out of range comes when something may be written already
            self._writes.count(given)
        for k, array, copy in copies:
            if k in self._writes.inputs:
                array[...] = copy
        self._leave_grads(tensors)
        for leaf, flag in self.trace.new_flags:
            _found(leaf, tensors).requires_grad = flag
        return self._build(tensors)

    def _point_to(self, given: Sequence[Tensor]) -> list[tuple[int, Array, Array]]:
        """Give the function the addresses of its large arguments, or of copies it can read."""
        self._writes.check(given, [k for _, k in self._inputs])
        copies = []
        for block, k in self._inputs:
            array = given[k]._array
            if not (array.flags.c_contiguous and array.flags.aligned):
                copies.append((k, array, array := np.array(array, order="C")))
            self._memory[block] = array.ctypes.data
        return copies

    def _leave_grads(self, tensors: Sequence[Tensor]) -> None:
        """Set the `.grad` of leaves as the function would have."""
        for parameter, kept in self._kept_grads:
            if kept.storage is not None:
                kept.storage.wrote(None)
            if parameter.accumulated is not kept:
                set_grad(parameter, kept)
        for leaf, g in self._grads:
            if isinstance(g, int):
                g = tensors[g]
            elif isinstance(g, np.ndarray):
                g = wrap(g.copy())
            set_grad(_found(leaf, tensors), g)

    def _result(self, r: Result) -> Callable[[Sequence[Tensor]], Tensor]:
        if r.value is None:
            assert r.outside is not None
            outside = r.outside
            return lambda tensors: _found(outside, tensors)
        array = self._results[r.value]
        if not r.flag:
            return lambda tensors: wrap(array.copy())
        return lambda tensors: end_of_history(array.copy(), "jitted", _NO_HISTORY)


def _found(outside: Outside, tensors: Sequence[Tensor]) -> Tensor:
    return tensors[outside] if isinstance(outside, int) else outside


def _check_result(tree: Any) -> None:
    for leaf in leaves(tree):
        if not isinstance(leaf, (Result, int, float, str, type(None))):
            raise TypeError(
                "a jitted function returns tensors, numbers, strings, None, or lists, tuples and "
                f"dicts of them, not {type(leaf).__name__}, which would be the one of the first "
                "call forever"
            )


class _Writes:
    """What memory a compiled function writes to; no argument may lie in it by another name."""

    def __init__(self, traced: Trace) -> None:
        program = traced.program
        states = [s for s, _ in program.writes if s.kind == "state"]
        storages = {
            id(s): s for s in (storage_of(v.tensor) for v in states if v.tensor is not None)
        }
        self._writer = common_writer([*storages.values()]) if storages else None
        self.inputs = {program.inputs.index(s) for s, _ in program.writes if s.kind == "input"}
        self.ranges = sorted((*_bounds(s), s.name) for s in states if s.nbytes)
        self._starts = [first for first, _, _ in self.ranges]
        self._read = sorted((*_bounds(v), v.name) for v in program.states if v.nbytes)
        self._names = [v.name for v in program.inputs]
        owners = [_owner(s.array) for s in states]
        self._owners = {id(owner) for owner in owners}
        # Memory that is not NumPy's own may come under another name: only addresses tell.
        self._foreign = not all(map(_is_numpys, owners))
        if self.inputs and not self.ranges:
            self.ranges = [(0, 0, "")]

    def may_touch(self, array: Array) -> bool:
        """Whether an array might lie in memory that is written: a quick look at who owns it."""
        if self._foreign:
            return True
        owner = array if array.flags.owndata else array.base
        return id(owner) in self._owners or not _is_numpys(owner)

    def check(self, given: Sequence[Tensor], positions: Sequence[int]) -> None:
        """Refuse arguments that share memory with what is written under another name."""
        if not self.ranges:
            return
        for k in positions:
            array = given[k]._array
            first, last = array.ctypes.data, array.ctypes.data + array.nbytes
            if not array.flags.c_contiguous:
                first, last = byte_bounds(array)
            n = bisect_left(self._starts, last)
            if n and self.ranges[n - 1][1] > first and array.nbytes:
                raise _shared(self._names[k], self.ranges[n - 1][2])
            if k in self.inputs:
                if not array.flags.writeable:
                    raise RuntimeError(f"{self._names[k]} is read-only and can't be written to")
                others = [(self._names[i], o._array) for i, o in enumerate(given) if i != k]
                for name, other in others:
                    if np.may_share_memory(array, other):
                        raise _shared(self._names[k], name)
                for low, high, name in self._read:
                    if low < last and first < high:
                        raise _shared(self._names[k], name)

    def count(self, given: Sequence[Tensor]) -> None:
        """Count the writes, so that a gradient that needs the old values is refused."""
        where = caller()
        if self._writer is not None:
            self._writer.wrote(where)
        for k in self.inputs:
            storage_of(given[k]).wrote(where)


def _owner(array: Array) -> Any:
    """What the array's memory belongs to: the last array, or what that was made on."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    return owner


def _is_numpys(owner: Any) -> bool:
    """Whether this is an array that NumPy has allocated, so that nothing else lies in it."""
    return type(owner) is np.ndarray and owner.flags.owndata


class _Lent(NamedTuple):
    """Memory of a state whose owner may close or move it, such as a mapped file."""

    name: str
    owner: Any
    place: tuple[int, int]

    @classmethod
    def of(cls, v: Value) -> "_Lent | None":
        """The memory of this state, if it is such."""
        owner = _owner(v.array)
        if isinstance(owner, np.ndarray):
            return None
        try:
            return cls(v.name, owner, _place(owner))
        except (TypeError, ValueError, BufferError):  # it does not lend by Python's rules
            return None

    def check(self) -> None:
        """Refuse to go on when it is not there any more: machine code would crash."""
        try:
            there = _place(self.owner) == self.place
        except (ValueError, BufferError):
            there = False
        if not there:
            raise RuntimeError(
                f"the memory of {self.name} belongs to {kind(self.owner)} that was closed or moved "
                "since the jitted function was compiled: make the tensor anew, and jit the "
                "function again"
            )


def _place(owner: Any) -> tuple[int, int]:
    """Address and size of what an object lends by Python's buffer protocol."""
    array = np.frombuffer(owner, np.uint8)
    return array.ctypes.data, array.nbytes


def _bounds(v: Value) -> tuple[int, int]:
    low, high = byte_bounds(v.array)
    return int(low), int(high)


def _refuse_overlaps(program: Program) -> None:
    """Two tensors on one memory, one of them written: the order of accesses would be lost."""
    written = {state for state, _ in program.writes}
    spans = sorted(((*_bounds(v), v) for v in program.states if v.nbytes), key=lambda s: s[:2])
    for k, (low, _, v) in enumerate(spans):
        for _, end, other in spans[:k]:
            if end > low and (v in written or other in written):
                raise _shared(other.name, v.name)


def _shared(a: str, b: str) -> TraceError:
    return TraceError(
        f"{a} and {b} share memory and one of them is written inside a jitted function: use one of "
        "the two only, or a copy()"
    )
