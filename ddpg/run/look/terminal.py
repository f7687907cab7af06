"""Learning curves of several runs in a terminal: drawn in characters, told apart by letters."""

import string
import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Console
from rich.text import Text

from ddpg.run.look.curves import LearningCurve
from ddpg.run.look.interval import Statistic
from ddpg.run.look.picture import legend, what

HEIGHT, WIDEST = 16, 100
COLORS = ("blue", "red", "green", "magenta", "yellow", "cyan")
LETTERS = string.ascii_uppercase
_ROOM = 6
"""Columns at the right for letters of curves that end at the same height."""
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""A braille character's dots, by row and column of its four and two."""
_BRAILLE = 0x2800


def print_curves(
    curves: Sequence[LearningCurve], title: str, statistic: Statistic, console: Console
) -> None:
    """Draw lines, a letter at the end of each, and say below which it is and where it ends.

    Lines are of braille dots, or of their letters where the encoding has ASCII alone.
    """
    low, high = _limits([value for curve in curves for value in curve.middle])
    ticks = {row: f"{high - row * (high - low) / (HEIGHT - 1):,.4g}" for row in (0, 5, 10, 15)}
    margin = max(map(len, ticks.values()))
    width = min(console.width, WIDEST) - margin - 3
    console.print(Text(f"{title}: {what(curves)}", "bold"))
    for row, cells in enumerate(_drawn(curves, (low, high), width, console.options.ascii_only)):
        line = Text(f"{ticks.get(row, ''):>{margin}} {'┤' if row in ticks else '│'}")
        for character, color in cells:
            line.append(character, color)
        line.rstrip()
        console.print(line, no_wrap=True)
    last = f"{max(curve.steps[-1] for curve in curves):,}"
    console.print(Text(f"{'':>{margin}} └{'─' * width}"), no_wrap=True)
    console.print(Text(f"{'':>{margin}}  0{'steps':^{width - len(last) - 1}}{last}"), no_wrap=True)
    for i, curve in enumerate(curves):
        said = f"{legend(curve, statistic)}: {_end(curve)}"
        lines = textwrap.wrap(said, console.width, initial_indent="   ", subsequent_indent="   ")
        console.print(Text(_letter(i), _color(i)).append(lines[0][1:], "default"))
        for rest in lines[1:]:
            console.print(Text(rest))


def _end(curve: LearningCurve) -> str:
    interval = ""
    if curve.low is not None and curve.high is not None:
        interval = f" [{curve.low[-1]:,.1f}, {curve.high[-1]:,.1f}]"
    return f"{curve.middle[-1]:,.1f}{interval} at step {curve.steps[-1]:,}"


def _limits(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 1.0, high + 1.0)


def _letter(index: int) -> str:
    return LETTERS[index % len(LETTERS)]


def _color(index: int) -> str:
    return COLORS[index % len(COLORS)]


Cells = list[list[tuple[str, str]]]
"""Rows of characters with their colors."""


def _drawn(
    curves: Sequence[LearningCurve], limits: tuple[float, float], width: int, ascii_only: bool
) -> Cells:
    down, across = (1, 1) if ascii_only else (4, 2)
    last, (low, high) = max(curve.steps[-1] for curve in curves), limits
    cells: Cells = [[(" ", "")] * width for _ in range(HEIGHT)]
    ends = []
    for i, curve in enumerate(curves):
        x = curve.steps / last * ((width - min(len(curves), _ROOM)) * across - 1)
        y = (high - curve.middle) / (high - low) * (HEIGHT * down - 1)
        dots = list(_line(x, y))
        for column, row in dots:
            before, _ = cells[row // down][column // across]
            dot = _DOTS[row % down][column % across]
            mark = _letter(i) if ascii_only else _with_dot(before, dot)
            cells[row // down][column // across] = mark, _color(i)
        column, row = dots[-1]
        ends.append((cells[row // down], column // across + 1))
    for i, (line, column) in enumerate(ends):
        free = (c for c in range(column, min(column + _ROOM, width)) if line[c][0] == " ")
        line[next(free, min(column, width - 1))] = _letter(i), _color(i)
    return cells


def _line(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, int]]:
    """The columns and rows of a line through these points, without a gap."""
    columns = np.arange(round(x[0]), round(x[-1]) + 1)
    rows = np.interp(columns, x, y).round().astype(int).tolist()
    for column, before, row in zip(columns.tolist(), [rows[0], *rows], rows, strict=False):
        step = 1 if row >= before else -1
        for between in range(before + step if row != before else row, row + step, step):
            yield column, between


def _with_dot(character: str, dot: int) -> str:
    dots = ord(character) - _BRAILLE if character != " " else 0
    return chr(_BRAILLE + (dots | dot))
