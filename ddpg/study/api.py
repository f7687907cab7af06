"""Many runs as one call: `ddpg.run_study`.

study = ddpg.run_study(["Hopper-v5", "Ant-v5"], seeds=5, settings={"critic_lr": [1e-3, 3e-4]},
                       study_dir="studies/s1")
study = ddpg.run_study(study_dir="studies/s1")              # goes on, if anything is left to do
study = ddpg.run_study(study_dir="studies/s1", seeds=10)    # and has five seeds more now
"""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import Signals
from typing import Any

from rich.console import Console

from ddpg.config import config_to_dict
from ddpg.errors import UsageError, counted
from ddpg.run.disk import folder as run_folder
from ddpg.run.disk.saved_spaces import spaces_of
from ddpg.run.environments import one
from ddpg.run.machine import check_memory
from ddpg.run.process import stop_on_signals
from ddpg.run.progress import ProgressConsole
from ddpg.spaces import Observations, action_bounds
from ddpg.study import folder
from ddpg.study.command import command_of
from ddpg.study.live import Board
from ddpg.study.outcome.notebook import study_html
from ddpg.study.outcome.output import NAMES, write_all
from ddpg.study.outcome.summary import Summary
from ddpg.study.outcome.words import counted_states
from ddpg.study.plan import (
    Asked,
    Member,
    OtherStudyError,
    Plan,
    Setting,
    check_apart,
    extended,
    new_plan,
    product,
)
from ddpg.study.results import Result
from ddpg.study.work.backend import Backend, new_backend
from ddpg.study.work.schedule import carry_out
from ddpg.study.work.task import Ending, Task


@dataclass(frozen=True)
class Study:
    """What there is of a study.

    Attributes
    ----------
    study_dir : its folder.
    results : of each run, in the order in which they are begun.
    summary : what they come to, with intervals; the same as in the folder's files.
    stopped_by : the signal that ended the work early, or None.
    """

    study_dir: Path
    results: Sequence[Result]
    summary: Summary
    stopped_by: Signals | None

    def __repr__(self) -> str:
        return f"Study({counted_states(self.results)})"

    def _repr_html_(self) -> str:
        """For notebooks."""
        return study_html(self.summary)


def run_study(
    env_ids: str | Sequence[str] | None = None,
    *,
    study_dir: str | os.PathLike[str],
    seeds: int | Sequence[int] | None = None,
    settings: Mapping[str, Sequence[Any]] | Sequence[Setting] | None = None,
    jobs: int | None = None,
    ray: str | bool = False,
    preset: str | None = None,
    progress: bool = True,
    **fixed: Any,
) -> Study:
    """Run every combination of environments, settings and seeds, or what is left of them.

    Each run is an ordinary one in a folder of its own, in a process of its own, on a core of its
    own. Ctrl-C saves what goes on and ends; the same call goes on, bit for bit. A run that fails is
    reported, and the others go on.

    Parameters
    ----------
    env_ids : gymnasium's ids; those that the study has where it is left out.
    study_dir : the study's folder; what it holds is gone on with, and may be extended.
    seeds : how many, from `seed` on, or which.
    settings : values for each name, of which every combination is run; or the combinations
        themselves. `algorithm` names a set of settings, "ddpg" or "td3".
    jobs : runs at a time; by default as many as there are cores for.
    ray : where runs take place: False is this machine, "host:port" the Ray cluster there, True the
        one that runs on this machine or that RAY_ADDRESS names, or else a new one of its cores.
    preset : as `ddpg.train` takes it; each environment's own by default.
    progress : whether a table is shown, on standard error.
    **fixed : settings that all runs have: fields of `TrainConfig` and of `DDPGConfig`.

    Raises
    ------
    UsageError : before anything is run, for settings that are not allowed, an environment that
        can't be made, a folder that holds another study, a Ray cluster that doesn't answer or whose
        nodes differ.
    OSError : if the study's folder can't be written to any more.
    """
    named = [env_ids] if isinstance(env_ids, str) else env_ids
    chosen = product(settings) if isinstance(settings, Mapping) else settings
    console = ProgressConsole() if progress else Console(quiet=True)
    asked = Asked(named, chosen, seeds, preset, fixed)
    return go_on(run_folder.given(study_dir, "study_dir").absolute(), asked, jobs, console, ray)


def go_on(
    study_dir: Path, asked: Asked, jobs: int | None, console: Console, ray: str | bool
) -> Study:
    """`run_study`, of what is asked in one object."""
    plan = planned(study_dir, asked)
    check_apart(asked)
    check_runs(plan)
    tell = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    with closing(new_backend(ray, jobs, threads_of(plan), study_dir, tell)) as backend:
        return carried_out(study_dir, plan, backend, console)


def carried_out(study_dir: Path, plan: Plan, backend: Backend, console: Console) -> Study:
    """The study, with what is left of its runs carried out, and its tables and page written."""
    with folder.locked(study_dir, NAMES):
        folder.write_plan(study_dir, plan)
        queue = Queue(study_dir, plan.members, console)
        with queue.board as board, stop_on_signals(console) as stop:
            carry_out(queue, backend, stop, board.say)
        results = queue.results()
        summary = write_all(results, study_dir, command_of(plan), queue.made_with())
        return Study(study_dir, results, summary, stop.signal)


_TO_DO = ("not begun", "unfinished", "failed")


class Queue:
    """The runs of a study as work to do: those that are not at their end, in their order.

    Parameters
    ----------
    study_dir : the study's folder, locked.
    members : its runs.
    console : where it is shown how they go.
    """

    def __init__(self, study_dir: Path, members: Sequence[Member], console: Console) -> None:
        folders = folder.Folders(study_dir, members)
        self._members = {folders.name(m): (m, folders[m]) for m in members}
        left = [n for n, m in self._members.items() if folder.state_of(*m)[0] in _TO_DO]
        self._waiting = iter(left)
        self.board = Board(console, self._members, left)
        begun = sum(folder.is_begun(self._members[name][1]) for name in left)
        said = f"{begun} to go on with, {len(left) - begun} to begin" if left else "none is left"
        at_their_end = len(members) - len(left)
        self.board.say(
            f"{study_dir}: {counted(len(members), 'run')}, {at_their_end} at their end; {said}"
        )

    def next(self) -> tuple[str, Task] | None:
        """As in `Work`."""
        name = next(self._waiting, None)
        if name is None:
            return None
        member, run_dir = self._members[name]
        with suppress(OSError):
            folder.write_ending(run_dir, None)
        return name, Task(str(run_dir), config_to_dict(member.config))

    def ended(self, name: str, ending: Ending) -> None:
        """As in `Work`."""
        _, run_dir = self._members[name]
        if ending.kind in ("finished", "diverged", "failed"):
            with suppress(OSError):  # a full disk: the run counts as one that can go on
                folder.write_ending(run_dir, ending)
        self.board.ended(name, ending.kind, ending.message)

    def look(self, running: Collection[str]) -> Collection[str]:
        """As in `Work`: none shall be stopped."""
        self.board.show(running)
        return ()

    def made_with(self) -> dict[str, str]:
        """The versions of what all runs were made with."""
        return folder.made_with(run_dir for _, run_dir in self._members.values())

    def results(self) -> list[Result]:
        """What all runs have come to so far."""
        return [folder.result_of(m, path, name) for name, (m, path) in self._members.items()]


def planned(study_dir: Path, asked: Asked) -> Plan:
    """What the folder's study shall consist of; a new one, where it holds none.

    Raises
    ------
    UsageError : if that is not allowed, or loses something that is there.
    """
    if not (study_dir / folder.PLAN).exists():
        folder.check_new(study_dir)
        if asked.env_ids is None:
            raise UsageError(f"{study_dir} holds no study: name the environments of a new one")
        return new_plan(asked)
    plan = folder.read_plan(study_dir)
    try:
        return extended(plan, asked)
    except OtherStudyError as error:
        raise UsageError(f"{study_dir} holds another study: {error}") from error


def threads_of(plan: Plan) -> int:
    """Cores that each run of a plan takes."""
    return max(member.config.threads for member in plan.members)


def check_runs(plan: Plan) -> None:
    """See that each environment can be made, and each run fits into memory.

    Raises
    ------
    UsageError : naming what cannot.
    """
    for env_id, base in plan.bases.items():
        members = [m for m in plan.members if m.env_id == env_id and m.seed == plan.seeds[0]]
        with one(base) as env:
            spaces = spaces_of(env)
        sizes = Observations(spaces.observations).size, len(action_bounds(spaces.actions)[0])
        for member in members:
            check_memory(member.config, *sizes)
