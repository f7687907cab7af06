"""Rules about length: what a reader can see whole."""

from collections.abc import Iterator

from tests.house.source import Source

FILE, FUNCTION = 500, 60


def long_file(source: Source) -> Iterator[str]:
    """Files that should be two."""
    lines = len(source.text.splitlines())
    if lines > FILE:
        yield f"{source.path}: {lines} lines, more than {FILE}"


def long_functions(source: Source) -> Iterator[str]:
    """Functions that nobody sees whole."""
    for f in source.functions:
        assert f.end_lineno is not None
        lines = f.end_lineno - f.lineno + 1
        if lines > FUNCTION:
            yield f"{source.path}:{f.lineno}: {f.name} has {lines} lines, more than {FUNCTION}"
