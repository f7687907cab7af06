"""A place in the user's code: the line, and which part of it, to the column.

line = Line.at(where)
line.code[slice(*line.marked)]        # 'lab.actor(lab.obs).detach()'
line.excerpt(40)                      # the line cut to 40 characters, around that part
"""

import functools
import linecache
import re
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from tinygrad_rl.core.context import Where, place

_CUT = "…"
_CELL = re.compile(r"\bipykernel_\d+[/\\]\d+\.py$")


class Line(NamedTuple):
    """A line of the user's code, and the part of it that is meant.

    Attributes
    ----------
    start, end : the columns of the part in the file's line, in bytes of UTF-8; 0, 0 for unknown.
        `end` is -1 where the part goes on in the next line.
    """

    file: str
    number: int
    start: int = 0
    end: int = 0

    @classmethod
    def at(cls, where: Where | None) -> "Line":
        """The line of what `core.caller` found; its number is 0 where there is none."""
        return cls(*place(where), *_columns(*where)) if where else cls(*place(where))

    @classmethod
    def of_frame(cls, frame: FrameType) -> "Line":
        """The line at which a running function is."""
        columns = _columns(frame.f_code, frame.f_lasti)
        return cls(frame.f_code.co_filename, frame.f_lineno, *columns)

    @property
    def code(self) -> str:
        """The text of the line, stripped; empty when the source can't be read."""
        return self._text.strip()

    @property
    def column(self) -> int:
        """Where the part begins, from 1 as editors count; 0 for unknown."""
        return (
            len(self._text.encode()[: self.start].decode(errors="replace")) + 1 if self.end else 0
        )

    @property
    def marked(self) -> tuple[int, int]:
        """Start and end of the part in `code`; 0, 0 where it is all there is, or unknown."""
        indent = len(self._text) - len(self._text.lstrip())
        start, end = self.column - 1 - indent, len(self.code)
        if self.end > 0:
            end = self._characters(self.end) - indent
        whole = (start, end) == (0, len(self.code))
        return (0, 0) if whole or not 0 <= start < end <= len(self.code) else (start, end)

    @property
    def part(self) -> str:
        """The text of the part; the whole line where it is all there is, or unknown."""
        start, end = self.marked
        return self.code[start:end] if end else self.code

    def excerpt(self, width: int) -> tuple[str, int, int]:
        """At most so many characters of `code`, around the part, and where this is in them."""
        code, (start, end) = self.code, self.marked
        if len(code) <= width:
            return code, start, end
        if end - start > width - 2:  # its ends tell it apart, its middle does not
            lead = _CUT * (start > 0)
            room = width - len(lead) - 2
            left = code[start : start + (room + 1) // 2]
            right = code[end - room // 2 : end]
            text = f"{lead}{left}{_CUT}{right}{_CUT * (end < len(code))}"
            return text, len(lead), len(text) - (end < len(code))
        first = 0 if end < width else min(start, max(0, (start + end - width) // 2))
        if len(code) - first <= width:
            first = len(code) - width
        text = code[first : first + width]
        text = f"{_CUT}{text[1:]}" if first else text
        text = text if first + width >= len(code) else f"{text[:-1]}{_CUT}"
        return (text, start - first, end - first) if end else (text, 0, 0)

    def _characters(self, column: int) -> int:
        return len(self._text.encode()[:column].decode(errors="replace"))

    @property
    def _text(self) -> str:
        return linecache.getline(self.file, self.number).rstrip()

    @property
    def short(self) -> str:
        """`file.py:12`; `cell:3` in a cell of a notebook, whose file has a number for a name."""
        name = "cell" if _CELL.search(self.file) else Path(self.file).name
        return f"{name}:{self.number}"

    def __str__(self) -> str:
        path = Path(self.file)
        try:
            path = path.relative_to(Path.cwd())
        except ValueError:
            return self.short
        return f"{path}:{self.number}"


def at(where: Where | None) -> str:
    """`file.py:12:15`, for messages: editors jump there; `file.py:12` where no column is known."""
    line = Line.at(where)
    return f"{line.file}:{line.number}" + (f":{line.column}" if line.column else "")


@functools.lru_cache(maxsize=1024)
def _positions(code: CodeType) -> list[tuple[int | None, int | None, int | None, int | None]]:
    return list(code.co_positions())


def _columns(code: CodeType, instruction: int) -> tuple[int, int]:
    """Start and end of what an instruction was compiled from, in its first line."""
    if instruction < 0:
        return 0, 0
    line, last_line, start, end = _positions(code)[instruction // 2]
    if line is None or start is None or end is None:  # Python was told to keep no columns
        return 0, 0
    return start, end if last_line == line else -1
