"""The tables of docs/ask-explain.md: verdicts, kinds of cut, and tools are those that there are."""

import re
import shutil
from pathlib import Path

import pytest

import tinygrad_rl as tg
from ddpg import cli
from tests.docs.pages import as_script, fenced_blocks
from tinygrad_rl.core import CutKind
from tinygrad_rl.explain.diagnose import Status

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ask-explain.md").read_text("utf-8")
QUOTED = [lines for info, _, lines in fenced_blocks(PAGE) if not info]
VERDICTS = re.findall(r"^\| (\S) \| (\w+) \| (a gradient|zeros|None) \|", PAGE, re.MULTILINE)
PROGRAMS = {
    "reached": ("actor_loss", "actor"),
    "zero": ("zero", "actor"),
    "frozen": ("actor_loss", "critic"),
    "blocked": ("blocked", "actor"),
    "unused": ("unused", "actor"),
}


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the page has defined before it comes to pictures."""
    path = tmp_path_factory.mktemp("page") / "page.py"
    path.write_text(as_script(PAGE.partition("## For programs")[0]), "utf-8")
    found = {"__name__": "__main__"}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), found)
    return found


def test_the_table_has_each_verdict():
    assert [verdict for _, verdict, _ in VERDICTS] == [status.value for status in Status]


@pytest.mark.parametrize(("sign", "verdict", "grad"), VERDICTS, ids=lambda text: text)
def test_backward_leaves_what_the_table_says(names, sign, verdict, grad):
    function, network = PROGRAMS[verdict]
    names["actor"].zero_grad()
    names["critic"].zero_grad()
    found = tg.explain(names[function])
    assert found[f"{network}.0.weight"].status == verdict
    assert any(re.match(rf"\s*{sign}\s+{network}", line) for line in found.text().splitlines())
    names[function]().backward()
    weight = names[network][0].weight
    left = "None" if weight.grad is None else "a gradient" if weight.grad.numpy().any() else "zeros"
    assert left == grad


def without_places(lines):
    """Without names and numbers of lines, what is under them, and the last digits of numbers."""
    for line in lines:
        plain = re.sub(r"\S+\.py:\d+", "FILE", line)
        yield re.sub(r"\d\.\d+", "0.0", plain if plain.strip(" ^") else plain.strip())


def test_printed_explanations_are_those_of_the_page(names):
    assert len(QUOTED) == 3
    for lines, function in zip(QUOTED, ("actor_loss", "blocked"), strict=False):
        text = list(without_places(tg.explain(names[function]).text().splitlines()))
        assert "\n".join(without_places(lines)) in "\n".join(text)


def test_commands_print_and_draw(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copytree(DOCS / "cases", "docs/cases")
    (commands,) = [lines for info, _, lines in fenced_blocks(PAGE) if info == "bash"]
    for command in commands:
        program, *arguments = command.split()
        assert program == "ddpg"
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        assert end.value.code in (0, None)
        assert "\n".join(QUOTED[2]) in capsys.readouterr().out
    assert "--picture loss.svg" in commands[-1]
    assert Path("loss.svg").read_text("utf-8").startswith("<svg")


def test_kinds_of_cut_are_those_that_there_are():
    (said,) = re.findall(r"as `cause.kind` says it: (.*?)\n\n", PAGE, re.DOTALL)
    kinds = [kind.value for kind in CutKind if kind is not CutKind.UNFROZEN]  # never a cause
    assert re.findall(r"`([^`]+)`", " ".join(said.split())) == kinds


def test_tools_of_the_last_table_are_there():
    table = PAGE.partition("## Which one to ask")[2].partition("\n## ")[0]
    tools = set(re.findall(r"`(\w+)\b", table.replace("`.grad`", "")))
    tools -= {"backward", "cache_info"}
    assert len(tools) >= 7
    assert tools <= {*tg.__all__}
