"""A run's policy as a file that needs none of this package: ONNX, C99, or arrays of NumPy.

    agent, config = load_agent(run_dir)
    policy = describe(agent, config.env_id)
    export(policy, "c", run_dir / "policy.c")

`policy.py` says what the policy is; each of the other files writes that down in one form.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ddpg.errors import UsageError
from ddpg.run import folder
from ddpg.run.export import c, npz, onnx
from ddpg.run.export.policy import Policy, describe
from ddpg.run.machine import check_writable
from tinygrad_rl import files

__all__ = ["FORMATS", "Format", "Policy", "check_destination", "describe", "export"]


class Format(NamedTuple):
    """A form in which a policy can be taken away.

    Attributes
    ----------
    encode : gives the bytes of the file.
    usage : gives the line that says how to use the file of this path.
    """

    encode: Callable[[Policy], bytes]
    usage: Callable[[Path], str]


FORMATS = {
    "onnx": Format(onnx.encode, onnx.usage),
    "c": Format(c.encode, c.usage),
    "npz": Format(npz.encode, npz.usage),
}
"""By the name that is also the ending of the file."""


def export(policy: Policy, name: str, path: Path) -> None:
    """Write a policy to a file, whole or not at all.

    Parameters
    ----------
    policy : as `describe` gives it.
    name : one of `FORMATS`.
    path : the file; what it held is replaced.

    Raises
    ------
    UsageError : if the package that writes this form is not installed; nothing is written.
    OSError : as from writing any file.
    """
    files.write_atomically(path, FORMATS[name].encode(policy))


def check_destination(path: Path, run_dir: Path) -> None:
    """See that an export can be written there, before the work.

    Raises
    ------
    UsageError : if it is a folder or a device, lies in no folder, is one of the run's own files, or
        the system refuses.
    """
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; --output takes a file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is a device or a pipe; --output takes a file")
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent} for the file")
        if folder.is_part(run_dir, path):
            raise UsageError(f"{path} is one of the run's own files: name another with --output")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    check_writable(path.parent)
