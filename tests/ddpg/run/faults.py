"""A disk that does not do what it is asked to, from a chosen operation on.

    with disk(run_dir) as done:                     # nothing goes wrong: what is asked of it
        train(...)
    with disk(run_dir, at=7, then=fail(ENOSPC)):    # the seventh operation fails, once
        train(...)

Only files below the folder are concerned; reading and asking go well.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

BY_PATH = ("replace", "rename", "mkdir", "unlink", "remove", "rmdir", "link")
BY_NUMBER = ("fsync", "fdatasync", "ftruncate", "close")
WRITES = ("pwrite", "write")
TAKES_SPACE = {"open", "mkdir", "link", *WRITES}

Fault = Callable[[int, str, "Write | None"], Any]
"""Given how many operations late it is, the operation, and, for one that writes, how to write a
part of the data: raises, ends the process, or returns what a short write returns."""


class Write:
    """A write that can be done in part."""

    def __init__(self, carry_out: Callable[[Any], int], data: Any) -> None:
        self._carry_out, self._data = carry_out, memoryview(data).cast("B")

    def half(self) -> int:
        return self._carry_out(self._data[: len(self._data) // 2])


def fail(number: int) -> Fault:
    """Once."""

    def fault(late: int, operation: str, write: Write | None) -> None:
        if late == 0:
            raise OSError(number, os.strerror(number))

    return fault


def short(late: int, operation: str, write: Write | None) -> int | None:
    """A write that does half of its work, and says so; the others are as they should be."""
    return write.half() if late == 0 and write is not None else None


def full(late: int, operation: str, write: Write | None) -> int | None:
    """No space left from here on: what was begun is done by half."""
    if late == 0 and write is not None:
        return write.half()
    if operation in TAKES_SPACE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return None


def kill(late: int, operation: str, write: Write | None) -> None:
    """The end of the process, in the middle of a write."""
    if write is not None:
        write.half()
    os._exit(77)


class _Disk:
    def __init__(self, folder: Path, at: int | None, then: Fault | None) -> None:
        self._folder = os.path.abspath(folder)
        self._at, self._then = at, then
        self._open: set[int] = set()
        self.done: list[str] = []

    def _is_ours(self, path: Any) -> bool:
        if isinstance(path, int):
            return path in self._open
        name = os.path.abspath(os.fsdecode(path))
        return name == self._folder or name.startswith(self._folder + os.sep)

    def count(self, operation: str, write: Write | None = None) -> Any:
        self.done.append(operation)
        late = len(self.done) - self._at if self._at is not None else -1
        return self._then(late, operation, write) if self._then and late >= 0 else None

    def by_path(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *more: Any, **named: Any) -> Any:
            if self._is_ours(path):
                self.count(name)
            return original(path, *more, **named)

        return call

    def by_number(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(number: int, *more: Any) -> Any:
            if number in self._open:
                if name == "close":
                    self._open.discard(number)
                    original(number)  # it is closed, whatever it says
                self.count(name)
                if name == "close":
                    return None
            return original(number, *more)

        return call

    def writes(self, name: str, original: Callable[..., int]) -> Callable[..., int]:
        def call(number: int, data: Any, *place: int) -> int:
            if number in self._open:
                part = Write(lambda some: original(number, some, *place), data)
                if (written := self.count(name, part)) is not None:
                    return written
            return original(number, data, *place)

        return call

    def os_open(self, original: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *more: Any, **named: Any) -> int:
            ours = self._is_ours(path)
            if ours:
                self.count("open")
            number = original(path, flags, *more, **named)
            if ours:
                self._open.add(number)
            return number

        return call

    def open(self, original: Callable[..., Any]) -> Callable[..., Any]:
        disk = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                if (written := disk.count("write", Write(super().write, data))) is not None:
                    return written
                return super().write(data)

            def close(self) -> None:
                told = not self.closed
                disk._open.discard(-1 if self.closed else self.fileno())
                super().close()
                if told:
                    disk.count("close")

        def call(path: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+") or isinstance(path, int) or not self._is_ours(path):
                return original(path, mode, *more, **named)
            opener = named.get("opener")
            if opener is None:
                self.count("open")
            raw = Raw(path, mode.replace("b", "").replace("t", ""), opener=opener)
            self._open.add(raw.fileno())  # for fsync and the like
            file = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return file if "b" in mode else io.TextIOWrapper(file, named.get("encoding"))

        return call


@contextmanager
def disk(folder: Path, at: int | None = None, then: Fault | None = None) -> Iterator[list[str]]:
    """What is asked of the disk inside; the operation `at`, from 1, and those after it are faulty.

    Gives the operations so far.
    """
    it = _Disk(folder, at, then)
    patches: dict[str, Any] = {"open": it.os_open(os.open)}
    patches |= {name: it.by_path(name, getattr(os, name)) for name in BY_PATH}
    patches |= {name: it.by_number(name, getattr(os, name)) for name in BY_NUMBER}
    patches |= {name: it.writes(name, getattr(os, name)) for name in WRITES}
    opened = it.open(builtins.open)
    with (
        mock.patch.multiple(os, **patches),
        mock.patch.object(builtins, "open", opened),
        mock.patch.object(io, "open", opened),
    ):
        yield it.done
