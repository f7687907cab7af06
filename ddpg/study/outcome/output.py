"""All that a study writes of what it came to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ddpg.study.outcome.page import PAGE, render
from ddpg.study.outcome.picture import PICTURE, save_picture
from ddpg.study.outcome.summary import Summary, make_summary
from ddpg.study.outcome.tables import RUNS_TABLE, SUMMARY_TABLE, write_tables
from ddpg.study.results import Result
from tinygrad_rl import files

NAMES = (RUNS_TABLE, SUMMARY_TABLE, PICTURE, PAGE)
"""Of these files."""


def write_all(
    results: Sequence[Result], folder: Path, command: str, versions: Mapping[str, str]
) -> Summary:
    """Write tables, the picture and the page; the same runs give the same bytes.

    Parameters
    ----------
    results : of all runs, one at least.
    folder : that of the study, which is there.
    command : that made it, for the page; "" if nobody knows.
    versions : of what it was made with, by name, for the page; may be empty.

    Returns
    -------
    Summary : of all runs.
    """
    summary = make_summary(results)
    write_tables(summary, folder)
    save_picture(summary, folder / PICTURE)
    files.write_atomically(folder / PAGE, render(summary, command, versions).encode())
    return summary
