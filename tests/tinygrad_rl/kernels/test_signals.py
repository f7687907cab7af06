"""Interrupted at whatever moment, compiling is finished, and the interrupt is never lost."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest

from tests.tinygrad_rl.kernels.cached import SOURCE, again, only, unload
from tinygrad_rl.kernels import cache, place
from tinygrad_rl.kernels.signals import signals_deferred

LLVM_CALLS = ("_raw_object_cache_notify", "_raw_object_cache_getbuffer")
"""The functions of llvmlite from which no exception comes back."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Ctrl-C raises as in any program, and what a test sets is gone after it."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def interrupted(when: Callable[[str], bool]) -> Iterator[None]:
    """Send Ctrl-C as soon as a function of Python is called of which that is true, once."""
    left = [None]

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and left and when(frame.f_code.co_name):
            left.pop()
            signal.raise_signal(signal.SIGINT)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
    assert not left


def check_interrupted(when: Callable[[str], bool]) -> None:
    """It raises, and what it was at is finished: the next one finds it in the cache."""
    unload()
    with pytest.raises(KeyboardInterrupt), interrupted(when):
        cache.load(SOURCE, "probe")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert again() is True and not place._given_up


def clear(folder: Path) -> None:
    """Let the kernel be compiled anew."""
    only(folder, "*.seal").unlink()


@pytest.mark.parametrize("name", [*LLVM_CALLS, "exec_module", "seal"])
def test_an_interrupt_while_a_function_is_compiled_is_not_lost(folder: Path, name: str) -> None:
    clear(folder)
    check_interrupted(lambda called: called == name)


@pytest.mark.parametrize("name", ["_raw_object_cache_getbuffer", "verified"])
def test_an_interrupt_while_it_is_loaded_is_not_lost(folder: Path, name: str) -> None:
    check_interrupted(lambda called: called == name)


@pytest.mark.slow
def test_nor_at_twenty_moments_of_compiling(folder: Path) -> None:
    calls: list[str] = []
    clear(folder)
    with suppress(AssertionError), interrupted(lambda called: calls.append(called) is not None):
        again()
    for moment in range(1, 21):
        clear(folder)
        left = iter(range(len(calls) * moment // 21))
        check_interrupted(lambda _, left=left: next(left, None) is None)


def test_an_interrupt_while_a_function_is_released_leaves_none_of_it(folder: Path) -> None:
    module = cache.load(SOURCE, "probe")
    with pytest.raises(KeyboardInterrupt), interrupted(lambda called: called == "forget"):
        cache.release(module)
    assert not [f for f in folder.rglob("*") if f.is_file()]
    assert again() is False


def test_who_was_interrupted_while_loading_has_nothing_to_release(folder: Path) -> None:
    with pytest.raises(KeyboardInterrupt), interrupted(lambda called: called == "exec_module"):
        cache.load(SOURCE, "probe")
    cache.release(cache.load(SOURCE, "probe"))
    assert not [f for f in folder.rglob("*") if f.is_file()]


# -- handlers --------------------------------------------------------------------------------------


def test_any_handler_runs_afterwards_once_with_a_frame() -> None:
    came: list[tuple[int, FrameType | None]] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: came.append((number, frame)))
    with signals_deferred():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert not came
    assert sorted(number for number, _ in came) == [signal.SIGINT, signal.SIGTERM]
    assert all(frame is not None for _, frame in came)
    signal.raise_signal(signal.SIGINT)
    assert len(came) == 3


def test_a_handler_that_raises_takes_nothing_from_the_others() -> None:
    def ends(number: int, frame: FrameType | None) -> None:
        raise SystemExit(number)

    signal.signal(signal.SIGTERM, ends)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as raised, signals_deferred():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    seen = {type(raised.value), type(raised.value.__context__)}
    assert seen == {SystemExit, KeyboardInterrupt}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is ends


def test_blocks_in_each_other_wait_for_the_outermost() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), signals_deferred():
        with signals_deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_an_error_inside_is_not_hidden_by_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt) as raised, signals_deferred():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("the fault")
    assert str(raised.value.__context__) == "the fault"
    with pytest.raises(ValueError, match="alone"), signals_deferred():
        raise ValueError("alone")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_no_function_of_python_stays_as_it_is(handler: signal.Handlers) -> None:
    signal.signal(signal.SIGTERM, handler)
    with signals_deferred():
        assert signal.getsignal(signal.SIGTERM) is handler


def test_a_handler_that_is_set_inside_stays() -> None:
    def other(number: int, frame: FrameType | None) -> None: ...

    with signals_deferred():
        signal.signal(signal.SIGINT, other)
    assert signal.getsignal(signal.SIGINT) is other


def test_another_thread_that_compiles_leaves_the_handlers_alone() -> None:
    inside, end = threading.Event(), threading.Event()

    def compiles() -> None:
        with signals_deferred():
            inside.set()
            end.wait()

    thread = threading.Thread(target=compiles)
    thread.start()
    inside.wait()
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        end.set()
        thread.join()
