"""One run of a study, carried out in a process of its own: begun, or gone on with.

    ending = carry_out(Task("/s/runs/a/seed-0", config_to_dict(config)))

A process is handed a task as JSON and gives an ending as JSON, whoever started it.
"""

import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rich.console import Console

from ddpg.config import TrainConfig, config_from_dict
from ddpg.errors import DivergedError, TrainingError, UsageError, in_one_line
from ddpg.run import runs
from ddpg.run.disk import folder
from ddpg.run.disk.lock import LockedError
from ddpg.run.progress import ProgressConsole
from ddpg.run.runs import Run

Kind = Literal["finished", "diverged", "failed", "stopped", "lost"]
PATIENCE = 60.0
"""Seconds that a run waits for a process which still holds its folder: it may be saving."""


@dataclass(frozen=True)
class Task:
    """What is to be run.

    Attributes
    ----------
    run_dir : the run's folder; what it holds of the run already is gone on with.
    config : its flat settings.
    """

    run_dir: str
    config: dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """How a run, or the process that it was in, came to its end.

    Attributes
    ----------
    kind : "finished" and "diverged" runs are at their end, "failed" ones may be tried again;
        "stopped" ones were told to save and end, "lost" ones had no time to.
    message : why, in one line; "" for a finished one.
    again : whether a failed one would fail again: its environment did, not the machine.
    """

    kind: Kind
    message: str = ""
    again: bool = False


def carry_out(task: Task) -> Ending:
    """Run it, and write what it has to say beside its folder: `seed-0.log`.

    Standard output and error of this process go there from now on.
    """
    run_dir = Path(task.run_dir)
    try:
        run_dir.parent.mkdir(parents=True, exist_ok=True)
        _into(log_of(run_dir))
        run = _run(run_dir, config_from_dict(task.config), ProgressConsole())
    except DivergedError as error:
        return _said(Ending("diverged", in_one_line(error)))
    except TrainingError as error:
        return _said(Ending("failed", in_one_line(error), again=True))
    except UsageError as error:
        return _said(Ending("failed", in_one_line(error)))
    except OSError as error:  # of the system: a full disk, a quota
        where = error.filename or run_dir
        return _said(Ending("failed", in_one_line(f"{where}: {error.strerror or error}")))
    except KeyboardInterrupt:
        return _said(Ending("lost", "interrupted"))
    except Exception as error:
        traceback.print_exc()
        return _said(Ending("failed", in_one_line(f"{type(error).__name__}: {error}")))
    if run.stopped_by is not None:
        return _said(Ending("stopped", f"by {run.stopped_by.name}"))
    return Ending("finished")


def ending_from(said: bytes, status: int) -> Ending:
    """How a run ended, by what its process said of it, and the exit status of that."""
    with suppress(ValueError):
        return ending_from_dict(json.loads(said))
    if status < 0:
        return Ending("lost", f"its process was ended by {_signal(-status)}")
    return Ending("lost", f"its process ended with status {status}")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals, of which most have no name
        return f"signal {number}"


def ending_from_dict(values: Any) -> Ending:
    """Inverse of `dataclasses.asdict`.

    Raises
    ------
    UsageError : if that is none.
    """
    try:
        ending = Ending(**values)
    except TypeError as error:
        raise UsageError("says of no run how it ended") from error
    if ending.kind not in get_args(Kind) or not isinstance(ending.message, str):
        raise UsageError("says of no run how it ended")
    return ending


def log_of(run_dir: Path) -> Path:
    """Where a run of a study says what it has to say."""
    return run_dir.with_name(f"{run_dir.name}.log")


def _run(run_dir: Path, config: TrainConfig, console: Console) -> Run:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            if (run_dir / folder.CONFIG).exists():
                return runs.resume(run_dir, config, console=console)
            return runs.train(config, run_dir, console)
        except LockedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _into(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _said(ending: Ending) -> Ending:
    ProgressConsole().print(f"{ending.kind}: {ending.message}", markup=False, soft_wrap=True)
    return ending
