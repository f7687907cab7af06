"""The site: the pages and the reference, as HTML that is read from disk without a network.

    python -m sphinx -W -q -c docs . build/site

The source is the whole tree, so that a relative link means the same on the site as in it. Every
warning is an error, and so is every reference that leads nowhere.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))  # what stands in site_tools
sys.path.insert(0, str(ROOT))  # this tree's packages are described, not those that are installed

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
PAGES += ["benchmarks/results/studies/README.md"]
PAGES += [p.relative_to(ROOT).as_posix() for p in sorted((ROOT / "docs").rglob("*.md"))]


def _linked_programs() -> list[str]:
    """The Python files that pages link to: each becomes a page with its source."""
    found = set()
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+\.py)\)", (ROOT / page).read_text("utf-8")):
            found.add((ROOT / page).parent.joinpath(target).resolve().relative_to(ROOT).as_posix())
    return sorted(found)


project = "tinygrad_rl and ddpg"
html_title = project
root_doc = "docs/index"
include_patterns = [*PAGES, "docs/tour.ipynb", *_linked_programs(), "docs/reference/*.rst"]
exclude_patterns = [".*", "build", "runs", "studies", "tunings"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "site_tools.docstrings",
    "site_tools.programs",
    "site_tools.reading_order",
    "site_tools.subjects",
]

# Pages: Markdown as GitHub shows it.
myst_heading_anchors = 4
nb_execution_mode = "off"  # the notebook has its outputs, which a test compares
smartquotes = False

# Reference: docstrings, and signatures with short names.
default_role = "code"
nitpicky = True
nitpick_ignore_regex = [
    # Described on other sites, which a page read from disk doesn't know.
    ("py:.*", r"(collections|gymnasium|io|numpy|np|os|pathlib|signal|types|typing)\..+"),
    # In annotations, but for who reads the code.
    ("py:class", r"tinygrad_rl\.(compiler\.plan|core\.node|derive|tree)\..+"),
    ("py:class", r"tinygrad_rl\.explain\.(flow|record)\..+"),
    ("py:class", r"ddpg\.study\.(plan\.Plan|tuning\.space|outcome\.statistics\.Profile).*"),
]
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

# HTML: light or dark as the reader's system; nothing from elsewhere.
html_theme = "furo"
html_static_path = ["site_tools/static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_show_search_summary = False  # which a browser can't fetch from disk
html_additional_pages = {"index": "to_first_page.html"}
templates_path = ["site_tools/templates"]
