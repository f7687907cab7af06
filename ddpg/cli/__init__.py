"""The command line: `ddpg train`, `ddpg evaluate` and the others of `COMMANDS`.

Each command is a dataclass in a file of its own; its flags are made from it, and from the settings
in `ddpg.config`. What a command needs is imported by the command itself, here and nowhere else in
the package, so that help comes at once.
"""

import atexit
import gc
import inspect
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import ddpg
from ddpg.cli.compare import Compare
from ddpg.cli.evaluate import Evaluate
from ddpg.cli.explain import Explain
from ddpg.cli.export import Export
from ddpg.cli.flags import HELP, help_text, read_flags
from ddpg.cli.output import steady_output
from ddpg.cli.plot import Plot
from ddpg.cli.study import Study
from ddpg.cli.train import Train
from ddpg.cli.tune import Tune
from ddpg.cli.video import Video
from ddpg.cli.watch import Watch
from ddpg.errors import TrainingError, UsageError, in_one_line, shown

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

COMMANDS: dict[str, Any] = {
    "train": Train,
    "evaluate": Evaluate,
    "plot": Plot,
    "video": Video,
    "watch": Watch,
    "export": Export,
    "study": Study,
    "tune": Tune,
    "compare": Compare,
    "explain": Explain,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit.

    The status is 0 when done, 1 when a run failed, 2 when something was asked for that cannot be
    done, 128 and a signal's number when a signal ended it: 130 for Ctrl-C.
    """
    _seldom_collect()
    with steady_output():
        try:
            status = _run(sys.argv[1:] if arguments is None else list(arguments))
            if sys.stdout is not None:
                sys.stdout.flush()
        except UsageError as error:
            status = _complain(error, EXIT_USAGE)
        except TrainingError as error:
            status = _complain(error, EXIT_FAILED)
        except OSError as error:  # of the system, not of the program: a full disk, a quota
            where = f"{error.filename}: " if error.filename else ""
            status = _complain(f"{where}{error.strerror or error}", EXIT_FAILED)
        except KeyboardInterrupt:
            status = _complain("interrupted", EXIT_INTERRUPTED)
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in HELP:
        print(_overview())
        return 0
    if name == "--version":
        print(f"ddpg {ddpg.__version__}")
        return 0
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"there is no command {shown(name)}; {hint}there are {', '.join(COMMANDS)}"
        )
    command, program = COMMANDS[name], f"ddpg {name}"
    if set(HELP) & set(rest):
        print(help_text(command, program), end="")
        return 0
    status: int = command.from_flags(read_flags(command, program, rest)).run()
    return status


def _overview() -> str:
    lines = ["usage: ddpg COMMAND [flags]", "", "DDPG on its own autograd engine.", ""]
    for name, command in COMMANDS.items():
        purpose, _, _ = (inspect.getdoc(command) or "").partition("\n")
        lines.append(f"  ddpg {name:<9} {purpose}")
    return "\n".join([*lines, "", "ddpg COMMAND --help explains its flags; ddpg --version"])


def _seldom_collect() -> None:
    """Do not search what a command has loaded for garbage again and again, nor at its very end.

    Numba, matplotlib and the rest stay as long as the process, and there are fewer of their objects
    than the threshold below. Training itself leaves no cycles behind.
    """
    gc.set_threshold(400_000)
    atexit.register(gc.freeze)


def _complain(message: object, status: int) -> int:
    print(f"error: {in_one_line(message)}", file=sys.stderr)
    return status
