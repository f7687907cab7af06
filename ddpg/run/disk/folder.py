"""The folder of a run: what is in it, who may write to it, and copies of it.

    runs/p1/
      config.json           every setting, flat, named as the flags are
      spaces.json           what the environment's observations and actions are
      metrics.csv           a row per training episode
      evaluations.csv       a row per evaluation
      learning_curve.png    both, drawn
      model.safetensors     the agent after the last finite update, without the replay
      best.safetensors      the agent with the best evaluation so far
      video.mp4             the agent at play, where somebody asked for it
      tensorboard/          both tables as events, with --tensorboard
      videos/               a film of each evaluation, with --video-every-eval
      checkpoint/           everything that is needed to go on
        state.safetensors   the place of the environment, and how much of all files counts
        replay.f32          every transition so far
        model.safetensors   the agent at the checkpoint, where another one came after it
        best.safetensors    the best agent at the checkpoint, where a better one came after it
        lock                held by the process that writes to the run

Whole files are put in place at once: a reader finds the old one or the new one and never half of
one. Tables and transitions grow at their ends. Nothing is pickled.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ddpg.config import TrainConfig, config_text
from ddpg.errors import UsageError, shown
from ddpg.run.disk import lock
from ddpg.run.disk.saved_spaces import NAME, Spaces, spaces_text
from ddpg.run.machine import check_writable
from tinygrad_rl import files

CONFIG = "config.json"
SPACES = NAME
METRICS_TABLE = "metrics.csv"
EVALUATIONS_TABLE = "evaluations.csv"
CURVE = "learning_curve.png"
MODEL = "model.safetensors"
BEST = "best.safetensors"
TENSORBOARD = "tensorboard"
VIDEOS = "videos"
CHECKPOINT = "checkpoint"
STATE = f"{CHECKPOINT}/state.safetensors"
TRANSITIONS = f"{CHECKPOINT}/replay.f32"
EARLIER_MODEL = f"{CHECKPOINT}/model.safetensors"
EARLIER_BEST = f"{CHECKPOINT}/best.safetensors"
LOCK = f"{CHECKPOINT}/lock"

_FILES = (CONFIG, SPACES, METRICS_TABLE, EVALUATIONS_TABLE, CURVE, MODEL, BEST)
_IN_CHECKPOINT = (STATE, TRANSITIONS, EARLIER_MODEL, EARLIER_BEST)
_SIGNS = (CONFIG, METRICS_TABLE, EVALUATIONS_TABLE, MODEL, STATE)
"""Files of which each shows that a folder holds a run."""


def given(path: object, name: str) -> Path:
    """What somebody gave as the path of a folder.

    Raises
    ------
    UsageError : for what is none, and for an empty one: that is an unset variable, and no wish for
        the current folder.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or text == "" or "\0" in text:
        raise UsageError(f"{name} must be a path, got {shown(path)}")
    return Path(text)


def check_new(run_dir: Path) -> None:
    """Refuse a folder that can't be that of a new run.

    Raises
    ------
    UsageError : if it already holds a run, is no folder, or can't be looked into.
    """
    with _usable(run_dir):
        if run_dir.exists() and not run_dir.is_dir():
            raise UsageError(f"{run_dir} is a file, not a folder for a run")
        held = [name for name in _SIGNS if (run_dir / name).exists()]
    if held:
        raise UsageError(
            f"{run_dir} already holds a run ({held[0]}); go on with it by --resume {run_dir}, "
            "name another folder with --run-dir, or remove this one"
        )


def check_run(run_dir: Path) -> None:
    """Refuse a folder that holds no run.

    Raises
    ------
    UsageError : saying so.
    """
    with _usable(run_dir):
        if not run_dir.is_dir():
            raise UsageError(f"there is no run folder {run_dir}")
        if not (run_dir / CONFIG).exists():
            raise UsageError(f"{run_dir} holds no run: {run_dir / CONFIG} does not exist")


def is_part(path: Path) -> bool:
    """Whether `path` is one of the files that a run itself consists of, whichever run it is."""
    path = path.resolve()
    in_checkpoint = path.parent.name == CHECKPOINT and (path.parents[1] / CONFIG).exists()
    return in_checkpoint or (path.name in _FILES and (path.parent / CONFIG).exists())


@contextmanager
def locked(run_dir: Path, to_read: bool = False) -> Iterator[None]:
    """Be the only process that writes to the run while inside; makes the folder if there is none.

    The lock goes with the process, however that ends. Where the file system knows no locks, there
    is none.

    Parameters
    ----------
    run_dir : the run's folder.
    to_read : only keep others from writing; nothing is made, the folder may be read-only.

    Raises
    ------
    UsageError : (a `LockedError`) if another process holds it; if the folder can't be made or
        written to, because the disk is full for instance.
    """
    path = run_dir / LOCK
    if to_read and not path.exists():
        yield
        return
    with _usable(run_dir):
        if not to_read:
            path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("r" if to_read else "a+", encoding="ascii")
    with file:
        said = f"another process is writing to {run_dir}: wait until it has ended, or stop it"
        lock.take(file.fileno(), said)
        if not to_read:
            for folder in (run_dir, run_dir / CHECKPOINT):
                files.remove_parts(folder)
            check_writable(run_dir, (*_FILES, *_IN_CHECKPOINT))
        yield


def create(run_dir: Path, config: TrainConfig, spaces: Spaces) -> None:
    """Put spaces and configuration into a new run's folder: from then on it is one.

    Raises
    ------
    UsageError : as `check_new`.
    """
    check_new(run_dir)
    files.write_atomically(run_dir / SPACES, spaces_text(spaces).encode(), durable=True)
    write_config(run_dir, config)  # by which a folder is known: the last


def write_config(run_dir: Path, config: TrainConfig) -> None:
    """Write or replace `config.json`."""
    files.write_atomically(run_dir / CONFIG, config_text(config).encode(), durable=True)


def copy(source: Path, target: Path) -> None:
    """Copy a run, so that the copy can be continued and the original stays as it is.

    It appears under its name when it is complete.

    Raises
    ------
    UsageError : if `target` exists, with anything in it, or can't be written.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _usable(target):
        if target.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{target} lies in the run that it shall be a copy of")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise UsageError(f"{target} exists: name a new folder for the copy with --run-dir")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(source, beside, ignore=shutil.ignore_patterns("lock", ".*.part"))
            beside.replace(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _usable(run_dir: Path) -> Iterator[None]:
    """What the system refuses in the block is said of the folder, in one line."""
    try:
        yield
    except UsageError:
        raise
    except (OSError, ValueError) as error:  # the second for names that no file can have
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(
            f"the folder {shown(str(run_dir))} cannot be used for a run: {reason}"
        ) from error
