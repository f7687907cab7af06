"""A file that one process holds at a time; the lock goes with the process, however that ends."""

from ddpg.errors import UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on this system
    fcntl = None  # type: ignore[assignment]


class LockedError(UsageError):
    """Another process is at work there."""


def take(file: int, said: str) -> None:
    """Hold an open file, by its descriptor, until it is closed.

    Where the file system knows no locks, there is none.

    Raises
    ------
    LockedError : in these words, if another process holds it.
    """
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LockedError(said) from error
    except OSError:
        return
