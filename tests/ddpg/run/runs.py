"""Short runs, ended in every way, and compared file by file."""

import csv
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console

import tinygrad_rl as tg
from ddpg import DDPGConfig, TrainConfig
from ddpg.errors import UsageError
from ddpg.learn import Step
from ddpg.run import plots
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.log import RunLog
from ddpg.run.runs import resume, train
from tinygrad_rl import files

HERE = "tests.ddpg.run.environments"
QUICK = {
    "hidden": (8,),
    "batch_size": 8,
    "warmup_steps": 85,
    "buffer_size": 70,  # overwritten before the end
    "noise": "ou",
    "compile": False,
}


def config(kind: str = "Small", **settings) -> TrainConfig:
    """100 steps, unless told otherwise; settings of the algorithm and of the run together."""
    algorithm = {k: settings.pop(k) for k in list(settings) if k in DDPGConfig.__annotations__}
    usual = {"total_timesteps": 100, "eval_every": 30, "eval_episodes": 2, "checkpoint_every": 20}
    return TrainConfig(
        env_id=f"{HERE}:{kind}-v0", ddpg=DDPGConfig(**QUICK | algorithm), **usual | settings
    )


QUICKEST = config(
    total_timesteps=44,
    warmup_steps=40,
    eval_every=16,
    eval_episodes=2,
    checkpoint_every=20,
    seed=5,
)
"""With one of everything; its last evaluation is the best."""


def quiet() -> Console:
    return Console(file=io.StringIO())


def begin(run_dir: Path, settings: TrainConfig, console: Console | None = None) -> RunLog:
    return train(settings, run_dir, console or quiet())


def go_on(run_dir: Path, settings: TrainConfig, console: Console | None = None) -> RunLog:
    """As a user would: what was ended before it was a run is begun again."""
    if (run_dir / folder.CONFIG).exists():
        return resume(run_dir, settings, console=console or quiet())
    return begin(run_dir, settings, console)


def files_of(run_dir: Path) -> dict[str, bytes]:
    """Contents by name, but for the lock."""
    paths = (path for path in sorted(run_dir.rglob("*")) if path.is_file())
    contents = {str(path.relative_to(run_dir)): path.read_bytes() for path in paths}
    contents.pop(folder.LOCK, None)
    return contents


def assert_same_run(run_dir: Path, other: Path) -> None:
    one, two = files_of(run_dir), files_of(other)
    assert sorted(one) == sorted(two)
    assert [name for name in one if one[name] != two[name]] == []


def assert_lines_are_whole(run_dir: Path) -> None:
    for name in (folder.METRICS_TABLE, folder.EVALUATIONS_TABLE):
        path = run_dir / name
        text = path.read_text() if path.exists() else ""
        assert text == "" or text.endswith("\n"), name
        assert len({line.count(",") for line in text.splitlines()}) <= 1, name


def assert_can_be_read(run_dir: Path, whole: bool = True) -> None:
    """By those who look at a run while it is not going on; a line may be torn by a kill alone."""
    try:
        agent, _ = load_agent(run_dir)
    except UsageError as error:
        assert "\n" not in str(error)
        assert "before its first save" in str(error) or "no run" in str(error), error
    else:
        assert len(agent.replay) == 0
    if whole:
        assert_lines_are_whole(run_dir)


def rows(table: Path) -> list[dict[str, float]]:
    with table.open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """Every value of a nested state, by its dotted name."""
    if isinstance(state, dict | list):
        pairs = state.items() if isinstance(state, dict) else enumerate(state)
        return {k: v for key, value in pairs for k, v in flat(value, f"{name}.{key}").items()}
    return {name: np.array(state.numpy() if isinstance(state, tg.Tensor) else state)}


def place_of(run_dir: Path) -> dict[str, Any]:
    """Where a run would go on."""
    state = run_dir / folder.STATE
    return tg.load(state)["place"] if state.exists() else {"step": 0, "length": [0]}


@contextmanager
def without_drawing() -> Iterator[None]:
    """Write what would be drawn: drawing it takes longer than all the rest."""

    def write(path: Path, *tables: object) -> None:
        files.write_atomically(path, repr(tables).encode())

    with mock.patch.object(plots, "save_learning_curve", write):
        yield


def forked(work: Callable[[], object]) -> int:
    """A child process that does `work`, and ends with 0, or 1 for an exception; its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(300)  # ends it, should it wait for ever
        work()
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def ended(child: int, within: float = 120.0) -> int:
    """How a child ended: its status, or minus the signal; killed if it does not end."""
    limit = time.monotonic() + within
    while (found := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(found[1])


def killed(run_dir: Path, settings: TrainConfig, at: int) -> None:
    """Go on with a run, in another process, until it is killed after a step."""
    original = RunLog.step

    def step(self: RunLog, done: Step) -> None:
        original(self, done)
        if done.number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(RunLog, "step", step):
        child = forked(lambda: go_on(run_dir, settings))
    assert ended(child) == -signal.SIGKILL
