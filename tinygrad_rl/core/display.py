"""How a tensor shows itself: `repr`, and HTML for notebooks.

Values are those that NumPy shows, so a large tensor is shown as quickly as a small one.
"""

import html
from typing import TYPE_CHECKING

import numpy as np

from tinygrad_rl.core.context import Observer, mode
from tinygrad_rl.core.lines import Line

if TYPE_CHECKING:
    from tinygrad_rl.core.tensor import Tensor


def as_text(t: "Tensor") -> str:
    """`Tensor([1., 2.], shape=(2,), dtype=float32, requires_grad=True, op=mul)`."""
    parts = [_values(t, "Tensor("), f"shape={t.shape}", f"dtype={t.dtype}"]
    if t.requires_grad:
        parts.append("requires_grad=True")
    if t.node is not None:
        parts.append(f"op={t.node.op.name}")
    return f"Tensor({', '.join(parts)})"


def as_html(t: "Tensor") -> str:
    """A line on what the tensor is and where it comes from, then its values."""
    parts = [f"shape {t.shape}", str(t.dtype)]
    if t.requires_grad:
        parts.append("requires a gradient")
    head = html.escape(", ".join(parts))
    return f"<div><strong>Tensor</strong> {head}; {_origin(t)}</div>{monospaced(_values(t))}"


def monospaced(text: str) -> str:
    """Text as HTML that keeps its columns."""
    return f'<pre style="overflow-x: auto">{html.escape(text)}</pre>'


def _values(t: "Tensor", prefix: str = "") -> str:
    if any(type(o).on_read is not Observer.on_read for o in mode.observers):
        return "..."  # a traced tensor can be printed, its values can't be read
    return np.array2string(t._array, separator=", ", prefix=prefix, precision=6)


def _origin(t: "Tensor") -> str:
    """What made it, and by which part of which line."""
    if t.node is not None:
        return f"result of {_code(t.node.op.name)}{_at(Line.at(t.node.where))}"
    if t.cuts:
        cut = t.cuts[0]
        return f"a leaf, {html.escape(cut.title)}{_at(cut.line)}"
    return "a leaf" if t.op is None else f"result of {_code(t.op.name)}, not recorded"


def _at(line: Line) -> str:
    return f" in {_code(line.part)}" if line.part else ""


def _code(text: str) -> str:
    return f"<code>{html.escape(text)}</code>"
