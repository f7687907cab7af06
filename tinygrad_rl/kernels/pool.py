"""A thread pool that shares the work of one compiled function.

    run = Pooled(function, phases=4, parts=2)
    run(memory)                           # function(memory, phase, part) for all of both

A phase's parts may run at the same time, phases follow each other. Threads meet several times
a millisecond, too often for locks: each part of a phase is claimed by writing its number to memory.
The calling thread takes the first part, and then every part that nobody has claimed yet. So
nothing waits for a worker that is asleep, that has no core to run on, or that does not exist in a
process after `fork`: only what a worker has begun is waited for.

Which thread runs a part makes no difference to its result.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_rl.kernels.cache import load

_SIZE = ir.IntType(64)
_LINE = 16
"""Numbers between what two threads write to, so that they are not on one line of a cache."""
_OPEN, _FUNCTION, _MEMORY, _BASE, _FAILED, _TAKEN = 0, 1, 2, 3, 4, 5
"""Places in the control block: the phase that may be worked on (counted over all calls), the
function's address, its argument, the count when the call began, a part that failed, and whether a
call is under way."""
_CLAIMED, _DONE = _LINE, 2 * _LINE
"""Behind these, one number for each part: the phase that somebody took, and that is finished."""
_STRIDE = 2 * _LINE
_PATIENCE = 300
"""How often a worker that has nothing to do looks again before it falls asleep: about 0.2 ms."""


# At first all cores that this process may use.
_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_num_threads(n: int) -> None:
    """Let large compiled functions use up to `n` threads: all available cores by default.

    A function is divided when it is compiled, into as many parts as there are threads then; a
    smaller number holds at once. Results do not depend on it.

    Raises
    ------
    ValueError : for less than one.
    """
    global _threads
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"the number of threads must be an integer of at least 1, got {n!r}")
    _threads = n


def get_num_threads() -> int:
    """How many threads large compiled functions may use."""
    return _threads


# -- in machine code -------------------------------------------------------------------------------


def _place(context: Any, builder: Any, kind: Any, control: Any, index: Any) -> Any:
    data = cgutils.create_struct_proxy(kind)(context, builder, control).data
    return builder.gep(data, [index])


@intrinsic
def _read(typing_context, control, index):
    """What another thread wrote, with all that it had written before."""

    def codegen(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(control, types.int64), codegen


@intrinsic
def _publish(typing_context, control, index, value):
    def codegen(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments[:2])
        builder.store_atomic(arguments[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(control, types.int64, types.int64), codegen


@intrinsic
def _replace(typing_context, control, index, old, new):
    """Write `new` if `old` is still there; whether it was."""

    def codegen(context, builder, signature, arguments):
        place = _place(context, builder, signature.args[0], *arguments[:2])
        pair = builder.cmpxchg(place, *arguments[2:], "acq_rel", "acquire")
        return builder.zext(builder.extract_value(pair, 1), _SIZE)

    return types.int64(control, *[types.int64] * 3), codegen


@intrinsic
def _call(typing_context, function, memory, phase, part):
    """Run one part; whether it raised an exception."""
    arguments_ = (types.int64,) * 3

    def codegen(context, builder, signature, arguments):
        kind = context.call_conv.get_function_type(types.none, arguments_)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        status, _ = context.call_conv.call_function(
            builder, function, types.none, arguments_, arguments[1:]
        )
        return builder.zext(status.is_error, _SIZE)

    return types.int64(types.int64, *arguments_), codegen


@intrinsic
def _yield(typing_context):
    """Let another thread have the core, if one is ready to run."""

    def codegen(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, _YIELD), [])
        return context.get_dummy_value()

    return types.void(), codegen


_YIELD = "tinygrad_rl_yield"


@njit
def _claim(control, part, ticket):
    place = _CLAIMED + part * _STRIDE
    seen = _read(control, place)
    return seen < ticket and _replace(control, place, seen, ticket) == 1


@njit
def run(control, function, memory, phases, parts):
    """Run all phases; the number of a part that failed, counted through the phases, or -1.

    -2 when another thread's call is under way, and nothing is done. That this is found out here,
    and forgotten here at the end, is what an interrupted thread can't miss.
    """
    if not _replace(control, _TAKEN, 0, 1):
        return -2
    failed = -1
    base = _read(control, _OPEN)
    control[_FUNCTION], control[_MEMORY], control[_BASE] = function, memory, base
    control[_FAILED] = -1
    for phase in range(phases):
        ticket = base + phase + 1
        _publish(control, _OPEN, ticket)
        for part in range(parts):
            if _claim(control, part, ticket):
                if _call(function, memory, phase, part):
                    control[_FAILED] = part
                _publish(control, _DONE + part * _STRIDE, ticket)
        for part in range(1, parts):
            looks = 0
            while _read(control, _DONE + part * _STRIDE) < ticket:
                looks += 1
                if looks % 64 == 0:
                    _yield()
        if control[_FAILED] >= 0:
            failed = phase * parts + control[_FAILED]
            break
    _publish(control, _TAKEN, 0)
    return failed


@njit
def work(control, part):
    """Take this part of every phase that opens, until none has for a while."""
    seen, looks = 0, 0
    while looks < 64 * _PATIENCE:
        ticket = _read(control, _OPEN)
        if ticket > seen and _claim(control, part, ticket):
            phase = ticket - control[_BASE] - 1
            if _call(control[_FUNCTION], control[_MEMORY], phase, part):
                control[_FAILED] = part
            _publish(control, _DONE + part * _STRIDE, ticket)
            looks = 0
        seen = ticket
        looks += 1
        if looks % 64 == 0:
            _yield()


_SOURCE = """\
\"\"\"The thread pool of divided functions: see tinygrad_rl/kernels/pool.py.\"\"\"

from numba import int64, njit, void
from tinygrad_rl.kernels import pool


@njit(int64(int64[::1], int64, int64, int64, int64), cache=True, nogil=True)
def run(control, function, memory, phases, parts):
    return pool.run(control, function, memory, phases, parts)


@njit(void(int64[::1], int64), cache=True, nogil=True)
def work(control, part):
    pool.work(control, part)
"""


@cache
def _machine_code() -> Any:
    if sys.platform == "win32":
        switch = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        switch = ctypes.CDLL(None).sched_yield
    llvmlite.binding.add_symbol(_YIELD, ctypes.cast(switch, ctypes.c_void_p).value)
    return load(_SOURCE, "pool")


# -- threads ---------------------------------------------------------------------------------------


class _Workers:
    """The threads besides the calling one, for functions of so many parts."""

    def __init__(self, parts: int) -> None:
        self.control = _new_control(parts)
        # Released to wake a worker. No Event: a Ctrl-C inside one can leave it locked for ever.
        self.asleep = [threading.Lock() for _ in range(1, parts)]
        for part, asleep in enumerate(self.asleep, 1):
            asleep.acquire()
            name = f"tinygrad_rl part {part}"
            with suppress(RuntimeError):  # no more threads to be had: the work is done without
                threading.Thread(None, self._work, name, (part, asleep), daemon=True).start()

    def _work(self, part: int, asleep: threading.Lock) -> None:
        work = _machine_code().work
        while True:
            asleep.acquire()
            work(self.control, part)


_workers = cache(_Workers)
if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_workers.cache_clear)


def _new_control(parts: int) -> np.ndarray:
    """A control block: nothing open, nothing claimed."""
    return np.zeros(_DONE + parts * _STRIDE, np.int64)


class Pooled:
    """Calls a compiled function `f(memory, phase, part)` for every phase and part.

    Parameters
    ----------
    function : a compiled Numba function of three int64, with one signature.
    phases, parts : how many there are.
    """

    def __init__(self, function: Callable[..., None], phases: int, parts: int) -> None:
        self._function, self._phases, self._parts = function, phases, parts
        (result,) = function.overloads.values()  # type: ignore[attr-defined]
        name = result.fndesc.llvm_func_name
        self._address = result.library.get_pointer_to_function(name)

    def __call__(self, memory: int) -> None:
        """Run all of it; an exception in any part is raised, after that part's phase."""
        run, parts = _machine_code().run, self._parts
        count = min(get_num_threads(), parts) - 1
        failed = -2
        if count:
            workers = _workers(parts)
            for asleep in workers.asleep[:count]:
                if asleep.locked():
                    with suppress(RuntimeError):  # another call has been quicker
                        asleep.release()
            failed = run(workers.control, self._address, memory, self._phases, parts)
        if failed == -2:  # another thread has the workers: do it alone
            failed = run(_new_control(parts), self._address, memory, self._phases, parts)
        if failed >= 0:  # once more by way of Python, which then knows the exception
            self._function(memory, *divmod(failed, parts))
            raise RuntimeError("a part of a compiled function failed, and then did not")
