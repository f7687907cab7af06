"""The folder of the report, and what may be written into it.

check_folder(folder)            # before the work
write(html, folder, PAGE)       # folder/index.html
"""

from pathlib import Path

from ddpg.errors import UsageError
from ddpg.run.machine import check_writable
from tinygrad_rl import files

PAGE, CRITICS_PAGE = "index.html", "critics.html"
"""Of the lesson, and of the second one; both may lie in one folder."""
MARK = '<meta name="generator" content="ddpg compare --report">'
"""In every page written here, so that it may be replaced by a later one."""


def check_folder(folder: Path) -> None:
    """See that a report may be written into `folder`, which need not exist yet.

    Raises
    ------
    UsageError : if it is a file, holds anything but earlier reports, or cannot be written to.
    """
    if not folder.exists():
        if not folder.parent.is_dir():
            raise UsageError(f"there is no folder {folder.parent} for the report's folder")
        check_writable(folder.parent)
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; --report takes a folder")
    check_writable(folder)
    for path in sorted(folder.iterdir()):
        if path.name not in (PAGE, CRITICS_PAGE):
            raise UsageError(f"{folder} holds something else ({path.name}): choose an empty folder")
        if not (path.is_file() and MARK in path.read_text("utf-8", "replace")):
            raise UsageError(f"{path} is no report of ddpg compare: choose an empty folder")


def write(html: str, folder: Path, name: str) -> Path:
    """Write the page `name` in one step, over an earlier one; returns where it is."""
    folder.mkdir(exist_ok=True)
    page = folder / name
    files.write_atomically(page, html.encode())
    return page
