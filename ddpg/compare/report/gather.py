"""All that the page is made from, and where it may be written.

    check_folder(folder)                      # before the work: may the page be written there?
    report = gather(size, seeds, rows, runs)  # what the comparison has measured, and the rest
    write(render(report), folder)             # folder/index.html

The measuring is done beside this package; this file keeps it together, `html.py` writes it down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tinygrad_rl as tg
from ddpg.compare.cases import CASES, COMPILED
from ddpg.compare.measure import Measurement, Size, explain
from ddpg.compare.source import CompiledCase, compile_case
from ddpg.compare.training import Curve
from ddpg.errors import UsageError
from ddpg.run.machine import check_writable
from tinygrad_rl import files

PAGE = "index.html"
MARK = '<meta name="generator" content="ddpg compare --report">'
"""In every page written here, so that it may be replaced by a later one."""
PARTS = len(CASES) + len(COMPILED)
"""How many things are looked at for the report alone."""


@dataclass(frozen=True)
class Report:
    """What the page is made from."""

    size: Size  # of the networks and the batch in the table
    seeds: Sequence[int]  # of the training runs; the first one also of the table
    rows: Sequence[Measurement]
    explanations: Mapping[str, tg.Explanation]  # of each case, by its name
    runs: Mapping[str, Sequence[Curve]]  # a curve for each seed, by the case's name in training
    steps: Sequence[CompiledCase]


def gather(
    size: Size,
    seeds: Sequence[int],
    rows: Sequence[Measurement],
    runs: Mapping[str, Sequence[Curve]],
    on_part: Callable[[], None] = lambda: None,
) -> Report:
    """Add to the table and the curves what only the report shows, `PARTS` parts."""
    explanations, steps = {}, []
    for case in CASES:
        explanations[case.name] = explain(case, size, seeds[0])
        on_part()
    for case in COMPILED.values():
        steps.append(compile_case(case, size, seeds[0], repetitions=50))
        on_part()
    return Report(size, seeds, rows, explanations, runs, steps)


def check_folder(folder: Path) -> None:
    """See that a report may be written into `folder`, which need not exist yet.

    Raises
    ------
    UsageError : if it is a file, holds anything but an earlier report, or cannot be written to.
    """
    if not folder.exists():
        if not folder.parent.is_dir():
            raise UsageError(f"there is no folder {folder.parent} for the report's folder")
        check_writable(folder.parent)
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; --report takes a folder")
    check_writable(folder)
    other = sorted(path.name for path in folder.iterdir() if path.name != PAGE)
    if other:
        raise UsageError(f"{folder} holds something else ({other[0]}): choose an empty folder")
    page = folder / PAGE
    if page.exists() and not (page.is_file() and MARK in page.read_text("utf-8", "replace")):
        raise UsageError(f"{page} is no report of ddpg compare: choose an empty folder")


def write(html: str, folder: Path) -> Path:
    """Write the page in one step, over an earlier one; returns where it is."""
    folder.mkdir(exist_ok=True)
    page = folder / PAGE
    files.write_atomically(page, html.encode())
    return page
