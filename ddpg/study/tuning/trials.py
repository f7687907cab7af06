"""The trials of a tuning as work to do: begun in their order, stopped where that is decided.

carry_out(Trials(tune_dir, search, journal, console), backend, stop, show)

A trial is judged by the rows of its evaluations.csv, one by one, and the first one that says so
prunes it. What its run did beyond that row, before it was stopped or to its very end, counts for
nothing: how fast a run is does not matter.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ddpg.config import config_to_dict
from ddpg.errors import UsageError, counted, in_one_line
from ddpg.run.disk import folder as run_folder
from ddpg.run.disk.checkpoint import read_rows
from ddpg.study.live import Board
from ddpg.study.outcome.scores import last_mean
from ddpg.study.plan import Member, Setting
from ddpg.study.results import Rows
from ddpg.study.tuning.journal import Journal, Judge
from ddpg.study.tuning.search import Search
from ddpg.study.work.task import Ending, Task

RUNS = "trials"


@dataclass
class _Going:
    """A trial that goes on.

    Attributes
    ----------
    seen : rows that were judged.
    pruned : whether the last one of them ended it.
    """

    number: int
    run_dir: Path
    total: int
    judge: Judge
    seen: int = 0
    pruned: bool = False

    def look(self) -> Rows:
        """Judge what is new; gives all rows that count.

        Raises
        ------
        UsageError : if the table is damaged.
        """
        rows = read_rows(self.run_dir, run_folder.EVALUATIONS_TABLE)
        for row in rows[self.seen :]:
            if self.pruned or row["step"] >= self.total:  # at its end there is nothing to save
                break
            self.seen += 1
            self.pruned = self.judge(int(row["step"]), row["mean"])
        return rows[: self.seen] if self.pruned else rows


class Trials:
    """The trials that are not at their end.

    Parameters
    ----------
    tune_dir : the tuning's folder, locked.
    search : the tuning.
    journal : where its trials are kept.
    console : where it is shown how they go.

    Attributes
    ----------
    board : shows it.
    failure : why the search cannot go on, for the machine failed in a trial; "" otherwise.
    """

    def __init__(self, tune_dir: Path, search: Search, journal: Journal, console: Console) -> None:
        self._runs, self._search, self._journal = tune_dir / RUNS, search, journal
        self._kept = journal.trials()
        self._next = 0
        self._open = {t.number for t in self._kept if t.state == "unfinished"}
        self._going: dict[str, _Going] = {}
        self.failure = ""
        shown = {_name(n): self._run(n, search.defaults) for n in range(search.trials)}
        at_end = {_name(t.number) for t in self._kept} - {_name(n) for n in self._open}
        self.board = Board(console, shown, [name for name in shown if name not in at_end])
        self.board.say(
            f"{tune_dir}: {counted(search.trials, 'trial')}, {len(at_end)} at their end; "
            f"searched are {', '.join(search.space)}"
        )

    def next(self) -> tuple[str, Task] | None:
        """As in `Work`."""
        while self._next < self._search.trials and not self.failure:
            number = self._next
            if number >= len(self._kept):
                if any(n <= number - self._search.lag for n in self._open):
                    return None  # the trial is chosen by what that one comes to
                setting = self._journal.begin(number)
                self._open.add(number)
            else:
                setting = self._kept[number].setting
            self._next += 1
            try:
                if number in self._open and (begun := self._begin(number, setting)) is not None:
                    return begun
            except UsageError as error:
                self._damaged(number, error)
        return None

    def ended(self, name: str, ending: Ending) -> None:
        """As in `Work`."""
        going = self._going.pop(name)
        try:
            rows = going.look()
        except UsageError as error:
            self._damaged(going.number, error)
            self.board.ended(name, "failed", in_one_line(error))
            return
        if not (going.pruned or ending.kind in ("finished", "diverged", "failed")):
            self.board.ended(name, ending.kind, ending.message)
        elif not going.pruned and ending.kind == "failed" and not ending.again:
            self.failure = f"{name}: {ending.message}"
            self.board.ended(name, ending.kind, ending.message)
        else:
            how = self._end(going, rows, ending)
            self.board.ended(name, how, "" if going.pruned else ending.message)

    def look(self, running: Collection[str]) -> Collection[str]:
        """As in `Work`: those that are not worth going on."""
        for name in running:
            with suppress(UsageError):  # the run itself may say so, and `ended` does
                self._going[name].look()
        self.board.show(running)
        return [name for name in running if self._going[name].pruned]

    def _begin(self, number: int, setting: Setting) -> tuple[str, Task] | None:
        """The task of a trial; None if it was decided already that it is not worth going on."""
        member, run_dir = self._run(number, setting)
        judge = self._journal.judge(number)
        going = _Going(number, run_dir, member.config.total_timesteps, judge)
        rows = going.look()
        if going.pruned:
            self._end(going, rows, Ending("stopped"))
            return None
        self._going[_name(number)] = going
        return _name(number), Task(str(run_dir), config_to_dict(member.config))

    def _run(self, number: int, setting: Setting) -> tuple[Member, Path]:
        return self._search.trial(number, setting), self._runs / _name(number)

    def _damaged(self, number: int, error: UsageError) -> None:
        self.failure = f"{_name(number)}: {error}; without its folder it begins anew"

    def _end(self, going: _Going, rows: Rows, ending: Ending) -> str:
        """Keep what a trial came to; gives that in a word."""
        reports = [(int(row["step"]), row["mean"]) for row in rows]
        self._open.discard(going.number)
        if going.pruned:
            self._journal.end(going.number, "pruned", reports)
            return "pruned"
        if ending.kind == "finished":
            self._journal.end(going.number, "complete", reports, value=last_mean(rows))
            return "complete"
        self._journal.end(going.number, "failed", reports, message=ending.message)
        return ending.kind


def _name(number: int) -> str:
    return f"trial-{number}"
