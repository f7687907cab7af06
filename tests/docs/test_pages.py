"""The pages as a reader meets them: their order, their length, links, names, commands, words."""

import math
import re
import shlex
from importlib import import_module
from typing import Any

import pytest

import ddpg
import tinygrad_rl as tg
from ddpg.cli import COMMANDS
from ddpg.cli.flags import help_text, read_flags
from tests.docs.pages import README, ROOT, fenced_blocks

DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text("utf-8")
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = {p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in [README, *PAGES]}
TEXTS["CONTRIBUTING.md"] = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SOLUTION = re.compile(r"^<details>$.*?^</details>$", re.MULTILINE | re.DOTALL)
LONGEST, WORDS, LINES = 15, 200, 10  # minutes for a page; of prose and of code in a minute


def rows(numbered: bool) -> dict[str, int]:
    """File -> minutes, of one of the index's tables, in its order."""
    number = r"\| \d+ " if numbered else ""
    found = re.findall(rf"^{number}\| \[[^]]+\]\(([\w-]+\.md)\) \| (\d+) \|", INDEX, re.MULTILINE)
    return {name: int(minutes) for name, minutes in found}


LESSONS, FURTHER = rows(numbered=True), rows(numbered=False)
WITH_EXERCISE = [name for name in LESSONS if name != "glossary.md"]


def without_code(text: str) -> str:
    lines = text.splitlines()
    for _, start, inside in fenced_blocks(text):
        lines[start - 1 : start + len(inside) + 1] = [""] * (len(inside) + 2)
    return "\n".join(lines)


def minutes(text: str) -> int:
    """To read a page, its exercise aside."""
    text, _, _ = SOLUTION.sub("", text).partition("\n## Exercise")
    code = sum(bool(line.strip()) for _, _, inside in fenced_blocks(text) for line in inside)
    words = sum(any(c.isalnum() for c in word) for word in without_code(text).split())
    return math.ceil(words / WORDS + code / LINES)


def test_every_page_stands_in_the_index_once():
    assert sorted([*LESSONS, *FURTHER, "index.md"]) == [page.name for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_takes_the_time_that_the_index_says(page):
    if page.name == "index.md":
        return
    takes = minutes(page.read_text("utf-8"))
    assert takes <= LONGEST
    assert {**LESSONS, **FURTHER}[page.name] == takes


def test_a_long_page_is_told_from_a_short_one():
    assert minutes("word " * 400 + "\n```python\n" + "x = 1\n" * 20 + "```\n") == 4
    assert minutes("word\n\n## Exercise\n\n" + "word " * 4000) == 1


@pytest.mark.parametrize("name", WITH_EXERCISE)
def test_a_lesson_ends_with_an_exercise_whose_solution_is_checked(name):
    text = (DOCS / name).read_text("utf-8")
    _, _, exercise = text.partition("\n## Exercise")
    solutions = SOLUTION.findall(exercise)
    assert solutions, "no solution, folded away"
    assert any(
        "assert" in "\n".join(inside) for s in solutions for _, _, inside in fenced_blocks(s)
    )


@pytest.mark.parametrize("name", WITH_EXERCISE)
def test_a_lesson_leads_on_to_the_next(name):
    order = list(LESSONS)
    following = order[order.index(name) + 1]
    last = (DOCS / name).read_text("utf-8").rstrip().splitlines()[-1]
    assert last.startswith("Next: ") and f"]({following})" in last


# -- links and names -------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ +(.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def dead_links(where: str, text: str) -> list[str]:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        path, _, anchor = target.partition("#")
        if path.startswith(("http://", "https://")):
            continue
        file = (ROOT / where).parent / path
        page = file.read_text("utf-8") if path and file.suffix == ".md" and file.is_file() else text
        if not file.exists() or (anchor and anchor not in anchors(page)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("where", TEXTS)
def test_links_lead_somewhere(where):
    assert dead_links(where, TEXTS[where]) == []


def test_a_dead_link_is_seen():
    text = "# A b\n[x](#a-b) [y](#c) [z](docs/index.md) [w](docs/none.md)"
    assert dead_links("README.md", text) == ["#c", "docs/none.md"]


def unknown_names(text: str) -> list[str]:
    """Dotted names of the two packages, in backticks, that nothing has."""
    unknown = []
    for span in re.findall(r"`([^`\n]+)`", without_code(text)):
        for name in re.findall(r"(?<![\w./])(?:tg|tinygrad_rl|ddpg)(?:\.[A-Za-z_]\w*)+", span):
            if not name.endswith((".py", ".md", ".png", ".json")) and not exists(name):
                unknown.append(name)
    return unknown


def exists(name: str) -> bool:
    first, *parts = name.split(".")
    value: Any = {"tg": tg, "tinygrad_rl": tg, "ddpg": ddpg}[first]
    for part in parts:
        if hasattr(value, part):
            value = getattr(value, part)
            continue
        try:
            value = import_module(".".join([value.__name__, part]))
        except (ImportError, AttributeError):
            return False
    return True


@pytest.mark.parametrize("where", TEXTS)
def test_names_exist(where):
    assert unknown_names(TEXTS[where]) == []


def test_a_name_that_is_gone_is_seen():
    text = "`tg.grad(x)`, `tg.gard`, `ddpg.run.evaluate.evaluate`, `ddpg.run.none`, `ddpg/run/x.py`"
    assert unknown_names(text) == ["tg.gard", "ddpg.run.none"]


def commands(text: str) -> list[list[str]]:
    """The words of each `ddpg COMMAND ...` in a page's shell blocks."""
    lines = (
        line
        for info, _, inside in fenced_blocks(text)
        if info == "bash"
        for line in "\n".join(inside).replace("\\\n", " ").splitlines()
    )
    spoken = (re.search(r"(?:^|[ /])ddpg (.+)$", line) for line in lines)
    return [shlex.split(match[1], comments=True) for match in spoken if match]


@pytest.mark.parametrize("where", TEXTS)
def test_commands_have_the_flags_that_they_are_given(where):
    for name, *flags in commands(TEXTS[where]):
        stop = next((i for i, word in enumerate(flags) if word in (">", "|", "&&")), None)
        read_flags(COMMANDS[name], f"ddpg {name}", flags[:stop])


def unknown_flags(text: str) -> list[str]:
    """Flags in backticks that no command has."""
    known = set()
    for name, command in COMMANDS.items():
        known |= set(re.findall(r"--[a-z][\w-]*", help_text(command, f"ddpg {name}")))
    spans = re.findall(r"`((?:ddpg )?[^`\n]*--[^`\n]+)`", without_code(text))
    said = {f for s in spans if "pip " not in s for f in re.findall(r"(?<!\S)--[a-z][\w-]*", s)}
    return sorted(said - known - OTHERS)


# Of other programs: pytest, the benchmarks, ray.
OTHERS = {"--version", "--learning-rate", "--durations", "--contenders", "--sizes", "--head"}


@pytest.mark.parametrize("where", [w for w in TEXTS if "from-other-libraries" not in w])
def test_flags_exist(where):
    assert unknown_flags(TEXTS[where]) == []


# -- words -----------------------------------------------------------------------------------------

NOT_SAID = {
    r"side streets?|houses beside": "one metaphor at most",
    r"pass(es|ed|ing)? by the (frozen )?critic": "a gradient passes THROUGH the critic",
    r"\bthawed\b": "unfrozen",
    r"put_add|unslice": "scatter_add, slice_scatter",
    r"\bbattery\b": "op checks",
    r"wants? a gradient": "requires a gradient",
    r"\b1 (episodes|steps|tensors|runs|seeds)\b": "one of them is singular",
    r"\ba (int|array|object|axis|index|op|update|environment|actor|episode|error)\b(?!-)": "an",
}


def misspoken(text: str) -> list[str]:
    found = []
    for pattern, instead in NOT_SAID.items():
        found += [f"{m[0]!r}: {instead}" for m in re.finditer(pattern, text, re.IGNORECASE)]
    return found


@pytest.mark.parametrize("where", TEXTS)
def test_words_are_the_fields(where):
    assert misspoken(without_code(TEXTS[where])) == []


def test_a_wrong_word_is_seen():
    assert len(misspoken("It wants a gradient; thawed; a int; over 1 episodes; an int")) == 4
