"""The pages are run: a snippet that no longer works fails here."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, ROOT, fenced_blocks, run_page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page(page.read_text("utf-8"), page.stem, tmp_path)


def quick_start_commands(text: str) -> list[str]:
    _, _, section = re.split(r"^(#+ *Quick start.*)$", text, maxsplit=1, flags=re.MULTILINE)
    return fenced_blocks(section)[0][2]


def test_quick_start_is_two_commands():
    """CI runs the second of them, so that each has to be one line that needs nothing before it."""
    commands = quick_start_commands(README.read_text("utf-8"))
    assert len(commands) == 2
    compare, tests = commands
    assert "ddpg compare" in compare
    assert "pytest" in tests
    for command in commands:
        assert "-m venv" in command
        assert "install" in command
        assert not command.endswith("\\")


def lines_of(path: Path) -> int:
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return sum(len(file.read_text("utf-8").splitlines()) for file in files)


def counted(text: str) -> list[tuple[str, int]]:
    """(file or folder, its lines as the page says) of the reading order."""
    rows = re.findall(r"^\| `([^`]+)` \| ([\d,]+) \|", text, re.MULTILINE)
    return [(name, int(count.replace(",", ""))) for name, count in rows]


def test_line_counts_of_the_reading_order_are_true():
    """To the nearest ten, or to the nearest hundred of thousands."""
    rows = [(n, said, lines_of(ROOT / n)) for n, said in counted(README.read_text("utf-8"))]
    assert rows
    wrong = [row for row in rows if abs(row[1] - row[2]) > (10 if row[1] < 1000 else 100)]
    assert not wrong, f"(file, as the page says, lines): {wrong}"


def test_two_thousand_lines_come_first():
    first, _, _ = README.read_text("utf-8").partition("Then by interest")
    assert 1900 <= sum(lines for _, lines in counted(first)) <= 2100


def test_size_of_the_whole_is_true():
    sizes = re.search(
        r"([\d,]+) lines of engine and ([\d,]+) lines of `ddpg`", README.read_text("utf-8")
    )
    assert sizes is not None
    for said, project in zip(sizes.groups(), ("tinygrad_rl", "ddpg"), strict=True):
        lines = lines_of(ROOT / project)
        assert abs(int(said.replace(",", "")) - lines) <= 300, f"{project} has {lines} lines"


PAGE = """\
# Title
```bash
false
```
```python
x = 1
```
```python no-run
this is not Python
```
Text
```python
assert x == {expected}
```
"""


def test_blocks_share_a_namespace_and_others_are_left_out(tmp_path):
    run_page(PAGE.format(expected=1), "page", tmp_path)


def test_failing_snippet_fails_at_its_line(tmp_path):
    with pytest.raises(AssertionError) as error:
        run_page(PAGE.format(expected=2), "page", tmp_path)
    assert error.traceback[-1].lineno + 1 == 13


def test_other_ways_to_leave_out_a_block_are_refused(tmp_path):
    with pytest.raises(AssertionError, match="python no-run"):
        run_page("```python skip\nx\n```\n", "page", tmp_path)


def test_unclosed_block_is_refused():
    with pytest.raises(AssertionError, match="never closed"):
        fenced_blocks("text\n```python\nx = 1\n")
