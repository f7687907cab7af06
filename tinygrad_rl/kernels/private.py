"""Folders and files that nobody but the user can change.

    make_folder(path)                     # with mode 0700; ExposedError says who could change it
    data = read(path / "name")            # the bytes of a file that is the user's own

Code that is loaded from disk is only as good as the folder it lies in: whoever can write to that,
or put another one in its place, runs code as the user. On Windows, where the folders in a user's
profile are private, everything passes.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

try:
    import grp
    import pwd
except ImportError:  # Windows
    _POSIX = False
else:
    _POSIX = True

_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class ExposedError(PermissionError):
    """Somebody else could change what is there; the message says who, and what helps."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EPERM, reason)


def make_folder(path: Path) -> None:
    """Make a folder and its parents with mode 0700; what exists must be safe from other users.

    Parameters
    ----------
    path : an absolute path. Symbolic links are followed, and where they lie and lead is checked.

    Raises
    ------
    ExposedError : the folder belongs to another user, or its group or others can write to it; or
        another user could put something else in the place of a folder or link on the way there.
    OSError : as from making any folder.
    """
    if not _is_there(path):  # what is exposed is left as it was
        for folder in (*reversed(path.parents), path):
            if not folder.is_dir():
                with suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
        if not _is_there(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def read(path: Path) -> bytes:
    """The contents of a regular file that is the user's own and that only the user can write to.

    Raises
    ------
    ExposedError : it is something else: a pipe, another user's file, one that others can write to.
    OSError : it is a symbolic link or a folder, is not there, or cannot be read.
    """
    with path.open("rb") if not _POSIX else open(path, "rb", opener=_open_itself) as file:
        _check_file(path, file)
        return file.read()


def remove(path: Path) -> None:
    """Remove what is there, of whatever kind; links are not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _open_itself(path: str, flags: int) -> int:
    """Open without following a link, and without waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _check_file(path: Path, file: IO[bytes]) -> None:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ExposedError(f"{path} is no regular file")
    if _POSIX and (status.st_uid != os.geteuid() or status.st_mode & _OTHERS):
        raise ExposedError(f"{path} could have been written by another user")


def _is_there(path: Path) -> bool:
    """Whether the folder exists; what exists on the way to it is checked."""
    if not _POSIX:
        return path.is_dir()
    user = os.geteuid()
    folder, status = str(path), None
    try:
        for folder, status in _way(str(path)):
            if status.st_uid not in (user, _root()):
                raise ExposedError(_foreign(folder, status))
            if stat.S_ISDIR(status.st_mode) and _replaceable(status):
                raise ExposedError(_open_to_others(folder))
    except FileNotFoundError:
        return False
    assert status is not None
    if not stat.S_ISDIR(status.st_mode):
        raise ExposedError(f"{folder} is no folder")
    if status.st_uid != user:
        raise ExposedError(_foreign(folder, status))
    if status.st_mode & _OTHERS:
        raise ExposedError(_open_to_others(folder))
    return True


def _way(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every folder and symbolic link on the way to a path, where that leads comes last."""
    at, parts = os.sep, path.split(os.sep)[::-1]
    yield at, os.lstat(at)
    links = 0
    while parts:
        part = parts.pop()
        if part in ("", "."):
            continue
        if part == "..":
            at = os.path.dirname(at)
            continue
        step = os.path.join(at, part)
        status = os.lstat(step)
        yield step, status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > 40:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(step)
            at = os.sep if os.path.isabs(target) else at
            parts += target.split(os.sep)[::-1]
        else:
            at = step


def _replaceable(status: os.stat_result) -> bool:
    """Whether other users could put something else in the place of what is in this folder."""
    if status.st_mode & stat.S_ISVTX:  # as in /tmp: only who owns an entry can move it
        return False
    group = status.st_mode & stat.S_IWGRP and not _alone_in(status.st_gid)
    return bool(status.st_mode & stat.S_IWOTH or group)


@cache
def _alone_in(group: int) -> bool:
    """Whether it is the user's private group, for which some systems let new folders be open."""
    try:
        name, _, _, members = grp.getgrgid(group)
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    return name == user and not set(members) - {user}


@cache
def _root() -> int:
    """The system's own user: not 0 in a container that does not know the machine's root."""
    try:
        return os.stat("/proc").st_uid
    except OSError:
        return 0


def _foreign(path: str, status: os.stat_result) -> str:
    return f"{path} belongs to another user (uid {status.st_uid})"


def _open_to_others(path: str) -> str:
    return f"other users can write to {path} (chmod go-w {path} would keep them out)"
