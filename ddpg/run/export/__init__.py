"""A run's policy as a file that needs none of this package: ONNX, C99, or arrays of NumPy.

    agent, config = load_agent(run_dir)
    policy = describe(agent, config.env_id)
    export(policy, "c", run_dir / "policy.c")

`policy.py` says what the policy is; each of the other files writes that down in one form.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ddpg.run.export import c, npz, onnx
from ddpg.run.export.policy import Policy, describe
from tinygrad_rl import files

__all__ = ["FORMATS", "Format", "Policy", "describe", "export"]


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
