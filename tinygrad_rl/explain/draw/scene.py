"""Shapes on a sheet of paper: written down once, shown as SVG and as PNG.

scene = Scene(200, 80, "what it shows")
scene.rect(10, 10, 60, 30, radius=4, stroke=INK)
scene.to_svg(), scene.to_png()        # both from one list of shapes, so they show the same
"""

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from tinygrad_rl.explain.draw.layout import Point

INK, FAINT, BACK, CUT, ZERO = "#22272e", "#6b7280", "#0b62b8", "#b3261e", "#9a6700"
PAPER, HATCH = "#ffffff", "#9aa3af"

_FONT = "DejaVu Sans"
_DPI = 72  # so that a point is a pixel of the scene
_NARROW, _WIDE = set("iljtf.,:;!|()[]' "), set("mwMW@%—→∇")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text will be, rather a bit too much, in pixels."""
    units = sum(0.36 if c in _NARROW else 0.9 if c in _WIDE else 0.63 for c in text)
    return units * size * (1.08 if bold else 1.0)


@dataclass
class Shape:
    """An outline, possibly filled, of pieces (command, points).

    The commands are SVG's: "M" and "L" with one point, "C" with three, "Z" with none.
    """

    pieces: Sequence[tuple[str, Sequence[Point]]]
    fill: str = "none"
    stroke: str = "none"
    width: float = 1.0
    dash: tuple[float, ...] = ()

    def svg(self) -> str:
        """As an element of an SVG document."""
        d = " ".join(
            c + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) for c, points in self.pieces
        )
        stroke = f' stroke="{self.stroke}" stroke-width="{self.width:g}" stroke-linejoin="round"'
        if self.dash:
            stroke += f' stroke-dasharray="{" ".join(f"{v:g}" for v in self.dash)}"'
        return f'<path d="{d}" fill="{self.fill}"{stroke if self.stroke != "none" else ""}/>'

    def artist(self) -> Any:
        """As an artist of matplotlib."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        kinds = {"M": Path.MOVETO, "L": Path.LINETO, "C": Path.CURVE4, "Z": Path.CLOSEPOLY}
        pieces = [(kinds[c], p) for c, points in self.pieces for p in points or [(0.0, 0.0)]]
        codes, points = zip(*pieces, strict=True)
        return PathPatch(
            Path(points, codes),
            facecolor=self.fill,
            edgecolor=self.stroke,
            linewidth=self.width,
            linestyle=(0, [v / self.width for v in self.dash] or None),
            capstyle="butt",
            joinstyle="round",
        )


@dataclass
class Words:
    """A line of text; `anchor` is start, middle or end, and `y` the base line."""

    x: float
    y: float
    text: str
    size: float
    color: str
    anchor: str = "middle"
    bold: bool = False
    halo: bool = False

    def svg(self) -> str:
        """As an element of an SVG document."""
        style = f' font-size="{self.size:g}" fill="{self.color}" text-anchor="{self.anchor}"'
        if self.bold:
            style += ' font-weight="bold"'
        if self.halo:
            style += f' stroke="{PAPER}" stroke-width="4" paint-order="stroke"'
        return f'<text x="{self.x:.1f}" y="{self.y:.1f}"{style}>{escape(self.text)}</text>'

    def artist(self) -> Any:
        """As an artist of matplotlib."""
        from matplotlib.patheffects import withStroke
        from matplotlib.text import Text

        return Text(
            self.x,
            self.y,
            self.text.replace("$", r"\$"),
            fontsize=self.size,
            color=self.color,
            ha={"start": "left", "middle": "center", "end": "right"}[self.anchor],
            va="baseline",
            fontfamily=_FONT,
            fontweight="bold" if self.bold else "normal",
            path_effects=[withStroke(linewidth=4, foreground=PAPER)] if self.halo else None,
        )


@dataclass
class Scene:
    """Shapes in the order in which they are painted. Fonts differ in signs, so those are shapes."""

    width: float
    height: float
    title: str = ""
    items: list[Shape | Words] = field(default_factory=list)

    def path(self, pieces: Sequence[tuple[str, Sequence[Point]]], **style: Any) -> None:
        """Add an outline of lines and Bezier curves."""
        self.items.append(Shape(pieces, **style))

    def line(self, *points: Point, closed: bool = False, **style: Any) -> None:
        """Add straight lines from point to point."""
        pieces = [("L" if i else "M", [p]) for i, p in enumerate(points)]
        self.path([*pieces, *([("Z", [])] if closed else [])], **style)

    def rect(self, x: float, y: float, w: float, h: float, radius: float = 0, **style: Any) -> None:
        """Add a rectangle with rounded corners."""
        r, k = min(radius, w / 2, h / 2), 0.45
        pieces = [("M", [(x + r, y)])]
        corners = ((x + w, y, 1, 0), (x + w, y + h, 0, 1), (x, y + h, -1, 0), (x, y, 0, -1))
        for cx, cy, ux, uy in corners:
            vx, vy = -uy, ux  # the direction after the turn
            a, b = (cx - k * r * ux, cy - k * r * uy), (cx + k * r * vx, cy + k * r * vy)
            pieces.append(("L", [(cx - r * ux, cy - r * uy)]))
            pieces.append(("C", [a, b, (cx + r * vx, cy + r * vy)]))
        self.path([*pieces, ("Z", [])], **style)

    def circle(self, x: float, y: float, r: float, **style: Any) -> None:
        """Add a circle."""
        self.rect(x - r, y - r, 2 * r, 2 * r, radius=r, **style)

    def text(self, x: float, y: float, text: str, size: float, color: str, **style: Any) -> None:
        """Add a line of text."""
        self.items.append(Words(x, y, text, size, color, **style))

    def hatch(self, x: float, y: float, w: float, h: float) -> None:
        """Fill a rectangle with diagonal lines."""
        for d in itertools.takewhile(lambda d: d < w + h, itertools.count(6.0, 6.0)):
            upper = (x + min(d, w), y + max(0.0, d - w))
            lower = (x + max(0.0, d - h), y + min(d, h))
            self.line(upper, lower, stroke=HATCH, width=0.8)

    def lock(self, x: float, y: float, size: float) -> None:
        """Draw a closed padlock around the point."""
        w, h, r = size * 0.8, size * 0.55, size * 0.256
        style = {"stroke": INK, "width": size * 0.13}
        self.rect(x - r, y - size * 0.42, 2 * r, h, radius=r, **style)
        self.rect(x - w / 2, y, w, h, radius=1.5, fill=INK)

    def scissors(self, x: float, y: float, size: float) -> None:
        """Draw open scissors, cutting to the left at the point."""
        r, tip, back = size * 0.2, size * 0.75, size * 0.62
        for side in (-size, size):
            eye = (x + back, y + side * 0.3)
            self.line((x - tip, y - side * 0.3), eye, stroke=CUT, width=size * 0.13)
            style = {"fill": PAPER, "stroke": CUT, "width": size * 0.12}
            self.circle(eye[0] + r * 0.8, eye[1] + math.copysign(r * 0.4, side), r, **style)

    def arrowhead(self, tip: Point, ux: float, uy: float, size: float, color: str) -> None:
        """Draw a filled triangle that points along the unit vector."""
        (x, y), side = (tip[0] - size * ux, tip[1] - size * uy), size * 0.45
        ends = (x - side * uy, y + side * ux), (x + side * uy, y - side * ux)
        self.line(tip, *ends, closed=True, fill=color)

    def to_svg(self) -> str:
        """A standalone SVG document."""
        w, h = math.ceil(self.width), math.ceil(self.height)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" '
            f'height="{h}" role="img" font-family="{_FONT}, Verdana, sans-serif">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{w}" height="{h}" fill="{PAPER}"/>',
            *(item.svg() for item in self.items),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def to_png(self, scale: float = 2.0) -> bytes:
        """A PNG file, `scale` pixels for each unit."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        w, h = math.ceil(self.width), math.ceil(self.height)
        figure = Figure(figsize=(w / _DPI, h / _DPI), dpi=_DPI * scale, facecolor=PAPER)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, w)
        axes.set_ylim(h, 0)
        for order, item in enumerate(self.items):
            artist = item.artist()
            artist.set_zorder(order)
            axes.add_artist(artist)
        out = io.BytesIO()
        figure.savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()
