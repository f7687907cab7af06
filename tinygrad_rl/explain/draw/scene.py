"""A few shapes, and two ways to write them: as SVG text and as PNG pixels.

    scene = Scene(200, 100)
    scene.rect(10, 10, 80, 40, fill="#fff", stroke="#333")
    to_svg(scene)
    to_png(scene, scale=2)

Both come from the same list of shapes, so the two files show the same. Signs such as the lock are
drawn from lines: fonts differ in what they have.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

FONT = "DejaVu Sans"
Point = tuple[float, float]
_NARROW, _WIDE = set("iljtf.,:;!|()[]' "), set("mwMW@%—→∇")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text will be, rather a bit too much, in pixels."""
    units = sum(0.36 if c in _NARROW else 0.9 if c in _WIDE else 0.63 for c in text)
    return units * size * (1.08 if bold else 1.0)


@dataclass
class Shape:
    """An outline, possibly filled.

    `segments` are (command, points): "M" and "L" with one point, "C" with three, "Z" with none.
    """

    segments: list[tuple[str, tuple[Point, ...]]]
    fill: str = "none"
    stroke: str = "none"
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass
class Text:
    """A line of text; `anchor` is start, middle or end, and `y` the base line."""

    x: float
    y: float
    text: str
    size: float
    color: str
    anchor: str = "middle"
    bold: bool = False
    halo: bool = False


@dataclass
class Scene:
    """Shapes in the order in which they are painted."""

    width: float
    height: float
    title: str = ""
    items: list[Shape | Text] = field(default_factory=list)

    def path(self, segments: list[tuple[str, tuple[Point, ...]]], **style: Any) -> None:
        """Add an outline of lines and Bezier curves."""
        self.items.append(Shape(segments, **style))

    def line(self, points: Sequence[Point], **style: Any) -> None:
        """Add straight lines from point to point."""
        self.path([("M" if i == 0 else "L", (p,)) for i, p in enumerate(points)], **style)

    def polygon(self, points: Sequence[Point], **style: Any) -> None:
        """Add a closed shape with straight sides."""
        self.path(
            [*(("M" if i == 0 else "L", (p,)) for i, p in enumerate(points)), ("Z", ())], **style
        )

    def rect(self, x: float, y: float, w: float, h: float, radius: float = 0, **style: Any) -> None:
        """Add a rectangle with rounded corners."""
        r, k = min(radius, w / 2, h / 2), 0.45
        segments: list[tuple[str, tuple[Point, ...]]] = [("M", ((x + r, y),))]
        corners = ((x + w, y, 1, 0), (x + w, y + h, 0, 1), (x, y + h, -1, 0), (x, y, 0, -1))
        for cx, cy, ux, uy in corners:
            vx, vy = -uy, ux  # the direction after the turn
            start, end = (cx - r * ux, cy - r * uy), (cx + r * vx, cy + r * vy)
            segments.append(("L", (start,)))
            if r:
                a = (cx - k * r * ux, cy - k * r * uy)
                b = (cx + k * r * vx, cy + k * r * vy)
                segments.append(("C", (a, b, end)))
        self.path([*segments, ("Z", ())], **style)

    def circle(self, x: float, y: float, r: float, **style: Any) -> None:
        """Add a circle."""
        self.rect(x - r, y - r, 2 * r, 2 * r, radius=r, **style)

    def text(self, x: float, y: float, text: str, size: float, color: str, **style: Any) -> None:
        """Add a line of text."""
        self.items.append(Text(x, y, text, size, color, **style))

    # -- signs -----------------------------------------------------------------------------------

    def hatch(self, x: float, y: float, w: float, h: float, color: str, step: float = 6) -> None:
        """Fill a rectangle with diagonal lines."""
        segments: list[tuple[str, tuple[Point, ...]]] = []
        for i in range(1, math.ceil((w + h) / step)):
            d = i * step
            segments.append(("M", ((x + min(d, w), y + max(0.0, d - w)),)))
            segments.append(("L", ((x + max(0.0, d - h), y + min(d, h)),)))
        self.path(segments, stroke=color, width=0.8)

    def lock(self, x: float, y: float, size: float, color: str) -> None:
        """Draw a closed padlock around the point."""
        w, h = size * 0.8, size * 0.55
        self.rect(x - w / 2, y, w, h, radius=1.5, fill=color)
        r, top = w * 0.32, y - size * 0.42
        self.path(
            [
                ("M", ((x - r, y),)),
                ("L", ((x - r, top + r),)),
                ("C", ((x - r, top - r * 0.3), (x + r, top - r * 0.3), (x + r, top + r))),
                ("L", ((x + r, y),)),
            ],
            stroke=color,
            width=size * 0.13,
        )

    def scissors(self, x: float, y: float, size: float, color: str) -> None:
        """Draw open scissors, cutting to the left at the point."""
        r, tip, back = size * 0.2, size * 0.75, size * 0.62
        for sign in (-1, 1):
            eye = (x + back, y + sign * size * 0.3)
            self.line([(x - tip, y - sign * size * 0.3), eye], stroke=color, width=size * 0.13)
            self.circle(
                eye[0] + r * 0.8,
                eye[1] + sign * r * 0.4,
                r,
                fill="#ffffff",
                stroke=color,
                width=size * 0.12,
            )

    def arrowhead(self, tip: Point, direction: Point, size: float, color: str) -> None:
        """Draw a filled triangle that points along `direction`."""
        n = math.hypot(*direction) or 1.0
        ux, uy = direction[0] / n, direction[1] / n
        base = (tip[0] - size * ux, tip[1] - size * uy)
        side = size * 0.45
        self.polygon(
            [
                tip,
                (base[0] - side * uy, base[1] + side * ux),
                (base[0] + side * uy, base[1] - side * ux),
            ],
            fill=color,
        )


# -- SVG -------------------------------------------------------------------------------------------


def to_svg(scene: Scene) -> str:
    """The scene as a standalone SVG document."""
    w, h = math.ceil(scene.width), math.ceil(scene.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
        f'role="img" font-family="{FONT}, Verdana, sans-serif">',
        f"<title>{escape(scene.title)}</title>",
        f'<rect width="{w}" height="{h}" fill="#ffffff"/>',
        *(_svg_text(i) if isinstance(i, Text) else _svg_shape(i) for i in scene.items),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _svg_shape(s: Shape) -> str:
    d = " ".join(c + " ".join(f"{x:.1f},{y:.1f}" for x, y in points) for c, points in s.segments)
    stroke = ""
    if s.stroke != "none":
        stroke = f' stroke="{s.stroke}" stroke-width="{s.width:g}" stroke-linejoin="round"'
        if s.dash:
            stroke += f' stroke-dasharray="{" ".join(f"{v:g}" for v in s.dash)}"'
    return f'<path d="{d}" fill="{s.fill}"{stroke}/>'


def _svg_text(t: Text) -> str:
    style = f' font-size="{t.size:g}" fill="{t.color}" text-anchor="{t.anchor}"'
    if t.bold:
        style += ' font-weight="bold"'
    if t.halo:
        style += ' stroke="#ffffff" stroke-width="4" paint-order="stroke" stroke-linejoin="round"'
    return f'<text x="{t.x:.1f}" y="{t.y:.1f}"{style}>{escape(t.text)}</text>'


# -- PNG -------------------------------------------------------------------------------------------

_DPI = 72  # so that a point is a pixel of the scene


def to_png(scene: Scene, scale: float = 2.0) -> bytes:
    """The scene as a PNG file, `scale` pixels for each unit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    w, h = math.ceil(scene.width), math.ceil(scene.height)
    figure = Figure(figsize=(w / _DPI, h / _DPI), dpi=_DPI * scale, facecolor="#ffffff")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, w)
    axes.set_ylim(h, 0)
    for order, item in enumerate(scene.items):
        artist = _png_text(item) if isinstance(item, Text) else _png_shape(item)
        artist.set_zorder(order)
        axes.add_artist(artist)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _png_shape(s: Shape) -> Any:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    codes, points = [], []
    kinds = {"M": Outline.MOVETO, "L": Outline.LINETO, "C": Outline.CURVE4}
    for command, given in s.segments:
        codes += [kinds[command]] * len(given) if command != "Z" else [Outline.CLOSEPOLY]
        points += list(given) if command != "Z" else [(0.0, 0.0)]
    style: Any = "-" if not s.dash else (0, tuple(v / s.width for v in s.dash))
    return PathPatch(
        Outline(points, codes),
        facecolor=s.fill,
        edgecolor=s.stroke,
        linewidth=s.width if s.stroke != "none" else 0,
        linestyle=style,
        capstyle="butt",
        joinstyle="round",
    )


def _png_text(t: Text) -> Any:
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text as Label

    label = Label(
        t.x,
        t.y,
        t.text.replace("$", r"\$"),
        fontsize=t.size,
        color=t.color,
        ha={"start": "left", "middle": "center", "end": "right"}[t.anchor],
        va="baseline",
        fontfamily=FONT,
        fontweight="bold" if t.bold else "normal",
    )
    if t.halo:
        label.set_path_effects([withStroke(linewidth=4, foreground="#ffffff")])
    return label
