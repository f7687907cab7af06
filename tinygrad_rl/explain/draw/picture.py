"""How an explanation is drawn: values flow down, gradients come back up, scissors cut the way.

    scene = draw(title, flow, leaves, verdict, "layer")
    scene.to_svg(), scene.to_png()

Three kinds of lines differ in more than colour. Forward: thin, solid, arrow down. Gradient: thick,
dashed, arrow up, with its norm. Cut: dotted, with scissors and the line of code. A frozen parameter
is hatched and has a lock: the gradient passes through its box, and leaves nothing there. One that
gets nothing for another reason is empty with a dotted edge.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

from tinygrad_rl.core import CutKind
from tinygrad_rl.explain.diagnose import Leaf, Status
from tinygrad_rl.explain.draw.graph import Arrow, Box, Chip, Graph
from tinygrad_rl.explain.draw.layout import Point, lines_of, place
from tinygrad_rl.explain.draw.scene import (
    BACK,
    CUT,
    FAINT,
    INK,
    PAPER,
    ZERO,
    Scene,
    Words,
    text_width,
)
from tinygrad_rl.explain.flow import Flow
from tinygrad_rl.explain.headline import wrapped
from tinygrad_rl.spelling import counted

Area = tuple[float, float, float, float]  # left, top, width, height

_CLUSTER, _GAIN = "#f2f4f7", "#e3effb"
_TITLE, _SMALL = 13.0, 11.0
_PAD, _CHIP = 10.0, 18.0
_GAP = (36.0, 50.0)
_GAP_AT_CUTS = 96.0  # the name of a cut needs room beside its scissors
_MARGIN = 28.0


# -- the picture -----------------------------------------------------------------------------------


def draw(title: str, flow: Flow, leaves: Sequence[Leaf], verdict: str, detail: str) -> Scene:
    """The picture of an explanation, see `Explanation.svg` for `detail`."""
    graph = Graph(flow, leaves, detail)
    boxes, arrows = graph.boxes, graph.arrows
    for box in boxes:
        box.width, box.height = _size(box)
    is_cut = any(a.cut for a in arrows)
    gap = (_GAP_AT_CUTS if is_cut else _GAP[0], _GAP[1])
    ends = [(a.source, a.target) for a in arrows]
    (wide, tall), routes = place(boxes, ends, [_weight(a) for a in arrows], gap, 40.0)
    width = max(wide + 2 * _MARGIN + 2 * _room_for_labels(arrows), 460.0)
    head = list(wrapped(verdict, max(20, int((width - 2 * _MARGIN) / (12 * 0.58)))))
    top = _MARGIN + 42 + 16 * len(head)
    legend = [*_LEGEND, *[_LEGEND_OF_JOINTS] * any(b.kind == "joint" for b in boxes)]
    height = top + tall + 40 + 20 * len(legend) + _MARGIN / 2
    for spot in dict.fromkeys([*boxes, *(s for route in routes for s in route)]):
        spot.x += (width - wide) / 2
        spot.y += top
    scene = Scene(width, height, f"{title}: {verdict}")
    scene.text(_MARGIN, _MARGIN + 12, title, 16, INK, anchor="start", bold=True)
    for i, line in enumerate(head):
        scene.text(_MARGIN, _MARGIN + 34 + 16 * i, line, 12, INK, anchor="start")
    _clusters(scene, boxes)
    lines = lines_of(routes)
    for arrow, points in zip(arrows, lines, strict=True):
        _arrow(scene, arrow, points)
    for box in boxes:
        _box(scene, box)
    taken = [(b.left, b.top, b.width, b.height) for b in boxes]
    drawn = list(zip(arrows, lines, strict=True))
    rightmost = {a.target: points for a, points in sorted(drawn, key=lambda d: d[1][-1][0])}
    for arrow, points in drawn:
        _label(scene, arrow, points, points is rightmost[arrow.target], taken)
    _legend(scene, top + tall + 44, legend)
    return scene


def _weight(arrow: Arrow) -> float:
    """How much it matters that an arrow is straight: the eye follows the gradient."""
    if arrow.source.kind in ("leaf", "data"):
        return 0.05  # the other way round, the side would bend the trunk
    return 8.0 if arrow.live else 3.0


# -- boxes -----------------------------------------------------------------------------------------


def _chip_text(chip: Chip) -> str:
    if chip.status is Status.REACHED:
        said = "refused" if chip.norm is None else f"∇ {chip.norm:.3g}"
    else:
        nothing = "get nothing" if chip.several else "gets nothing"
        said = "∇ 0" if chip.status is Status.ZERO else chip.kind or nothing
    return f"{chip.name}  {said}".strip()


def _chip_width(chip: Chip) -> float:
    return text_width(_chip_text(chip), _SMALL) + 14 + (18 if _has_sign(chip) else 0)


def _has_sign(chip: Chip) -> bool:
    return chip.kind is not None and chip.kind is not CutKind.NOT_ASKED


def _chip_rows(box: Box) -> list[list[Chip]]:
    """All chips, two in a row, or, for a whole module, one that speaks for all of one fate."""
    chips = box.chips
    if box.kind == "module" and len(chips) > 2:
        fates: dict[tuple[Status, CutKind | None], list[Chip]] = {}
        for c in chips:
            fates.setdefault((c.status, c.kind), []).append(c)
        chips = []
        for (status, kind), alike in fates.items():
            norms = [c.norm for c in alike if c.norm is not None]
            norm = math.hypot(*norms) if norms else None
            count = len(alike)
            chips.append(Chip(counted(count, "tensor"), status, norm, kind, count > 1))
    return [chips[i : i + 2] for i in range(0, len(chips), 2)]


def _row_width(row: list[Chip]) -> float:
    return sum(_chip_width(c) + 6 for c in row) - 6


def _size(box: Box) -> tuple[float, float]:
    rows = _chip_rows(box)
    words = (text_width(box.title, _TITLE, True), text_width(box.subtitle, _SMALL))
    tall = 18 + (16 if box.subtitle else 0) + (_CHIP + 5) * len(rows)
    return max(*words, *map(_row_width, rows), 36.0) + 2 * _PAD, tall + _PAD


def _box(scene: Scene, box: Box) -> None:
    ink = FAINT if box.kind == "data" else INK
    radius = 14 if box.kind in ("leaf", "data", "result") else 5
    style = {"fill": PAPER, "stroke": ink, "width": 2.0 if box.kind == "result" else 1.3}
    if box.kind == "joint":
        style |= {"stroke": BACK, "dash": (7.0, 4.0)}
    scene.rect(box.left, box.top, box.width, box.height, radius, **style)
    y = box.top + 19
    scene.text(box.x, y, box.title, _TITLE, ink, bold=True)
    if box.subtitle:
        y += 16
        scene.text(box.x, y, box.subtitle, _SMALL, FAINT)
    for row in _chip_rows(box):
        x = box.x - _row_width(row) / 2
        for chip in row:
            _chip(scene, chip, x, y + 8)
            x += _chip_width(chip) + 6
        y += _CHIP + 5


def _chip(scene: Scene, chip: Chip, x: float, y: float) -> None:
    w, middle = _chip_width(chip), y + _CHIP / 2
    reached = chip.status is Status.REACHED
    edge = {Status.REACHED: BACK, Status.ZERO: ZERO}.get(chip.status)
    scene.rect(x, y, w, _CHIP, radius=4, fill=_GAIN if reached else PAPER)
    frozen = chip.kind is CutKind.FROZEN
    if frozen:
        scene.hatch(x, y, w, _CHIP)
    dash = () if reached else (3.0, 2.0) if frozen else (1.2, 2.4)
    scene.rect(x, y, w, _CHIP, radius=4, stroke=edge or FAINT, dash=dash)
    if chip.kind and _has_sign(chip):
        scene.circle(x + 13, middle, 7.5, fill=PAPER)
        if chip.kind.is_by_flag:
            scene.lock(x + 13, middle - 1, 11)
        else:
            scene.scissors(x + 12, middle, 9)
    center = x + w / 2 + (9 if _has_sign(chip) else 0)
    style = {"bold": reached, "halo": not reached}
    scene.text(center, y + 13, _chip_text(chip), _SMALL, edge or INK, **style)


def _clusters(scene: Scene, boxes: list[Box]) -> None:
    """A pale field behind the boxes of one module call, when nothing else stands there."""
    for cluster in dict.fromkeys(b.cluster for b in boxes if b.cluster):
        members = [b for b in boxes if b.cluster == cluster]
        left, top = min(b.left for b in members) - 14, min(b.top for b in members) - 24
        right = max(b.left + b.width for b in members) + 14
        bottom = max(b.top + b.height for b in members) + 10
        inside = [b for b in boxes if left < b.x < right and top < b.y < bottom]
        if len(members) < 2 or len(inside) > len(members):
            continue
        scene.rect(left, top, right - left, bottom - top, radius=10, fill=_CLUSTER)
        scene.text(left + 10, top + 16, cluster[1], 12, FAINT, anchor="start", bold=True)


# -- arrows ----------------------------------------------------------------------------------------


def _curve(points: list[Point], dx: float, start: float, end: float) -> list[Any]:
    """A smooth line beside the points: `dx` to the right, shortened where arrowheads are."""
    (x, y), (last_x, last_y) = points[0], points[-1]
    points = [(x, y + start), *points[1:-1], (last_x, last_y - end)]
    pieces: list[Any] = [("M", [(x + dx, y + start)])]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        pieces.append(("C", [(x0 + dx, middle), (x1 + dx, middle), (x1 + dx, y1)]))
    return pieces


def _arrow(scene: Scene, arrow: Arrow, points: list[Point]) -> None:
    (x, y), (last_x, last_y) = points[0], points[-1]
    if arrow.cut is not None:
        scene.path(_curve(points, 0, 0, 0), stroke=CUT, width=1.8, dash=(1.8, 3.6))
        scene.arrowhead((last_x, last_y), 0, 1, 8, CUT)
        return
    dx = -6.0 if arrow.live else 0.0
    scene.path(_curve(points, dx, 0, 6), stroke=FAINT, width=1.4)
    scene.arrowhead((last_x + dx, last_y), 0, 1, 8, FAINT)
    if arrow.live:
        color, width = (ZERO, 1.6) if arrow.norm == 0 else (BACK, 3.0)
        scene.path(_curve(points, 6, 8, 0), stroke=color, width=width, dash=(7, 4))
        scene.arrowhead((x + 6, y), 0, -1, 12, color)


def _label(
    scene: Scene, arrow: Arrow, points: list[Point], rightmost: bool, taken: list[Area]
) -> None:
    """Words beside the middle of an arrow's first stretch, away from the others at its target."""
    (x0, y0), (x1, y1) = points[:2]
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    said = [Words(0, 0, arrow.label, _SMALL, INK, bold=True)] if arrow.label else []
    if arrow.cut is not None:
        scene.scissors(x, y, 17)
        taken.append((x - 14, y - 10, 32, 20))
        said.append(Words(0, 0, arrow.cut.title, _SMALL + 1, CUT, bold=True))
        said.append(Words(0, 0, str(arrow.cut.line), _SMALL - 1, CUT))
    elif arrow.live and arrow.norm is not None:
        color, norm = (ZERO, "0 exactly") if arrow.norm == 0 else (BACK, f"{arrow.norm:.3g}")
        said.append(Words(0, 0, f"∇ {norm}", _SMALL, color))
    if said:
        _write(scene, (x, y), 22 if arrow.cut else 16, rightmost, said, taken)


def _write(
    scene: Scene, at: Point, away: float, to_right: bool, words: list[Words], taken: list[Area]
) -> None:
    """Put lines of words on one side of a point, or on the other when they would cover a box."""
    w, h = max(text_width(t.text, t.size, t.bold) for t in words), 14.0 * len(words)
    right, left = (at[0] + away, at[1] - h / 2, w, h), (at[0] - away - w, at[1] - h / 2, w, h)
    sides = (right, left) if to_right else (left, right)
    area = next((a for a in sides if not any(_overlap(a, t) for t in taken)), sides[0])
    taken.append(area)
    for i, line in enumerate(words):
        line.anchor, line.halo = ("end", True) if area is left else ("start", True)
        line.x, line.y = area[0] + (w if area is left else 0), area[1] + 11 + 14 * i
        scene.items.append(line)


def _overlap(a: Area, b: Area) -> bool:
    return abs(2 * (a[0] - b[0]) + a[2] - b[2]) < a[2] + b[2] and (
        abs(2 * (a[1] - b[1]) + a[3] - b[3]) < a[3] + b[3]
    )


def _room_for_labels(arrows: list[Arrow]) -> float:
    """Space on each side, for the label of a cut may stick out beyond the boxes."""
    said = [text for a in arrows if a.cut for text in (str(a.cut.line), a.cut.title)]
    return max((text_width(text, _SMALL) for text in said), default=0.0)


# -- legend ----------------------------------------------------------------------------------------

_LEGEND = (
    "values, forward",
    "gradient, backward, with its norm",
    "cut: no gradient gets through",
    "hatched: the gradient passes through, and leaves none here",
    "empty, dotted: gets no gradient",
)
_LEGEND_OF_JOINTS = "a copy of the values; the line of code feeds its gradient on"
_FATES = (
    Chip("", Status.FROZEN, None, CutKind.FROZEN),
    Chip("", Status.BLOCKED, None),
)
"""In the last lines of the legend."""


def _legend(scene: Scene, y: float, lines: Sequence[str]) -> None:
    x = _MARGIN
    for i, words in enumerate(lines):
        scene.text(x + 94, y + 20 * i + 4, words, 10, INK, anchor="start")
    scene.line((x, y), (x + 34, y), stroke=FAINT, width=1.4)
    scene.arrowhead((x + 40, y), 1, 0, 8, FAINT)
    scene.line((x + 8, y + 20), (x + 40, y + 20), stroke=BACK, width=3.0, dash=(7, 4))
    scene.arrowhead((x, y + 20), -1, 0, 12, BACK)
    scene.line((x, y + 40), (x + 40, y + 40), stroke=CUT, width=1.8, dash=(1.8, 3.6))
    scene.scissors(x + 18, y + 40, 14)
    for i, chip in enumerate(_FATES):
        _chip(scene, chip, x, y + 51 + 20 * i)
    if _LEGEND_OF_JOINTS in lines:
        scene.rect(x, y + 93, 40, 14, radius=5, stroke=BACK, width=1.3, dash=(7.0, 4.0))
