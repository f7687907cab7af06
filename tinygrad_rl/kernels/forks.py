"""A fork, or the process's end, while other threads compile: it waits for them.

A child process has a copy of everything but the other threads: a lock that one of them held is
locked for ever, and what it was changing stays half-changed. LLVM, Numba and Python's import are
not made to be left like that, so no child is made while they compile, for us or others. At the end
Python stops daemon threads wherever they are, and LLVM inside one would read what is gone.
"""

import atexit
import os
import sys
import threading
from functools import cached_property

from llvmlite.binding import ffi
from numba.core.compiler_lock import global_compiler_lock

compiling = threading.RLock()
"""Held by a thread that loads compiled code, writing and compiling it first where needed."""


def _wait() -> None:
    # In the order in which they are taken: who loads compiles, who compiles calls LLVM.
    compiling.acquire()
    global_compiler_lock.acquire()
    ffi.lib._lock.__enter__()


def _go_on() -> None:
    ffi.lib._lock.__exit__(None, None, None)
    global_compiler_lock.release()
    compiling.release()


def _go_on_in_child() -> None:
    _go_on()
    if sys.version_info < (3, 12):  # where one lock guards a property of all objects
        package = __name__.partition(".")[0]
        modules = [m for name, m in sys.modules.items() if name.partition(".")[0] == package]
        classes = {c for m in modules for c in vars(m).values() if isinstance(c, type)}
        for member in [v for c in classes for v in vars(c).values()]:
            if isinstance(member, cached_property):
                member.lock = threading.RLock()  # type: ignore[attr-defined]


def _end() -> None:
    _wait()
    _go_on()  # an atexit function of the user's may still wait for a thread of its own


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_go_on_in_child)
