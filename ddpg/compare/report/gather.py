"""`ddpg compare --report`: everything the comparison found, as one page that needs nothing else.

    check_folder(folder)                      # before the work: may the page be written there?
    report = gather(size, seeds, rows, runs)  # what the comparison has measured, and the rest
    write(render(report), folder)             # folder/index.html

The measuring is done elsewhere (`ddpg.compare`, `ddpg.compare_train`,
`ddpg.compare_source`); this file keeps it together, `ddpg.report_html` writes it down.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tinygrad_rl as tg
from ddpg.compare.cases import CASES, Row, Size, explain
from ddpg.compare.source import CASES as COMPILED
from ddpg.compare.source import Step, compile_step
from ddpg.compare.training import Curve
from ddpg.errors import UsageError
from ddpg.run.files import write_atomically

PAGE = "index.html"
MARK = '<meta name="generator" content="ddpg compare --report">'
"""In every page written here, so that it may be replaced by a later one."""
PARTS = len(CASES) + len(COMPILED)
"""How many things are looked at for the report alone."""
REPETITIONS = 50
"""Calls of each compiled step that are timed."""


@dataclass(frozen=True)
class Report:
    """What the page is made from.

    Attributes
    ----------
    size : of the networks and the batch in the table.
    seeds : of the training runs; the first one also of the table.
    rows, explanations : the table, and `tinygrad_rl.explain`'s account of each case.
    runs : a curve for each seed, by the variant's name.
    steps : the compiled actor steps.
    """

    size: Size
    seeds: Sequence[int]
    rows: Sequence[Row]
    explanations: Mapping[str, tg.Explanation]
    runs: Mapping[str, Sequence[Curve]]
    steps: Sequence[Step]


def gather(
    size: Size,
    seeds: Sequence[int],
    rows: Sequence[Row],
    runs: Mapping[str, Sequence[Curve]],
    on_part: Callable[[], None] = lambda: None,
) -> Report:
    """Add to the table and the curves what only the report shows.

    Parameters
    ----------
    size, seeds, rows, runs : as in `Report`.
    on_part : called after each of `PARTS`.
    """
    explanations, steps = {}, []
    for name in CASES:
        explanations[name] = explain(name, size, seeds[0])
        on_part()
    for name in COMPILED:
        steps.append(compile_step(name, size, seeds[0], REPETITIONS))
        on_part()
    return Report(size, seeds, rows, explanations, runs, steps)


def check_folder(folder: Path) -> None:
    """See that a report may be written into `folder`, which need not exist yet.

    Raises
    ------
    UsageError : if it is a file, or holds anything but an earlier report.
    """
    if not folder.exists():
        if not folder.parent.is_dir():
            raise UsageError(f"there is no folder {folder.parent} for the report's folder")
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; --report takes a folder")
    other = sorted(path.name for path in folder.iterdir() if path.name != PAGE)
    if other:
        raise UsageError(f"{folder} holds something else ({other[0]}): choose an empty folder")
    page = folder / PAGE
    if page.exists() and MARK not in page.read_text("utf-8", errors="replace"):
        raise UsageError(f"{page} is no report of ddpg compare: choose an empty folder")


def write(html: str, folder: Path) -> Path:
    """Write the page in one step, over an earlier one; returns where it is."""
    folder.mkdir(exist_ok=True)
    page = folder / PAGE
    write_atomically(page, lambda beside: beside.write_text(html, "utf-8"))
    return page


def code_of(name: str) -> str:
    """A case as it is written, without the sentence that describes it."""
    lines = inspect.getsource(CASES[name]).rstrip().splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith('"""'))
