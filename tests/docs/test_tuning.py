"""The page's commands and its Python are run in their order; its picture of the folder is true."""

import re
from pathlib import Path

import pytest

from ddpg.study.tuning.rerun import BEST
from ddpg.study.tuning.search import LEAST_LAG, TRIALS
from tests.docs.pages import fenced_blocks, run_command

PAGE = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text("utf-8")


def blocks(language: str) -> list[list[str]]:
    return [block for info, _, block in fenced_blocks(PAGE) if info == language]


@pytest.mark.slow
def test_the_page_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    for block in blocks("bash"):
        for line in block:
            run_command(line)
    said = capsys.readouterr().out
    assert "4 trials: " in said and "5 trials: " in said
    ((first, *below),) = blocks("")
    names = [re.match(r" +(\S+)", line)[1] for line in below]
    for name in names:
        assert (tmp_path / first / name).exists(), name
    assert {path.name for path in (tmp_path / first).iterdir()} == {
        *(name.rstrip("/") for name in names),
        "lock",
    }
    for block in blocks("python"):
        exec("\n".join(block), {})


def test_its_numbers_are_those_of_the_code():
    assert (TRIALS, BEST, LEAST_LAG) == (40, 3, 3)
    assert "forty are the default" in PAGE and "The three best" in PAGE and "*n* - 3" in PAGE
