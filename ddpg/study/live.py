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

from ddpg.config import in_words
from ddpg.errors import counted
from ddpg.run.disk import folder as run_folder
from ddpg.run.disk.tables import read_last
from ddpg.study.folder import steps_of
from ddpg.study.plan import Member

_SHOWN = 20
"""Runs in the table at most; a cluster may have more of them going on."""
_PER_SECOND = 100
"""Runs whose tables are looked at, at most."""
_WIDE = 100
"""Columns from which on there is room for bars."""


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
        self.steps = steps_of(self.run_dir)
        if evaluation := read_last(self.run_dir / run_folder.EVALUATIONS_TABLE):
            self.value = evaluation.get("mean")
        elif episode := read_last(self.run_dir / run_folder.METRICS_TABLE):
            self.value = episode.get("return")
        if self.first is None:
            self.first, self.at = self.steps, time.monotonic()

    @property
    def speed(self) -> float:
        """Steps a second since it was first seen; 0 if there is none yet."""
        assert self.first is not None
        return max(0.0, (self.steps - self.first) / max(time.monotonic() - self.at, 1e-9))


class Board:
    """The live table, inside a `with` block.

    Parameters
    ----------
    console : where; a table is drawn on a terminal only, else a line for each end.
    members : all runs of the study with their folders, by name.
    left : the names of those that are to be carried out.
    """

    def __init__(
        self, console: Console, members: Mapping[str, tuple[Member, Path]], left: Collection[str]
    ) -> None:
        self._console, self._members = console, members
        steps = [m.config.total_timesteps - steps_of(p) for m, p in (members[n] for n in left)]
        self._left, self._ended, self._done = sum(steps), len(members) - len(left), 0
        self._rows: dict[str, _Row] = {}
        self._started, self._looked_at = time.monotonic(), 0.0
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
        """A run has come to an end; unless it was stopped, it will not go on from there."""
        row = self._row(name)
        row.look()
        self._rows.pop(name)
        self._done += row.steps - (row.first or 0)
        if how != "stopped":
            self._ended += 1
            self._left -= row.member.config.total_timesteps - row.steps
        value = "" if row.value is None else f", return {row.value:,.1f}"
        why = f": {message}" if message else ""
        self.say(
            f"{self._ended}/{len(self._members)} {name}: {how} at step {row.steps:,}{value}{why}"
        )

    def show(self, running: Collection[str]) -> None:
        """These go on."""
        now = time.monotonic()
        if self._console.is_terminal and now - self._looked_at > len(running) / _PER_SECOND:
            self._looked_at = now
            for name in running:
                self._row(name).look()
            self._live.update(Group(self._table(), self._line()), refresh=True)

    def _row(self, name: str) -> _Row:
        return self._rows.setdefault(name, _Row(*self._members[name]))

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, expand=True, show_edge=False)
        wide = self._console.width >= _WIDE
        table.add_column("run", ratio=3, overflow="ellipsis", no_wrap=True)
        if wide:
            table.add_column("", ratio=2)
        for name in ("step", "return", "steps/s", "time left"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in [*self._rows.values()][:_SHOWN]:
            total = row.member.config.total_timesteps
            bar = [ProgressBar(total, row.steps)] if wide else []
            table.add_row(
                Text(_title(row.member)),
                *bar,
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
            f"{self._ended} of {counted(len(self._members), 'run')}, {speed:,.0f} steps/s, "
            f"time left {left}",
            "bold",
        )


def _title(member: Member) -> str:
    parts = (member.env_id, in_words(member.setting), f"seed {member.seed}")
    return ", ".join(part for part in parts if part)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, seconds = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
