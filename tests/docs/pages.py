"""The blocks of a page: found, and run."""

import re
import shlex
from pathlib import Path

import pytest

from ddpg import cli

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,}) *([^`]*)$")


def fenced_blocks(text: str) -> list[tuple[str, int, list[str]]]:
    """Return (info string, index of the first line inside, lines) of each fenced block."""
    blocks: list[tuple[str, int, list[str]]] = []
    fence = ""
    for index, line in enumerate(text.splitlines()):
        match = FENCE.match(line)
        if fence and match and match[1].startswith(fence) and not match[2].strip():
            fence = ""
        elif fence:
            blocks[-1][2].append(line)
        elif match:
            fence = match[1]
            blocks.append((match[2].strip(), index + 1, []))
    assert not fence, f"the block that starts in line {blocks[-1][1]} is never closed"
    return blocks


def as_script(text: str) -> str:
    """Return the page with all but its Python blanked out, so that line numbers stay the page's.

    Only blocks marked `python no-run` are left out.
    """
    script = [""] * len(text.splitlines())
    for info, start, lines in fenced_blocks(text):
        if info == "python":
            script[start : start + len(lines)] = lines
        else:
            allowed = info == "python no-run" or not info.lower().startswith(("python", "py"))
            assert allowed, f"line {start}: a block is `python` or `python no-run`, not `{info}`"
    return "\n".join(script) + "\n"


def run_page(text: str, name: str, folder: Path) -> None:
    """Run the page's snippets in one namespace, from a file that tracebacks can show."""
    path = folder / f"{name}.py"
    path.write_text(as_script(text), "utf-8")
    exec(compile(path.read_text("utf-8"), str(path), "exec"), {"__name__": "__main__"})


def run_command(line: str) -> None:
    """Run a line of a page, which begins with `ddpg`, in this process."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "ddpg"
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code in (0, None), line
