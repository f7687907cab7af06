"""`ddpg plot`: the learning curves of several runs in one picture, or in the terminal."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from ddpg.cli.flags import absolute
from ddpg.errors import UsageError

PICTURE = "learning_curves.png"


@dataclass(frozen=True)
class Plot:
    """Draw the learning curves of several runs in one picture.

      ddpg plot runs                           all runs below a folder
      ddpg plot runs/p1 runs/p2 -o both.svg
      ddpg plot runs/hopper-* --terminal       here, in characters

    Runs that differ in their seed alone make one curve, with its bootstrap
    interval around it. The legend says in which settings the curves differ.
    Evaluations are drawn; training episodes where there was none.
    """

    runs: tuple[Path, ...]
    """Folders of runs, folders below which runs lie, or patterns of them. All runs must be of one
    environment."""
    output: Path | None = None
    """Where the picture goes, a .png or .svg; learning_curves.png here by default."""
    statistic: Literal["mean", "iqm"] = "mean"
    """What a curve of several runs is: their mean, or their mean without the best and the worst
    quarter of them, which a single run that fails does not move; it takes four runs or more."""
    terminal: bool = False
    """Draw in the terminal; a picture is written only if --output asks for it."""

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : if the picture can't be written where it is asked for, or scipy is missing.
        """
        from ddpg.run.disk.destination import check_destination
        from ddpg.run.look.picture import ENDINGS

        if find_spec("scipy") is None:
            raise UsageError("ddpg plot needs scipy: pip install 'tinygrad-rl[scipy]'")
        command = cls(**{**given, "runs": tuple(given["runs"])})
        if command.output is None and not command.terminal:
            command = replace(command, output=absolute(PICTURE))
        if command.output is not None:
            check_destination(command.output, "picture", ENDINGS)
        return command

    def run(self) -> int:
        """Exit status."""
        from rich.console import Console

        from ddpg.run.look.curves import make_curves
        from ddpg.run.look.picture import save_curves
        from ddpg.run.look.saved import find_runs, grouped, read_runs
        from ddpg.run.look.terminal import print_curves

        tell = partial(print, file=sys.stderr)
        runs = read_runs(find_runs(self.runs), tell)
        curves = make_curves(grouped(runs, tell), self.statistic, tell)
        title = str(runs[0].settings["env_id"])
        if self.terminal:
            print_curves(curves, title, self.statistic, Console())
        if self.output is not None:
            save_curves(curves, title, self.statistic, self.output)
            print(f"The picture is {self.output}")
        return 0
