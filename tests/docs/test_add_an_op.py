"""docs/add-an-op.md: its first program needs nothing else, and no kind of op is forgotten."""

import re
from pathlib import Path

import tinygrad_rl as tg
from tests.docs.pages import fenced_blocks
from tinygrad_rl.core import Op

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "add-an-op.md").read_text("utf-8")
BLOCKS = ["\n".join(lines) for info, _, lines in fenced_blocks(PAGE) if info == "python"]


def test_first_program_runs_as_it_is_pasted(tmp_path):
    path = tmp_path / "my_op.py"
    path.write_text(BLOCKS[0], "utf-8")
    names = {"__name__": "__main__"}
    exec(compile(BLOCKS[0], str(path), "exec"), names)
    assert isinstance(names["squareplus"], tg.Op)
    assert len(PAGE.partition(BLOCKS[0])[0].splitlines() + BLOCKS[0].splitlines()) <= 40


def kinds():
    """What declares an op: the decorators, and the classes of ops that are public."""
    classes = {name for name in tg.__all__ if isinstance(getattr(tg, name), type)}
    ops = {name for name in classes if issubclass(getattr(tg, name), Op)}
    return {"elementwise", "rowwise", *ops} - {"Op"}


def test_table_has_each_kind_and_there_is_one_of_each():
    table = re.findall(r"^\| (`tg\.[^|]+) \|", PAGE, re.MULTILINE)
    listed = set(re.findall(r"`tg\.(\w+)`", " ".join(table)))
    assert listed == kinds() - {"Composite"}  # of which the second page speaks
    made = set(re.findall(r"\btg\.(\w+)", "\n".join(BLOCKS)))
    assert listed <= made


def test_second_page_speaks_of_every_kind():
    text = (DOCS / "ops-with-kernels.md").read_text("utf-8")
    assert kinds() - {"elementwise"} <= set(re.findall(r"\btg\.(\w+)", text))


def test_lines_to_copy_stand_in_their_files():
    rows = re.findall(r"^\| `([\w/]+\.py)` \| `(.+)` \|$", PAGE, re.MULTILINE)
    rows = [(path, line) for path, line in rows if "__init__" not in path]
    assert len(rows) == 2
    for path, line in rows:
        text = (DOCS.parent / path).read_text("utf-8")
        assert line in [stripped.strip() for stripped in text.splitlines()], path
    assert "rsqrt" in tg.__all__
