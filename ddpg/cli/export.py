"""`ddpg export`: a run's policy as a file for other programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from ddpg.errors import UsageError


@dataclass(frozen=True)
class Export:
    """Write a run's policy to a file that needs none of this package.

    ddpg export runs/p1 --to onnx   for onnxruntime and its like; needs onnx
    ddpg export runs/p1 --to c      one file of C99, without heap or dependencies
    ddpg export runs/p1 --to npz    the weights, as arrays of NumPy

    What is written is the policy without noise: from one observation, as the
    environment gives it, to an action in its units and inside its bounds.
    """

    run_dir: Path
    """Folder of the run."""
    to: Literal["onnx", "c", "npz"] | None = None
    """What to write; must be given."""
    output: Path | None = None
    """The file; policy.onnx, policy.c or policy.npz in the run's folder where it is left out."""
    best: bool = False
    """Take the model of the best evaluation in training instead of the last one."""

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : if it is not said what to write.
        """
        command = cls(**given)
        if command.to is None:
            raise UsageError("--to is missing: onnx, c or npz")
        return command

    def run(self) -> int:
        """Exit status."""
        from ddpg.run.disk.checkpoint import load_agent
        from ddpg.run.disk.destination import check_destination
        from ddpg.run.disk.folder import check_run
        from ddpg.run.export import FORMATS, describe, export

        assert self.to is not None  # from_flags has seen to it
        check_run(self.run_dir)
        path = self.output or self.run_dir / f"policy.{self.to}"
        check_destination(path, "file")
        agent, config = load_agent(self.run_dir, self.best)
        policy = describe(agent, config.env_id)
        export(policy, self.to, path)
        which = "best" if self.best else "last"
        sizes = f"observations of {policy.obs_dim}, actions of {policy.act_dim}"
        print(f"{path}: the {which} policy of a run in {config.env_id}, {sizes}")
        print(FORMATS[self.to].usage(path))
        return 0
