"""The form of numpydoc docstrings, beyond what ruff's D rules see.

Sections have numpydoc's names and order; what `Parameters` describes exists, in the signature's
order. A docstring need not describe every parameter.
"""

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc

from tests.house.source import Function, Source

SECTIONS = (
    "Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "See Also", "Notes",
    "References", "Examples",
)  # fmt: skip
_HEADING = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)


def docstring_form(source: Source) -> Iterator[str]:
    """Docstrings whose sections are unknown or out of order, or that describe what is not there."""
    for node in source.nodes:
        if isinstance(node, Function | ast.ClassDef) and (doc := ast.get_docstring(node)):
            for problem in _problems(node, cleandoc(doc)):
                yield f"{source.path}:{node.lineno}: {node.name}: {problem}"


def _problems(node: Function | ast.ClassDef, doc: str) -> Iterator[str]:
    _, *parts = _HEADING.split(doc)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    unknown = [name for name in sections if name not in SECTIONS]
    if unknown:
        yield f"numpydoc has no section {unknown[0]!r}"
    elif list(sections) != sorted(sections, key=SECTIONS.index):
        yield f"sections are ordered {', '.join(s for s in SECTIONS if s in sections)}"
    described = list(_entries(sections.get("Parameters", "")))
    known, others = _parameters(node)
    missing = [name for name in described if name not in known]
    if missing and not others:
        yield f"no parameter {missing[0]!r}"
    described = [name for name in described if name in known]
    if described != sorted(described, key=known.index):
        yield f"parameters are not in the order of the signature: {', '.join(described)}"
    for name in _entries(sections.get("Raises", "")):
        if not re.fullmatch(r"[\w.]*(Error|Exception|Warning|Interrupt|Exit|StopIteration)", name):
            yield f"{name!r} is no exception"


def _entries(section: str) -> Iterator[str]:
    """The names at the start of the lines that are not indented."""
    for line in section.splitlines():
        if line and not line[0].isspace():
            for name in line.partition(" :")[0].rstrip(":").split(","):
                yield name.strip().lstrip("*")


def _parameters(node: Function | ast.ClassDef) -> tuple[list[str], bool]:
    """The names in a signature, and whether it takes others too.

    A class's are those of `__init__` or `__new__`, else its fields.
    """
    if isinstance(node, ast.ClassDef):
        makers = [f for f in node.body if isinstance(f, Function)]
        makers = [f for f in makers if f.name in ("__init__", "__new__")]
        if not makers:
            fields = (f.target for f in node.body if isinstance(f, ast.AnnAssign))
            return [f.id for f in fields if isinstance(f, ast.Name)], False
        node = makers[0]
    a = node.args
    names = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]
    return [arg.arg for arg in names if arg is not None], a.kwarg is not None
