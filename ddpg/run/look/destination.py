"""Where a picture or a film goes: seen to be possible before the work."""

from collections.abc import Sequence
from pathlib import Path

from ddpg.errors import UsageError
from ddpg.run.machine import check_writable


def check_destination(path: Path, what: str, endings: Sequence[str]) -> None:
    """See that a file can be written there.

    Parameters
    ----------
    what : it becomes, for the message: "picture".
    endings : `.png` for instance, of which it must have one, in capitals or not.

    Raises
    ------
    UsageError : if it is a folder, lies in none, has another ending, or the system refuses.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --output takes a file")
    if path.suffix.lower() not in endings:
        allowed = " or ".join(endings)
        raise UsageError(
            f"a {what} ends in {allowed}: call it {path.stem}{endings[0]}, not {path.name}"
        )
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the {what}")
    check_writable(path.parent)
