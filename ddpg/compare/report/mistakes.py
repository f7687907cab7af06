"""Related mistakes: the programs in docs/cases, read but not run.

    for mistake in read_mistakes(): print(mistake.title, mistake.symptom, mistake.fix)

Each is written once, as a program with `symptom()`, `diagnosis()` and `fix()`; a report says of it
what these say of themselves.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

_IN_WHEEL = Path(__file__).parent / "cases"
_IN_PROJECT = Path(__file__).parents[3] / "docs" / "cases"
FOLDER = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_PROJECT
"""A wheel, which has no docs, carries the programs beside this file."""
CULPRIT = "# <- culprit"
"""Behind the line to blame."""


@dataclass(frozen=True)
class Mistake:
    """One of the programs, in its own words; `code` stands in backticks."""

    name: str  # of its file
    title: str  # what is wrong, in a sentence
    story: str  # how it comes about
    culprit: str  # the line to blame
    symptom: str
    diagnosis: str  # what `explain` says
    fix: str
    code: str  # the program, without what it says at its top


def read_mistakes() -> list[Mistake]:
    """All of them, in the order of their names."""
    return [_read(path) for path in sorted(FOLDER.glob("*.py"))]


def _read(path: Path) -> Mistake:
    text = path.read_text("utf-8")
    program = ast.parse(text)
    (culprit,) = [line for line in text.splitlines() if CULPRIT in line]
    title, _, story = (ast.get_docstring(program) or "").partition("\n")
    said = {
        node.name: ast.get_docstring(node) or ""
        for node in program.body
        if isinstance(node, ast.FunctionDef)
    }
    symptom, diagnosis, fix = (
        " ".join(said[name].split()) for name in ("symptom", "diagnosis", "fix")
    )
    code = "\n".join(text.splitlines()[program.body[0].end_lineno :]).strip("\n")
    where = culprit.partition(CULPRIT)[0].strip()
    story = " ".join(story.split())
    return Mistake(path.name, title, story, where, symptom, diagnosis, fix, code)
