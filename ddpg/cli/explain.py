"""`ddpg explain`: where the gradient of a function of one's own goes, and where it stops."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

ENDINGS = (".svg", ".png")


@dataclass(frozen=True)
class Explain:
    """Ask where a function's gradient goes, where it stops, and why.

      ddpg explain script.py:actor_loss
      ddpg explain script.py:agent.actor_loss --picture loss.svg --open
      ddpg explain package.module:actor_loss --detail op

    The function computes a loss and returns it, or calls backward. It is called
    once, without arguments. For that the file is executed as an import does it,
    without what stands in its block for __main__. Name only files that you would
    run.
    """

    function: str
    """A file and a function in it, FILE.py:NAME, or MODULE:NAME. NAME may go through an object of
    the file, as agent.actor_loss does."""
    picture: Path | None = None
    """Where a picture goes, a .svg or .png; none by default."""
    open: bool = False
    """Open the picture in a browser; without --picture, a temporary one."""
    detail: Literal["layer", "module", "op"] = "layer"
    """What is a box of the picture: a layer, a whole network, or every op."""
    json: bool = False
    """Print one JSON object instead of the text; what the function prints goes to standard
    error."""

    @classmethod
    def from_flags(cls, given: Mapping[str, Any]) -> Self:
        """The command that these flags ask for.

        Raises
        ------
        UsageError : if the picture can't be written where it is asked for.
        """
        from ddpg.run.disk.destination import check_destination

        command = cls(**given)
        if command.picture is not None:
            check_destination(command.picture, "picture", ENDINGS, "--picture")
        return command

    def run(self) -> int:
        """Exit status: 1 if the user's own code failed."""
        import tinygrad_rl as tg
        from ddpg.cli.users import UsersError, call, find

        try:
            with redirect_stdout(sys.stderr if self.json else sys.stdout):
                function = find(self.function)
                explanation = call(tg.explain, function)
        except UsersError as error:
            print(error, end="", file=sys.stderr)
            return 1
        if self.json:
            print(json.dumps(explanation.to_dict()))
        else:
            color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            print(explanation.text(shutil.get_terminal_size().columns, color))
        self._show(explanation)
        return 0

    def _show(self, explanation: Any) -> None:
        if self.picture is None and not self.open:
            return
        path = self.picture or _temporary()
        explanation.save(path, self.detail)
        note = "; there is no browser here" if self.open and not _opened(path) else ""
        print(f"The picture is {path}{note}", file=sys.stderr if self.json else sys.stdout)


def _temporary() -> Path:
    import tempfile

    return Path(tempfile.mkdtemp(prefix="ddpg-explain-")) / "gradient.svg"


def _opened(path: Path) -> bool:
    import webbrowser

    return webbrowser.open(path.as_uri())
