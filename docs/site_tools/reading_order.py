"""Pages as Sphinx wants them: tables of contents, and links to folders.

The order is that of the links in docs/index.md, below its title and its headings.

So the list that GitHub shows is the only one. A page that it doesn't name is an error: Sphinx warns
of pages that are in no table of contents.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

_TREE = """
```{{toctree}}
:hidden:
:maxdepth: 1
:caption: {caption}

{entries}
```
"""
FURTHER = {
    "Reference": ["docs/reference/index"],
    "Project": [
        "README",
        "CONTRIBUTING",
        "CHANGELOG",
        "benchmarks/README",
        "benchmarks/results/studies/README",
    ],
}
"""Below the pages that docs/index.md names."""


def setup(app: Any) -> dict[str, bool]:
    """Add tables of contents to pages as they are read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Any, name: str, source: list[str]) -> None:
    text = with_readmes(source[0], Path(app.srcdir, name).parent)
    if name == app.config.root_doc:
        trees = {**chapters(text, PurePosixPath(name).parent), **FURTHER}
        text += "".join(_tree(caption, names) for caption, names in trees.items())
    source[0] = text


def with_readmes(text: str, folder: Path) -> str:
    """A page in which links to folders lead to their README.md, which GitHub shows for them."""
    return re.sub(
        r"(?<=\]\()([^):#]+?)/?(?=\))",
        lambda match: f"{match[1]}/README.md" if (folder / match[1]).is_dir() else match[0],
        text,
    )


def chapters(index: str, folder: PurePosixPath) -> dict[str, list[str]]:
    """Heading -> the documents that are linked below it, each at its first mention."""
    found: dict[str, list[str]] = {}
    seen: set[str] = set()
    _, *parts = re.split(r"^#{1,2} (.+)$", index, flags=re.MULTILINE)
    for heading, body in zip(parts[::2], parts[1::2], strict=True):
        linked = [t for t in re.findall(r"\]\(([\w./-]+)\.(?:md|ipynb)\)", body) if t not in seen]
        seen.update(linked)
        if linked:
            found[heading] = [(folder / name).as_posix() for name in dict.fromkeys(linked)]
    return found


def _tree(caption: str, names: list[str]) -> str:
    return _TREE.format(caption=caption, entries="\n".join(f"/{name}" for name in names))
