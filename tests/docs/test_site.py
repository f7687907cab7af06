"""The site is built without a warning, is whole, and is read and searched from disk."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import ddpg
import tinygrad_rl as tg

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.slow


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The command that CONTRIBUTING.md names, into another folder."""
    line = re.search(r"^python (-m sphinx .*?) build/site\b", _contributing(), re.MULTILINE)
    assert line is not None
    command = [sys.executable, *line[1].split(), str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}  # also where only a copy of some pages is built
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text("utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT, out)
    assert (done.returncode, done.stderr) == (0, "")
    return out


class Page(HTMLParser):
    """What a page has: its anchors, where its links lead, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.update(v for k in ("id", "name") if (v := values.get(k)))
        self.links += [v for k in ("href", "src") if (v := values.get(k))]
        if tag not in ("a", "area"):
            self.loaded += [v for k in ("href", "src", "data", "srcset") if (v := values.get(k))]


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


# -- what is there ---------------------------------------------------------------------------------


def test_every_page_is_there(site):
    sources = [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst"), *(DOCS / "cases").glob("*.py")]
    sources += [*ROOT.glob("*.md"), ROOT / "ddpg" / "config" / "presets.py"]
    assert len(sources) > 35
    for source in sources:
        page = site / source.relative_to(ROOT).with_suffix(".html")
        assert page.is_file(), f"{source.relative_to(ROOT)} is no page"
    assert 'url=docs/index.html"' in (site / "index.html").read_text("utf-8")


def test_every_public_name_is_in_the_reference(site, pages):
    described = set().union(*(p.anchors for path, p in pages.items() if "reference" in path.parts))
    modules = (tg, tg.nn, tg.nn.functional, tg.nn.init, tg.optim, tg.files, ddpg)
    names = {f"{module.__name__}.{name}" for module in modules for name in module.__all__}
    missing = {n for n in names if n not in described and f"module-{n}" not in described}
    assert not missing


def test_every_case_is_named_with_its_mistake():
    listed = (DOCS / "cases" / "README.md").read_text("utf-8")
    for case in (DOCS / "cases").glob("*.py"):
        said = re.search(rf"^\| \[{case.name}\]\({case.name}\) \| (.+) \|$", listed, re.MULTILINE)
        assert said is not None, case.name
        first = case.read_text("utf-8").splitlines()[0]
        assert first.removeprefix('"""').lower() == f"{said[1]}.".lower()


# -- links -----------------------------------------------------------------------------------------


def test_links_lead_somewhere(site, pages):
    broken = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not leads_somewhere(link, path, pages)
    ]
    assert not broken


def leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True  # elsewhere
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages or not parts.fragment:
        return target.is_file()
    return unquote(parts.fragment) in pages[target].anchors or path.name == "search.html"


def test_nothing_comes_from_elsewhere(site, pages):
    loaded = {url for page in pages.values() for url in page.loaded}
    for file in site.rglob("*.css"):
        loaded.update(re.findall(r"url\(['\"]?([^)'\"]+)|@import", file.read_text("utf-8")))
    assert len(loaded) > 20
    assert not [url for url in loaded if re.match(r"(https?:)?//", url)]


# -- search ----------------------------------------------------------------------------------------


def test_search_index_knows_words_and_names(site):
    text = (site / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    assert "satur" in index["terms"]  # saturated, saturates: words are found by their stems
    assert "stop_gradient" in str(index["objects"])
    assert "docs/freezing-is-not-blocking" in index["docnames"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
def test_search_works_from_disk(site):
    url = f"{(site / 'search.html').as_uri()}?q=stop_gradient"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += ["--virtual-time-budget=10000", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "docs/reference/gradients.html#tinygrad_rl.stop_gradient" in done.stdout
    assert "CONSOLE" not in done.stderr


# -- strictness ------------------------------------------------------------------------------------

FAULTS = [
    ("docs/index.md", "[x](nowhere.md)", "nowhere.md"),
    ("docs/index.md", "[x](../README.md#no-heading)", "no-heading"),
    ("docs/index.md", "![x](nowhere.png)", "nowhere.png"),
    ("docs/reference/index.rst", ":py:func:`tinygrad_rl.nothing`", "tinygrad_rl.nothing"),
    ("docs/left_out.md", "# A page that the index leaves out", "docs/left_out.md"),
]
"""Page, what is added to it, and what the build says of it."""


def test_what_leads_nowhere_is_an_error(tmp_path):
    for name in ("README", "CONTRIBUTING", "CHANGELOG", "benchmarks/README", "docs/index"):
        write(tmp_path / f"{name}.md", "# Title\n\n## Pages\n")
    write(tmp_path / "benchmarks/results/studies/README.md", "# Title\n")
    write(tmp_path / "docs/reference/index.rst", "Reference\n=========\n")
    shutil.copy(DOCS / "conf.py", tmp_path / "docs")
    shutil.copytree(DOCS / "site_tools", tmp_path / "docs" / "site_tools")
    right = build(tmp_path, tmp_path / "site")
    assert right.returncode == 0, right.stderr
    for page, text, _ in FAULTS:
        with (tmp_path / page).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")
    wrong = build(tmp_path, tmp_path / "site")
    assert wrong.returncode != 0
    for page, _, said in FAULTS:
        assert re.search(rf"{page}\b.*WARNING: .*", wrong.stderr), page
        assert said in wrong.stderr


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
