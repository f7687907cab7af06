"""What a study shows while it is at work: a table that changes, on a terminal; lines in a log."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ddpg.run.disk import folder as run_folder
from ddpg.run.disk.tables import read_last
from ddpg.study.plan import Member, written

_SHOWN = 20
"""Runs in the table at most; a cluster may have more of them going on."""


@dataclass
class _Row:
    """A run that goes on.

    Attributes
    ----------
    first, at : where it was when it was first seen to have made a step, and when.
    """

    member: Member
    run_dir: Path
    steps: int = 0
    value: float | None = None
    first: int | None = None
    at: float = 0.0

    def look(self) -> None:
        """At the ends of its tables."""
        tables = (run_folder.METRICS_TABLE, run_folder.EVALUATIONS_TABLE)
        episode, evaluation = (read_last(self.run_dir / name) for name in tables)
        self.steps = int(max(row["step"] for row in (episode or _NO_ROW, evaluation or _NO_ROW)))
        if evaluation is not None:
            self.value = evaluation["mean"]
        elif episode is not None:
            self.value = episode["return"]
        if self.first is None:
            self.first, self.at = self.steps, time.monotonic()

    @property
    def speed(self) -> float:
        """Steps a second since it was first seen; 0 if there is none yet."""
        assert self.first is not None
        return max(0.0, (self.steps - self.first) / max(time.monotonic() - self.at, 1e-9))


_NO_ROW = {"step": 0}


class Board:
    """The live table, inside a `with` block.

    Parameters
    ----------
    console : where; a table is drawn on a terminal only, else a line for each end.
    members : runs with their folders, by name; looked up when a run is first shown.
    count : runs in all.
    left : environment steps that are to be made.
    ended : runs that are at their end already.
    """

    def __init__(
        self,
        console: Console,
        members: Mapping[str, tuple[Member, Path]],
        count: int,
        left: int,
        ended: int,
    ) -> None:
        self._console, self._members, self._count = console, members, count
        self._left, self._ended, self._done = left, ended, 0
        self._rows: dict[str, _Row] = {}
        self._started = time.monotonic()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def ended(self, name: str, how: str, message: str = "") -> None:
        """A run has come to an end: "stopped", or another one that it will not go on from."""
        row = self._row(name)
        row.look()
        self._rows.pop(name)
        self._done += row.steps - (row.first or 0)
        if how != "stopped":
            self._ended += 1
            self._left -= row.member.config.total_timesteps - row.steps
        value = "" if row.value is None else f", return {row.value:,.1f}"
        why = f": {message}" if message else ""
        self.say(f"{self._ended}/{self._count} {name}: {how} at step {row.steps:,}{value}{why}")

    def show(self, running: Collection[str]) -> None:
        """These go on."""
        if self._console.is_terminal:
            for name in running:
                self._row(name).look()
            self._live.update(Group(self._table(), self._line()), refresh=True)

    def _row(self, name: str) -> _Row:
        return self._rows.setdefault(name, _Row(*self._members[name]))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, expand=True, show_edge=False)
        table.add_column("run", ratio=3, overflow="ellipsis", no_wrap=True)
        table.add_column("", ratio=2)
        for name in ("step", "return", "steps/s", "time left"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in [*self._rows.values()][:_SHOWN]:
            total = row.member.config.total_timesteps
            table.add_row(
                Text(_title(row.member)),
                ProgressBar(total, row.steps),
                f"{row.steps:,}/{total:,}",
                "-" if row.value is None else f"{row.value:,.0f}",
                f"{row.speed:,.0f}" if row.speed else "-",
                _time((total - row.steps) / row.speed if row.speed else None),
            )
        if len(self._rows) > _SHOWN:
            table.add_row(f"and {len(self._rows) - _SHOWN} more")
        return table

    def _line(self) -> Text:
        done = self._done + sum(row.steps - (row.first or 0) for row in self._rows.values())
        speed = done / max(time.monotonic() - self._started, 1e-9)
        left = _time((self._left - done) / speed if done else None)
        return Text(
            f"{self._ended} of {self._count} runs, {speed:,.0f} steps/s, time left {left}",
            "bold",
        )


def _title(member: Member) -> str:
    setting = [f"{name} {written(value)}" for name, value in member.setting.items()]
    return ", ".join([member.env_id, *setting, f"seed {member.seed}"])


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, seconds = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
