"""What a page is made of: a style, tables, numbers, prose.

Text that comes from outside goes through `html.escape`; what is written here does not.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template


def fill(package: str, **values: object) -> str:
    """The template `page.html` of a package with its values, and the style that pages share."""
    style = resources.files("ddpg.run.look.html").joinpath("style.css").read_text("utf-8")
    page = resources.files(package).joinpath("page.html").read_text("utf-8")
    return Template(page).substitute(values, style=style)


def number(x: float) -> str:
    """One decimal below 10, none above, and a real minus sign."""
    text = f"{x:,.0f}" if abs(x) >= 10 else f"{x:,.1f}"
    return text.replace("-", "−")


def table(head: Iterable[str], body: Iterable[Sequence[str]], caption: str) -> str:
    """`body` is HTML; the first cell of a row names the row.

    Each cell carries its column's head along, for where a row is shown as a card of its own.
    """
    heads = list(head)
    headers = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    lines = []
    for first, *rest in body:
        cells = (f'<td data-head="{h}">{c}</td>' for h, c in zip(heads[1:], rest, strict=True))
        lines.append(f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>')
    return scroll(
        f"<table><caption>{caption}</caption><thead><tr>{headers}</tr></thead>"
        f"<tbody>\n{chr(10).join(lines)}\n</tbody></table>",
        caption,
    )


def scroll(content: str, label: str) -> str:
    """A box that is scrolled sideways by itself, by keyboard too."""
    label = escape(label)
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">{content}</div>'


def prose(text: str) -> str:
    """Plain text, in which `code` stands in backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
