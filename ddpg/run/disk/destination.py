"""Where a picture, a film or an export goes: seen to be possible before the work."""

from collections.abc import Sequence
from pathlib import Path

from ddpg.errors import UsageError, with_article
from ddpg.run.disk import folder
from ddpg.run.machine import check_writable


def check_destination(
    path: Path, what: str, endings: Sequence[str] = (), flag: str = "--output"
) -> None:
    """See that a file can be written there, and that no run would miss what it replaces.

    Parameters
    ----------
    what : it becomes, for the message: "picture".
    endings : `.png` for instance, of which it must have one, in capitals or not; any by default.
    flag : what the path was given with, for the message.

    Raises
    ------
    UsageError : if it is a folder or a device, lies in no folder, has another ending, is one of a
        run's own files, or the system refuses.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; {flag} takes a file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is a device or a pipe; {flag} takes a file")
        if endings and path.suffix.lower() not in endings:
            allowed = " or ".join(endings)
            raise UsageError(
                f"{with_article(what)} ends in {allowed}: call it {path.stem}{endings[0]}, not "
                f"{path.name}"
            )
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} for the {what}")
        if folder.is_part(path):
            raise UsageError(f"{path} is one of the run's own files: name another with {flag}")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    check_writable(path.parent)
