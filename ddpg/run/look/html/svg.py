"""Drawn figures as elements of a page."""

import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure


def as_svg(figure: Figure, prefix: str, title: str) -> str:
    """The figure as an SVG element that may stand in a page beside others.

    Parameters
    ----------
    prefix : of all ids in it, so that no other figure's is the same.
    title : HTML, for those who do not see it.
    """
    text = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix, "font.size": 11}):
        figure.savefig(text, format="svg", metadata=nothing)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", svg)
    return svg.replace(">", f' role="img" aria-label="{title}">\n<title>{title}</title>', 1)
