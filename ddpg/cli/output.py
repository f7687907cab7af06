"""Standard output and error that hold out: for any encoding, and when nobody listens any more.

with steady_output():
    print("return −160 ± 90")        # in ASCII: -160 +/- 90
"""

import codecs
import errno
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

READABLE = {
    "±": "+/-",
    "∇": "grad",
    "→": "->",
    "←": "<-",
    "—": "-",
    "–": "-",
    "−": "-",
    "’": "'",
    "…": "...",
    "×": "x",
    "·": ".",
    "•": "*",
    "●": "*",
    "○": "o",
    "■": "#",
    "✂": "x",
    "✓": "+",
    "✗": "x",
}
"""What is written where an encoding lacks a character, beside the drawn lines."""
_HORIZONTAL, _VERTICAL = set("─━═╌╍┄┅┈┉╴╶╸╺╼╾"), set("│┃║╎╏┆┇┊┋╵╷╹╻╽╿")
_HANDLER = "ddpg.readable"
_GONE = {errno.EPIPE, errno.EIO}
"""What the system says when the reader of a pipe has ended, and when a terminal was closed."""


@contextmanager
def steady_output() -> Iterator[None]:
    """Inside the block no character is refused, and a reader that has gone stops nothing.

    What is written to a stream that nobody reads is dropped. Every other failure, a full disk for
    one, is an OSError as ever.
    """
    codecs.register_error(_HANDLER, _in_ascii)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (None if s is None else _Steady(s) for s in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Steady:
    """A text stream that drops what is written after its reader has gone."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._until_gone():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._until_gone():
            self._stream.flush()

    @contextmanager
    def _until_gone(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Whatever the stream still holds would fail once more at the end of the process.
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            if error.errno not in _GONE:
                raise


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """An error handler of `codecs`: the characters that cannot be encoded, as others that can."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in READABLE:
        return READABLE[character]
    if "─" <= character <= "╿":
        return "-" if character in _HORIZONTAL else "|" if character in _VERTICAL else "+"
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters or character.encode("ascii", "backslashreplace").decode()
