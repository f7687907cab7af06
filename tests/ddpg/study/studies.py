"""Short studies, killed with all processes that they started, and compared file by file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ddpg.study import folder
from ddpg.study.api import Study, run_study
from ddpg.study.plan import Asked, new_plan, product
from ddpg.study.work.task import Ending
from tests.ddpg.run.runs import HERE, QUICK, begin, files_of, without_drawing

SMALL, DOUBLE = f"{HERE}:Small-v0", f"{HERE}:Double-v0"
DEADLY, FAILING, EXPLOSIVE, HANGING, STOPPED, ASKING, FORKING = (
    f"tests.ddpg.study.environments:{kind}-v0"
    for kind in ("Deadly", "Failing", "Explosive", "Hanging", "Stopped", "Asking", "Forking")
)
QUICKLY: dict[str, Any] = QUICK | {"total_timesteps": 300, "eval_every": 50, "eval_episodes": 2}
FLAGS = [
    word
    for name, value in QUICKLY.items()
    for word in (
        ["--no-compile"]
        if name == "compile"
        else ["--" + name.replace("_", "-"), str(value[0] if name == "hidden" else value)]
    )
]
"""`QUICKLY`, as words of a command line."""
NO_WAIT = 120.0


def quickly(study_dir: Path, env_ids: Sequence[str] | None = (SMALL,), **asked: Any) -> Study:
    """In this process; its runs in processes of their own."""
    return run_study(env_ids, study_dir=study_dir, progress=False, **{**QUICKLY, **asked})


def go_on(study_dir: Path, **asked: Any) -> Study:
    """With what is there."""
    return run_study(study_dir=study_dir, progress=False, **asked)


def command(*arguments: object) -> list[str]:
    """A command line that runs `ddpg` with these words."""
    return [sys.executable, "-m", "ddpg", *map(str, arguments)]


def begun(*arguments: object, log: str | Path = os.devnull) -> subprocess.Popen[bytes]:
    """`ddpg` with these words, in a process whose output goes to a file."""
    with open(log, "ab") as file:
        return subprocess.Popen(command(*arguments), stdout=file, stderr=file)


def children(parent: int) -> list[int]:
    """Processes that a process has started, by /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has gone
            continue
        if int(after_name[1]) == parent:
            found.append(int(path.parent.name))
    return found


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """At once, with what it has started."""
    workers = children(process.pid)
    for pid in (process.pid, *workers):
        kill(pid)
    process.wait()


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def until(happened: Callable[[], Any], seconds: float = NO_WAIT) -> Any:
    """Wait for it; gives what it gave."""
    end = time.monotonic() + seconds
    while not (what := happened()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return what


def as_single_runs(study_dir: Path, env_ids: Sequence[str], **asked: Any) -> None:
    """The study as it must come out: each run made as `ddpg train` makes it, in this process."""
    settings = product(asked.pop("settings", {}))
    plan = new_plan(Asked(env_ids, settings, asked.pop("seeds", 1), None, {**QUICKLY, **asked}))
    study_dir.mkdir()
    folder.write_plan(study_dir, plan)
    with without_drawing():
        for member in plan.members:
            run_dir = study_dir / folder.RUNS / member.name
            begin(run_dir, member.config)
            folder.write_ending(run_dir, Ending("finished"))
    go_on(study_dir)


def assert_same_study(one: Path, other: Path) -> None:
    """All but logs, locks, pictures of runs, which are drawn once here and once not."""
    kept = [
        {
            name: data
            for name, data in files_of(path).items()
            if not name.endswith((".log", "lock", "learning_curve.png"))
        }
        for path in (one, other)
    ]
    assert sorted(kept[0]) == sorted(kept[1])
    assert [name for name in kept[0] if kept[0][name] != kept[1][name]] == []
