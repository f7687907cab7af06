"""What the commands show while they work: a live bar on a terminal, plain lines in a log.

Everything goes to standard error, so that standard output stays for results.
"""

import math
import sys
import time
from contextlib import suppress
from typing import IO, Any, Self, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from ddpg.run.q_error import QError

_REDRAW_SECONDS = 0.2
_NO_Q = "Q -"


class ProgressConsole(Console):
    """Standard error; what can't be written there any more ends no computation."""

    def __init__(self) -> None:
        file = None if sys.stderr is None else cast(IO[str], _Lossy(sys.stderr))
        super().__init__(stderr=True, file=file)


class _Lossy:
    """A stream that drops what can't be written: no reader any more, no terminal, no space."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _LiveBar:
    """A bar that is drawn while it is entered, on a terminal only, and not too often."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._bar = Progress(
            *columns,
            TimeRemainingColumn(compact=True),
            console=console,
            auto_refresh=False,  # no thread beside the computation
            disable=not console.is_terminal,
            expand=True,
        )
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now - self._drawn_at < _REDRAW_SECONDS:
            return False
        self._drawn_at = now
        return True


class TrainProgress(_LiveBar):
    """A training run's bar: steps, the last returns, what Q says too much, speed, time left.

    If the console is no terminal, only evaluations are printed.
    """

    def __init__(self, total_steps: int, done: int, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            BarColumn(bar_width=None),
            TextColumn("return {task.fields[episode]}"),
            TextColumn("eval {task.fields[evaluation]}"),
            TextColumn("{task.fields[note]}"),
            _Speed(table_column=Column(no_wrap=True)),  # else it shrinks with the bar
        )
        self._console = console
        self._task = self._bar.add_task(
            "", total=total_steps, completed=done, episode="-", evaluation="-", note=_NO_Q
        )
        self._steps = done
        self._q = _NO_Q

    def __exit__(self, *error: object) -> None:
        self._bar.update(self._task, completed=self._steps)
        super().__exit__(*error)

    def step(self, step: int) -> None:
        """`step` environment steps are done."""
        self._steps = step
        if self._is_due():
            self._bar.update(self._task, completed=step, note=self._q, refresh=True)

    def note(self, text: str) -> None:
        """What comes before the next step takes its time, once; said in the place of Q's error."""
        self._bar.update(self._task, completed=self._steps, note=text, refresh=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def episode(self, episode_return: float) -> None:
        """A training episode ended."""
        self._bar.update(self._task, episode=f"{episode_return:,.0f}")

    def evaluation(self, step: int, mean: float, std: float, error: QError) -> None:
        """An evaluation ended, with these returns, and Q was off by so much."""
        self._q = f"Q {_percent(error.q_bias)}"
        self._bar.update(self._task, evaluation=f"{mean:,.0f}", note=self._q)
        if self._bar.disable:
            self.say(f"step {step:,}: return {mean:,.1f} ± {std:,.1f}, Q {error}")


class StageProgress(_LiveBar):
    """A bar for work that has several stages, each with a name and a length of its own."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console,
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f} %"),
        )

    def stage(self, name: str, total: int) -> None:
        """The next stage begins; it has `total` steps."""
        self._task = self._bar.add_task(name, total=total)
        self._bar.refresh()

    def advance(self) -> None:
        """A step of the current stage is done."""
        self._bar.advance(self._task)
        if self._is_due():
            self._bar.refresh()


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} steps/s")


def _percent(share: float) -> str:
    """In few characters, for the bar."""
    if math.isnan(share):
        return "nan"
    if abs(share) < 10.0:
        return f"{100 * share:+.0f} %"
    return ">999 %" if share > 0.0 else "<-999 %"
