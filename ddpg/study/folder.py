"""The folder of a study: its plan, a folder for each run, and how those came to their ends.

    studies/s1/
      study.json                            the plan
      runs/Hopper-v5/tau=0.01/seed-0/       an ordinary run, as `ddpg train` makes it
      runs/Hopper-v5/tau=0.01/seed-0.log    what it had to say
      runs/Hopper-v5/tau=0.01/seed-0.json   how it ended: there is none of a run that can go on
      study.csv  summary.csv  study.png  study.html       what it came to
      lock                                  held by the process that is at work

A run belongs to the study by its settings, whatever its folder is called: one that was made with
`ddpg train` counts, and goes on, where it is put below `runs/`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ddpg.config import read_config, read_json, sealed_text
from ddpg.errors import UsageError, in_one_line, shown
from ddpg.run.disk import folder as run_folder
from ddpg.run.disk import lock
from ddpg.run.disk.agents import load_state
from ddpg.run.disk.checkpoint import read_rows
from ddpg.run.disk.tables import read_last
from ddpg.run.look.saved import find_runs
from ddpg.run.machine import check_writable
from ddpg.study.plan import Member, Plan, identity, plan_from_dict
from ddpg.study.results import Result, Rows, State
from ddpg.study.work.task import Ending, ending_from_dict
from tinygrad_rl import files

PLAN, RUNS, LOCK = "study.json", "runs", "lock"
LARGEST = 100_000_000
"""Bytes of a plan at most."""


def read_plan(study_dir: Path) -> Plan:
    """What the folder's study consists of.

    Raises
    ------
    UsageError : if it holds none, or a damaged one.
    """
    path = study_dir / PLAN
    if not path.exists():
        raise UsageError(f"{study_dir} holds no study: {path} does not exist")
    return read_json(path, plan_from_dict, sealed=True, largest=LARGEST)


def check_new(study_dir: Path, named_by: str = "--study-dir") -> None:
    """Refuse a folder that can't be that of a new study.

    Parameters
    ----------
    named_by : the flag that names it, for the message.

    Raises
    ------
    UsageError : if it is none, or holds something else than runs.
    """
    try:
        if study_dir.exists() and not study_dir.is_dir():
            raise UsageError(f"{study_dir} is a file, not a folder for a study")
        there = [*study_dir.iterdir()] if study_dir.exists() else []
        others = [p.name for p in there if not files.is_part(p)]
    except OSError as error:
        raise UsageError(f"the folder {shown(str(study_dir))}: {error.strerror}") from error
    if others := sorted({*others} - {RUNS, LOCK}):
        raise UsageError(
            f"{study_dir} holds something else ({others[0]}): name another folder with {named_by}"
        )


@contextmanager
def locked(study_dir: Path, names: Collection[str]) -> Iterator[None]:
    """Be the only process at work on the study while inside; makes the folder.

    Parameters
    ----------
    names : of the files that will be written there.

    Raises
    ------
    UsageError : if another process is, or the folder can't be made or written to.
    """
    try:
        study_dir.mkdir(parents=True, exist_ok=True)
        file = (study_dir / LOCK).open("a+", encoding="ascii")
    except OSError as error:
        raise UsageError(
            f"the folder {shown(str(study_dir))} cannot be used: {error.strerror}"
        ) from error
    with file:
        lock.take(file.fileno(), f"another process is at work on {study_dir}: wait, or stop it")
        files.remove_parts(study_dir)
        check_writable(study_dir, names)
        yield


def write_plan(study_dir: Path, plan: Plan) -> None:
    """Write or replace it."""
    data = sealed_text(plan.to_dict()).encode()
    files.write_atomically(study_dir / PLAN, data, durable=True)


class Folders:
    """Where each run of a study is.

    Parameters
    ----------
    study_dir : the study's folder.
    members : its runs.

    Raises
    ------
    UsageError : for a run that is there and damaged.
    """

    def __init__(self, study_dir: Path, members: Sequence[Member]) -> None:
        self._study_dir = study_dir
        there = dict(_runs_there(study_dir / RUNS))
        taken = {*there.values()}
        self._paths: dict[str, Path] = {}
        for member in members:
            key = identity(member.config)
            path = there.get(key) or _free(study_dir / RUNS / member.name, taken)
            taken.add(path)
            self._paths[key] = path

    def __getitem__(self, member: Member) -> Path:
        return self._paths[identity(member.config)]

    def name(self, member: Member) -> str:
        """From the study's folder on."""
        return self[member].relative_to(self._study_dir).as_posix()


def _runs_there(runs: Path) -> Iterator[tuple[str, Path]]:
    try:
        paths = find_runs([runs]) if runs.is_dir() else []
    except UsageError:  # none has begun
        return
    for path in paths:
        with suppress(UsageError):  # who goes on with a damaged run hears of it
            yield identity(read_config(path, sealed=True)), path


def _free(path: Path, taken: set[Path]) -> Path:
    """A path for a new run: two texts may give one name of a folder."""
    number = 2
    free = path
    while free in taken:
        free, number = path.with_name(f"{path.name}-{number}"), number + 1
    return free


def ending_of(run_dir: Path) -> Ending | None:
    """How a run came to its end, if it did and was not begun again.

    Raises
    ------
    UsageError : if the file that says so is damaged.
    """
    path = _ending_path(run_dir)
    return read_json(path, ending_from_dict, sealed=True) if path.exists() else None


def write_ending(run_dir: Path, ending: Ending | None) -> None:
    """Keep it, or forget one that is no longer true."""
    path = _ending_path(run_dir)
    if ending is None:
        path.unlink(missing_ok=True)
    else:
        files.write_atomically(path, sealed_text(asdict(ending)).encode())


def _ending_path(run_dir: Path) -> Path:
    return run_dir.with_name(f"{run_dir.name}.json")


def state_of(member: Member, run_dir: Path) -> tuple[State, str]:
    """What is known of a run, and why where it diverged, failed or is damaged."""
    try:
        ending = ending_of(run_dir)
        prolonged = is_begun(run_dir) and _prolonged(member, run_dir)
    except UsageError as error:
        return "failed", in_one_line(error)
    if not is_begun(run_dir):
        return ("not begun", "") if ending is None else ("failed", ending.message)
    if ending is None or ending.kind not in ("finished", "diverged", "failed"):
        return "unfinished", ""
    if ending.kind == "finished" and prolonged:
        return "unfinished", ""
    return ending.kind, ending.message


def is_begun(run_dir: Path) -> bool:
    """Whether there is a run to go on with."""
    return (run_dir / run_folder.CONFIG).exists()


def _prolonged(member: Member, run_dir: Path) -> bool:
    """Whether the study has more steps now than when the run finished."""
    saved = read_config(run_dir, sealed=True)
    return saved.total_timesteps < member.config.total_timesteps


def steps_of(run_dir: Path) -> int:
    """Environment steps that a run's tables tell of."""
    tables = (run_folder.METRICS_TABLE, run_folder.EVALUATIONS_TABLE)
    rows = (read_last(run_dir / table) for table in tables)
    return int(max((row["step"] for row in rows if row), default=0))


def result_of(member: Member, run_dir: Path, name: str) -> Result:
    """What a run has come to; one whose tables are damaged has failed."""
    state, message = state_of(member, run_dir)
    episodes: Rows = []
    evaluations: Rows = []
    try:
        evaluations = read_rows(run_dir, run_folder.EVALUATIONS_TABLE)
        episodes = [] if evaluations else read_rows(run_dir, run_folder.METRICS_TABLE)
    except UsageError as error:
        state, message = "failed", f"{in_one_line(error)}; without its folder the run begins anew"
    return Result(
        member.env_id,
        member.setting,
        member.seed,
        name,
        state,
        message,
        steps_of(run_dir),
        member.config.total_timesteps,
        episodes,
        evaluations,
    )


def made_with(run_dirs: Iterable[Path]) -> dict[str, str]:
    """The versions that made these runs, by name: `3.12.1`, or `3.11.7 and 3.12.1`."""
    found: dict[str, dict[str, None]] = {}
    for run_dir in run_dirs:
        with suppress(UsageError):  # there is none of a run that was not saved yet
            state = load_state(run_dir / run_folder.STATE, "")
            for name, version in state["versions"].items():
                found.setdefault(name, {})[version] = None
    return {name: " and ".join(versions) for name, versions in found.items()}
