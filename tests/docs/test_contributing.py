"""CONTRIBUTING.md is true: the map is the tree, walks never climb, hooks are what CI runs."""

import re
from pathlib import Path

import pytest

from tests.house.imports import module_graph
from tests.house.source import AGENT, ENGINE, Source, read_project
from tests.house.table import ALLOWED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
SOURCES = [Source(*file) for file in read_project(ROOT).items()]
GRAPH = module_graph(s for s in SOURCES if s.top in (ENGINE, AGENT))
MODULES = {s.path: s.module for s in SOURCES}


def section(title: str, level: str = "##") -> str:
    _, _, rest = PAGE.partition(f"\n{level} {title}\n")
    assert rest, title
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def cells(table: str, column: int) -> list[str]:
    rows = (line.split("|")[1:-1] for line in table.splitlines() if line.startswith("|"))
    return [row[column].strip() for row in rows]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def walks() -> dict[str, list[str]]:
    """Title -> the files in order."""
    titles = re.findall(r"^### (.*)$", section("Four walks"), re.MULTILINE)
    listed = (re.findall(r"^\d+\. `([^`]+)`", section(t, "###"), re.MULTILINE) for t in titles)
    return dict(zip(titles, listed, strict=True))


def climbs(files: list[str], modules: dict[str, str], graph: dict[str, set[str]]) -> list[str]:
    """Which file imports one that stands before it, by whatever way."""
    found = []
    for k, file in enumerate(files):
        reached = {modules[file]}
        new = reached
        while new:
            new = {t for m in new for t in graph.get(m, ())} - reached
            reached |= new
        found += [f"{file} imports {f}" for f in files[:k] if modules[f] in reached]
    return found


def test_map_names_every_room():
    tables = section("The map")
    for project, table in ALLOWED.items():
        start = tables.index(f"| `{project}/` |")
        rows = tables[start:].split("\n\n")[0]
        rooms = {Path(name).stem for name in quoted("".join(cells(rows, 0)[1:]))}
        assert rooms == set(table)


def test_files_of_typical_changes_exist():
    changes = section("Where a change goes")
    assert len(cells(changes, 0)) - 2 == 12
    for name in quoted("".join(cells(changes, 1))):
        places = (ROOT, ROOT / ENGINE)
        assert any((place / name).exists() for place in places), name


def test_there_are_four_walks_of_files_that_exist():
    assert len(walks()) == 4
    for title, files in walks().items():
        assert len(files) >= 4, title
        assert len(set(files)) == len(files), title
        for file in files:
            assert file in MODULES, file


@pytest.mark.parametrize("title", walks())
def test_walk_never_climbs(title):
    assert climbs(walks()[title], MODULES, GRAPH) == []


def test_a_climb_is_seen_by_whatever_way():
    modules = {"a.py": "a", "b.py": "b", "c.py": "c"}
    graph = {"a": {"b"}, "c": {"x"}, "x": {"y"}, "y": {"a"}}
    assert climbs(["a.py", "c.py"], modules, graph) == ["c.py imports a.py"]
    assert climbs(["c.py", "a.py", "b.py"], modules, graph) == []


def test_hooks_are_what_ci_runs():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    ci = (ROOT / ".ci" / "run").read_text("utf-8")
    entries = re.findall(r"^ +entry: (.+)$", hooks, re.MULTILINE)
    assert len(entries) == 4
    for entry in entries:
        tool, *arguments = entry.split()
        if tool != "python":  # the tests run all of them
            assert re.search(rf'/{tool}" ?{re.escape(" ".join(arguments))}', ci), entry
    assert entries.count("python -m pytest -q tests/test_house.py") == 1


def test_type_checkers_read_the_packages():
    assert all((ROOT / project / "py.typed").is_file() for project in (ENGINE, AGENT))


def test_changelog_has_the_version_and_what_is_new():
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    init = (ROOT / "tinygrad_rl" / "__init__.py").read_text("utf-8")
    version = re.search(r'^__version__ = "(.+)"$', init, re.M)
    titles = re.findall(r"^## \[(.+?)\]", log, re.MULTILINE)
    assert titles[0] == "Unreleased"
    assert version is not None
    assert titles[1] == version[1]
