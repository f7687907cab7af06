"""The grammar of messages: `an int`, `1 episode`, whatever a value turns out to be.

A sentence is joined with names and numbers that nobody knows when it is written. So an article
before a name, and a plural after a number, come from the helpers that look: `kind`, `with_article`
and `counted`, of `tinygrad_rl.spelling` and of `ddpg.errors`.
"""

import ast
import re
from collections.abc import Iterator

from tests.house.source import Source

_ARTICLE = re.compile(r"(?:^|[\s(])[Aa]n? $")
_PLURAL = re.compile(r"[ -]([a-z]+s|axes)(?![a-z/])")
_NO_PLURAL = re.compile(
    "is|was|has|does|asks|comes|differs|ends|exists|gives|holds|keeps|lies|makes|means|names|needs|"
    "passes|reads|stands|takes|uses|belongs|as|across|besides|its|less|this|ms|s"
)
"""Words in s that follow a name, and units."""


def grammar(source: Source) -> Iterator[str]:
    """Articles and plurals in f-strings that are right for some values only."""
    strings = [node for node in source.nodes if isinstance(node, ast.JoinedStr)]
    for node in strings:
        for before, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(after, ast.FormattedValue) and _says(before, _ARTICLE):
                yield f"{source.path}:{node.lineno} an article before {{{_code(after)}}}"
            plural = isinstance(before, ast.FormattedValue) and _says(after, _PLURAL, at_start=True)
            if plural and not _NO_PLURAL.fullmatch(plural[1]) and not _code(before).isupper():
                yield f"{source.path}:{node.lineno} {{{_code(before)}}} {plural[1]}"


def _says(part: ast.expr, pattern: re.Pattern[str], at_start: bool = False) -> re.Match[str] | None:
    if not isinstance(part, ast.Constant):
        return None
    return (pattern.match if at_start else pattern.search)(part.value)


def _code(part: ast.expr) -> str:
    assert isinstance(part, ast.FormattedValue)
    return ast.unparse(part.value)
