"""Docstrings as reStructuredText: numpydoc sections, in which text follows a name's colon.

numpydoc's own readers take what stands behind the colon for a type, which here is a sentence. And
what is code, in single backticks or indented, is Markdown's, as on the pages.
"""

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import tinygrad_rl

_HEADING = re.compile(r"^(\S.*)\n-{3,}\n", re.MULTILINE)
_CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])(\*\w[\w ]*\w\*)(?![\w*])")
_NAMES = set(tinygrad_rl.__all__)


def setup(app: Any) -> dict[str, bool]:
    """Have autodoc show docstrings so."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True}


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = restructured("\n".join(lines)).splitlines()


def restructured(doc: str) -> str:
    """A docstring of this project as reStructuredText."""
    text, *parts = _HEADING.split(cleandoc(doc))
    blocks = [*_paragraphs(text)]
    for title, content in zip(parts[::2], parts[1::2], strict=True):
        if title in ("Notes", "References", "Examples"):
            blocks += [f".. rubric:: {title}", *_paragraphs(content)]
        else:
            entries = "\n\n".join(_entries(content))
            blocks.append(f":{title}:\n{_indented(entries)}")
    return "\n\n".join(blocks) + "\n"


def _entries(section: str) -> Iterator[str]:
    """A definition for each `name : text`, which may go on indented; and text without a name."""
    for entry in re.split(r"\n(?=\S)", section.strip("\n")):
        names, colon, text = entry.partition(" : ")
        if colon and re.fullmatch(r"[\w.*, \[\]]+", names):
            head, rest = ", ".join(f"``{n.strip()}``" for n in names.split(",")), cleandoc(text)
            yield f"{head}\n{_indented(chr(10).join(_paragraphs(rest)))}"
        else:
            yield from _paragraphs(entry)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs and lists with their marks escaped; indented blocks as they are."""
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        if block.startswith("    "):
            yield f"::\n\n{block}"
        elif block.strip():
            yield _inline(block)


def _inline(text: str) -> str:
    """Prose: code between single backticks is code, or a link where it is a public name."""
    pieces, end = [], 0
    for match in _CODE.finditer(text):
        pieces += [_escaped(text[end : match.start()]), _code(match[2])]
        end = match.end()
    return "".join([*pieces, _escaped(text[end:])])


def _code(code: str) -> str:
    called = code.removeprefix("tg.").removesuffix("()")
    if called in _NAMES:
        return rf"\ :py:obj:`{code} <tinygrad_rl.{called}>`\ "
    return rf"\ ``{' '.join(code.split())}``\ "


def _escaped(text: str) -> str:
    """Text in which nothing but a bullet and *emphasis* is a mark."""
    parts = _EMPHASIS.split(text)
    parts[::2] = [
        re.sub(r"(?<!^)(?<!\n)[*|]|_(?=\W|$)|\\", r"\\\g<0>", part) for part in parts[::2]
    ]
    return re.sub(r"^[*](?! |\w[\w ]*\w\*)", r"\*", "".join(parts), flags=re.MULTILINE)


def _indented(text: str) -> str:
    return re.sub(r"^(?=.)", "    ", text, flags=re.MULTILINE)
