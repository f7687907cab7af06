"""What the site makes of docstrings, of lists of names, and of links on pages."""

import importlib
import sys
from itertools import chain
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

import tinygrad_rl as tg

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch):
    """A module of docs/site_tools, by name."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(f"site_tools.{name}")

    yield load
    for name in [n for n in sys.modules if n.partition(".")[0] == "site_tools"]:
        del sys.modules[name]


DOC = """Scale `x*y*` by |a|, and see `tg.grad` and `assign_`; a_ is no link.
It is *not* a * b * c.

    y = scale(x)

* one
* two

Parameters
----------
x, y : float; read
    once, not `z`.
**named : others.

Returns
-------
Tensor : the product.

Notes
-----
Slow.
"""

RESTRUCTURED = r"""Scale \ ``x*y*``\  by \|a\|, and see \ :py:obj:`tg.grad <tinygrad_rl.grad>`\  and \ ``assign_``\ ; a\_ is no link.
It is *not* a \* b \* c.

::

    y = scale(x)

* one
* two

:Parameters:
    ``x``, ``y``
        float; read
        once, not \ ``z``\ .

    ``**named``
        others.

:Returns:
    ``Tensor``
        the product.

.. rubric:: Notes

Slow.
"""  # noqa: E501


def test_a_docstring_is_restructured(tools):
    assert tools("docstrings").restructured(DOC) == RESTRUCTURED


def test_subjects_are_all_names_in_their_order(tools):
    subjects = tools("subjects").subjects(tg)
    assert [*chain(*subjects.values())] == tg.__all__
    assert subjects["Gradients"][0] == "grad"
    assert "" not in subjects


def test_every_subject_has_its_place_in_the_reference(tools):
    reference = "".join(
        page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.rst")
    )
    for subject in tools("subjects").subjects(tg):
        assert reference.count(f".. subject:: tinygrad_rl {subject}\n") == 1, subject


INDEX = """# Title
[before](before.md)
## First
1. [b](b.md) and [a](a.md)
| [b](b.md) again | [source](../x.py) |
## Second
* [c](cases/README.md), [d](d.ipynb)
## Third
"""


def test_chapters_are_headings_with_links_in_their_order(tools):
    assert tools("reading_order").chapters(INDEX, PurePosixPath("docs")) == {
        "Title": ["docs/before"],
        "First": ["docs/b", "docs/a"],
        "Second": ["docs/cases/README", "docs/d"],
    }


def test_a_link_to_a_folder_leads_to_its_readme(tools, tmp_path):
    (tmp_path / "cases").mkdir()
    text = "[a](cases), [b](cases/), [c](cases/x.py), [d](page.md#cases)"
    assert tools("reading_order").with_readmes(text, tmp_path) == (
        "[a](cases/README.md), [b](cases/README.md), [c](cases/x.py), [d](page.md#cases)"
    )
