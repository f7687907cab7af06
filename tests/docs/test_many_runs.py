"""The page's commands are run in their order; its picture of the folder is true."""

import re
from pathlib import Path

import pytest

from ddpg import cli
from ddpg.study.outcome import scores
from tests.docs.pages import fenced_blocks, run_command

PAGE = (Path(__file__).parents[2] / "docs" / "many-runs.md").read_text("utf-8")


def blocks(language: str) -> list[list[str]]:
    return [block for info, _, block in fenced_blocks(PAGE) if info == language]


@pytest.mark.slow
def test_the_page_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in (line for block in blocks("bash") for line in block):
        run_command(line)
    assert "12 runs: 12 finished" in capsys.readouterr().out
    for name in folder_of_the_page():
        assert (tmp_path / "studies" / "s1" / name).exists(), name


def folder_of_the_page() -> list[str]:
    """Paths from the study's folder on."""
    picture = next(block for block in blocks("") if block[0] == "studies/s1/")
    below, found = "", []
    for line in picture[1:]:
        indent, name = re.match(r"( +)(\S+)", line).groups()
        below = "" if len(indent) == 2 else below
        if len(indent) == 2 and name.startswith("runs/"):
            below = name
        found.append(below + name if name != below else name)
    return found


@pytest.mark.parametrize("values", re.findall(r"\| `((?:\w+=[\w.,-]+ ?)+)` \|", PAGE))
def test_what_may_be_varied_is_taken(values, tmp_path, monkeypatch, capsys):
    """The plan is made; a last flag that is wrong keeps the runs from being begun."""
    monkeypatch.chdir(tmp_path)
    words = ["study", "--env-ids", "Pendulum-v1", "--set", *values.split(), "--jobs", "100000"]
    with pytest.raises(SystemExit):
        cli.main(words)
    assert "is more than this machine's" in capsys.readouterr().err


def test_the_score_is_that_of_the_code():
    assert (scores.LAST, scores.PART) == (10, 4)
    assert "mean return of its last ten evaluations, but of no more than the last quarter" in PAGE
