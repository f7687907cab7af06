"""The page is true beyond its snippets: its commands, its picture of the folder, its numbers."""

import re
import shlex
from pathlib import Path

import pytest

from ddpg import DDPGConfig, cli
from ddpg.config import RESUMABLE, TrainConfig
from ddpg.run import evaluate, hints, q_error
from ddpg.run.disk import transitions
from ddpg.run.log import EPISODE_COLUMNS, EVALUATION_COLUMNS
from ddpg.run.runs import train
from tests.docs.pages import fenced_blocks

PAGE = (Path(__file__).parents[2] / "docs" / "what-a-run-promises.md").read_text("utf-8")
TEXT = " ".join(PAGE.split())


def commands() -> list[list[str]]:
    lines = [line for info, _, block in fenced_blocks(PAGE) if info == "bash" for line in block]
    return [shlex.split(line, comments=True) for line in lines]


def files_in(run_dir: Path) -> dict[str, bytes]:
    paths = [path for path in run_dir.rglob("*") if path.is_file()]
    return {str(path.relative_to(run_dir)): path.read_bytes() for path in paths}


def tree() -> set[str]:
    """The files of the page's picture."""
    picture = next(block for _, _, block in fenced_blocks(PAGE) if block[0] == "runs/p1/")
    folder, files = "", set()
    for line in picture[1:]:
        indent, name = re.match(r"( +)(\S+)", line).groups()
        folder = folder if len(indent) > 2 else ""
        if name.endswith("/"):
            folder = name
        else:
            files.add(folder + name)
    return files


def test_commands_do_what_they_say_in_their_order(tmp_path, monkeypatch, capsys):
    """And what went on in a copy is the run that never ended."""
    monkeypatch.chdir(tmp_path)
    for program, *arguments in commands():
        assert program == "ddpg"
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code in (0, None), (arguments, capsys.readouterr().err)
    train(TrainConfig(total_timesteps=2000, seed=1), Path("never-ended"))
    assert files_in(Path("runs/p2")) == files_in(Path("never-ended"))
    assert len((tmp_path / "runs/p1/checkpoint/replay.f32").read_bytes()) == 1500 * 40


def test_folder_is_the_one_on_the_page(tmp_path):
    settings = DDPGConfig(compile=False, hidden=(4,))
    train(
        TrainConfig(total_timesteps=150, eval_every=100, eval_episodes=1, ddpg=settings), tmp_path
    )
    earlier = {"checkpoint/model.safetensors", "checkpoint/best.safetensors"}
    assert {*files_in(tmp_path), *earlier} == tree()


def test_columns_are_those_of_the_tables():
    rows = re.findall(r"^\| (`.+?`) \| .* \|$", PAGE, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(names) == sorted((*EPISODE_COLUMNS, *EVALUATION_COLUMNS))


def test_settings_that_may_change_are_those_on_the_page():
    (sentence,) = re.findall(r"keeps its settings; (.*?) can be changed", TEXT)
    flags = re.findall(r"`--([\w-]+)`", sentence)
    assert {flag.replace("-", "_") for flag in flags} == {*RESUMABLE}


def test_numbers_are_those_of_the_code():
    assert f"each block of {transitions.BLOCK:,} transitions" in TEXT
    assert f"not ended after {evaluate.LONGEST:,} steps" in TEXT
    assert f"or of {q_error.SMALLEST_SCALE:.0f} where that is larger" in TEXT
    assert f"for {hints.STEPS:,} steps, and {hints.EPISODES} episodes at least" in TEXT
    assert f"more than {100 * hints.BEYOND:.0f} % of the range" in TEXT
    assert f"more than {100 * hints.SATURATED:.0f} % of its actions" in TEXT
    assert TrainConfig().eval_episodes == 10
    assert "luck on ten start states" in TEXT
    assert evaluate.FIRST_SEED + 100 <= 5000  # the page's --seed: none of an evaluation's
