"""Run the notebook and store what it shows: `python docs/run_tour.py` rewrites docs/tour.ipynb.

With another path the result goes there. What depends on the moment, such as times and versions, is
left out: the same outputs give the same file.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TOUR = Path(__file__).with_name("tour.ipynb")
SECONDS = 300
"""For one cell: with an empty cache two of them compile."""


def main(target: Path) -> None:
    """Execute all cells from the top, in a kernel of this Python."""
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", record_timing=False).execute()
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else TOUR)
