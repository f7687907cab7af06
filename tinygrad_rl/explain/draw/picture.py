"""How an explanation is drawn: numbers flow down, gradients come back up, scissors cut the way.

Three kinds of lines differ in more than colour. Forward: thin, solid, arrow down. Gradient: thick,
dashed, arrow up, with its norm. Cut: dotted, with scissors and the line of code. A frozen parameter
is hatched and has a lock, so that one sees the gradient pass by it.
"""

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from tinygrad_rl.explain.diagnose import BLOCKED, FROZEN, REACHED, ZERO, Flow, Leaf
from tinygrad_rl.explain.draw import layout
from tinygrad_rl.explain.draw.graph import Arrow, Box, Chip, build
from tinygrad_rl.explain.draw.scene import Point, Scene, text_width

INK, FAINT, BACK, CUT, ZERO_INK = "#22272e", "#6b7280", "#0b62b8", "#b3261e", "#9a6700"
_TITLE, _SMALL = 13.0, 11.0
_PAD, _CHIP = 10.0, 18.0
_GAP = (36.0, 50.0)
_GAP_AT_CUTS = 96.0  # the name of a cut needs room beside its scissors
_PORT = 26.0  # distance of two arrows at one side of a box
_MARGIN = 28.0
_CLUSTER = "#f2f4f7"
_Area = tuple[float, float, float, float]  # left, top, width, height
_Words = tuple[str, float, bool, str]  # text, size, bold, colour


@dataclass
class _Placed:
    """A box and where it is."""

    box: Box
    node: layout.Node

    @property
    def left(self) -> float:
        return self.node.x - self.node.width / 2

    @property
    def top(self) -> float:
        return self.node.y - self.node.height / 2


def draw(title: str, flow: Flow, leaves: Sequence[Leaf], verdict: str, detail: str) -> Scene:
    """The picture of an explanation, see `Explanation.svg` for `detail`."""
    graph = build(flow, leaves, detail)
    placed = {id(b): _Placed(b, layout.Node(*_size(b))) for b in graph.boxes}
    order = _topological(graph.boxes, graph.arrows)
    pairs = [(placed[id(a.source)].node, placed[id(a.target)].node) for a in graph.arrows]
    weights = [_weight(a) for a in graph.arrows]
    plan = layout.place(
        [placed[id(b)].node for b in order], pairs, weights, _gap(graph.arrows), bend_width=40.0
    )
    side = _room_for_labels(graph.arrows)
    width = max(plan.width + 2 * _MARGIN + 2 * side, 460.0)
    head = _wrapped(verdict, width - 2 * _MARGIN)
    top = _MARGIN + 24 + 16 * len(head) + 18
    legend = _legend_rows(width)
    scene = Scene(
        width, top + plan.height + 40 + 20 * len(legend) + _MARGIN / 2, f"{title}: {verdict}"
    )
    shift = (width - plan.width) / 2
    for node in dict.fromkeys(
        [*(p.node for p in placed.values()), *(n for r in plan.routes for n in r)]
    ):
        node.x += shift
        node.y += top
    scene.text(_MARGIN, _MARGIN + 12, title, 16, INK, anchor="start", bold=True)
    for i, line in enumerate(head):
        scene.text(_MARGIN, _MARGIN + 34 + 16 * i, line, 12, INK, anchor="start")
    _clusters(scene, list(placed.values()))
    lines = _lines(plan.routes)
    for arrow, points in zip(graph.arrows, lines, strict=True):
        _arrow(scene, arrow, points)
    for p in placed.values():
        _box(scene, p)
    boxes = [(p.left, p.top, p.node.width, p.node.height) for p in placed.values()]
    labels = _Labels(scene, boxes, lines)
    for arrow, points in sorted(
        zip(graph.arrows, lines, strict=True), key=lambda pair: pair[0].cut is None
    ):
        _arrow_labels(labels, arrow, points)
    _legend(scene, legend, top + plan.height + 48)
    return scene


def _gap(arrows: list[Arrow]) -> tuple[float, float]:
    return (_GAP_AT_CUTS if any(a.cut for a in arrows) else _GAP[0], _GAP[1])


def _weight(arrow: Arrow) -> float:
    """How much it matters that an arrow is straight: the eye follows the gradient."""
    if arrow.source.kind in ("leaf", "data"):
        return 0.05  # the other way round, the side would bend the trunk
    return 8.0 if arrow.live else 3.0


def _topological(boxes: list[Box], arrows: list[Arrow]) -> list[Box]:
    waiting = {id(b): 0 for b in boxes}
    for a in arrows:
        waiting[id(a.target)] += 1
    ready = [b for b in boxes if not waiting[id(b)]]
    order = []
    while ready:
        box = ready.pop()
        order.append(box)
        for a in arrows:
            if a.source is box:
                waiting[id(a.target)] -= 1
                if not waiting[id(a.target)]:
                    ready.append(a.target)
    return order + [b for b in boxes if b not in order]


# -- boxes -----------------------------------------------------------------------------------------


def _chip_text(chip: Chip) -> str:
    if chip.status == REACHED:
        said = "" if chip.norm is None else f"∇ {chip.norm:.3g}"
    elif chip.status == ZERO:
        said = "∇ 0"
    else:
        said = chip.kind or "unused"
        said = "gets nothing" if said == "nothing" else said
    return f"{chip.name}  {said}".strip()


def _chip_width(chip: Chip) -> float:
    sign = 18.0 if chip.kind not in ("", "nothing") else 0.0
    return text_width(_chip_text(chip), _SMALL) + 14 + sign


def _rows_of_chips(chips: list[Chip]) -> list[list[Chip]]:
    return [chips[i : i + 2] for i in range(0, len(chips), 2)]


def _shown_chips(box: Box) -> list[Chip]:
    """All chips, or, for a whole module of one fate, one that speaks for all."""
    if box.kind != "module" or len(box.chips) < 3:
        return box.chips
    kinds: dict[tuple[str, str], list[Chip]] = {}
    for c in box.chips:
        kinds.setdefault((c.status, c.kind), []).append(c)
    shown = []
    for (status, kind), chips in kinds.items():
        norms = [c.norm for c in chips if c.norm is not None]
        total = sum(n * n for n in norms) ** 0.5 if norms else None
        name = f"{len(chips)} tensors"
        shown.append(Chip(name, status, total, kind))
    return shown


def _size(box: Box) -> tuple[float, float]:
    wide = text_width(box.title, _TITLE, True)
    tall = 18.0
    if box.subtitle:
        wide = max(wide, text_width(box.subtitle, _SMALL))
        tall += 16
    for row in _rows_of_chips(_shown_chips(box)):
        wide = max(wide, sum(_chip_width(c) + 6 for c in row) - 6)
        tall += _CHIP + 5
    return max(wide + 2 * _PAD, 56.0), tall + _PAD


def _box(scene: Scene, p: _Placed) -> None:
    box, node = p.box, p.node
    pill = box.kind in ("leaf", "data", "result")
    stroke = INK if box.kind != "data" else FAINT
    scene.rect(
        *(p.left, p.top, node.width, node.height),
        radius=14 if pill else 5,
        fill="#ffffff",
        stroke=stroke,
        width=2.0 if box.kind == "result" else 1.3,
    )
    y = p.top + 19
    scene.text(node.x, y, box.title, _TITLE, stroke, bold=True)
    if box.subtitle:
        y += 16
        scene.text(node.x, y, box.subtitle, _SMALL, FAINT)
    for row in _rows_of_chips(_shown_chips(box)):
        x = node.x - (sum(_chip_width(c) + 6 for c in row) - 6) / 2
        for chip in row:
            _chip(scene, chip, x, y + 8)
            x += _chip_width(chip) + 6
        y += _CHIP + 5


def _chip(scene: Scene, chip: Chip, x: float, y: float) -> None:
    w = _chip_width(chip)
    color = {REACHED: BACK, ZERO: ZERO_INK}.get(chip.status, FAINT)
    reached = chip.status == REACHED
    scene.rect(x, y, w, _CHIP, radius=4, fill="#e3effb" if reached else "#ffffff")
    if chip.status in (BLOCKED, FROZEN):
        scene.hatch(x, y, w, _CHIP, "#d5d9df")
    scene.rect(x, y, w, _CHIP, radius=4, stroke=color, width=1.0, dash=() if reached else (3, 2))
    text_x = x + w / 2
    if chip.kind not in ("", "nothing"):
        text_x += 9
        scene.circle(x + 13, y + _CHIP / 2, 7.5, fill="#ffffff")
        if "frozen" in chip.kind:
            scene.lock(x + 13, y + _CHIP / 2 - 1, 11, INK)
        else:
            scene.scissors(x + 12, y + _CHIP / 2, 9, CUT)
    ink = BACK if reached else ZERO_INK if chip.status == ZERO else INK
    scene.text(text_x, y + 13, _chip_text(chip), _SMALL, ink, bold=reached, halo=not reached)


def _clusters(scene: Scene, placed: list[_Placed]) -> None:
    """A pale field behind the boxes of one module call, when nothing else stands there."""
    groups: dict[tuple[int, str], list[_Placed]] = {}
    for p in placed:
        if p.box.cluster and p.box.kind != "module":
            groups.setdefault(p.box.cluster, []).append(p)
    for (_, name), members in groups.items():
        if len(members) < 2:
            continue
        left = min(p.left for p in members) - 14
        right = max(p.left + p.node.width for p in members) + 14
        top = min(p.top for p in members) - 24
        bottom = max(p.top + p.node.height for p in members) + 10
        inside = [
            q
            for q in placed
            if q not in members and left < q.node.x < right and top < q.node.y < bottom
        ]
        if inside:
            continue
        scene.rect(left, top, right - left, bottom - top, radius=10, fill=_CLUSTER)
        chips = [c for p in members for c in p.box.chips]
        frozen = bool(chips) and all(c.kind == "frozen" for c in chips)
        scene.text(left + 10, top + 16, name, 12, FAINT, anchor="start", bold=True)
        if frozen:
            scene.lock(left + 20 + text_width(name, 12, True), top + 11, 12, FAINT)


# -- arrows ----------------------------------------------------------------------------------------


def _lines(routes: list[list[layout.Node]]) -> list[list[Point]]:
    """The points of each arrow; several at one side of a box stand beside each other."""
    starts = _ports([(r[0], r[1].x) for r in routes])
    ends = _ports([(r[-1], r[-2].x) for r in routes])
    lines = []
    for route, start, end in zip(routes, starts, ends, strict=True):
        first, last = route[0], route[-1]
        lines.append(
            [
                (first.x + start, first.y + first.height / 2),
                *((n.x, n.y) for n in route[1:-1]),
                (last.x + end, last.y - last.height / 2),
            ]
        )
    return lines


def _ports(ends: list[tuple[layout.Node, float]]) -> list[float]:
    """Offsets from the middle of the box, in the order of where the arrows come from."""
    offsets = [0.0] * len(ends)
    for node in dict.fromkeys(n for n, _ in ends):
        mine = sorted((i for i, (n, _) in enumerate(ends) if n is node), key=lambda i: ends[i][1])
        step = min(_PORT, (node.width - 20) / max(1, len(mine) - 1))
        for k, i in enumerate(mine):
            offsets[i] = (k - (len(mine) - 1) / 2) * step
    return offsets


def _shifted(points: list[Point], dx: float) -> list[Point]:
    return [(x + dx, y) for x, y in points]


def _curve(points: list[Point]) -> list[tuple[str, tuple[Point, ...]]]:
    segments: list[tuple[str, tuple[Point, ...]]] = [("M", (points[0],))]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        half = (y1 - y0) / 2
        segments.append(("C", ((x0, y0 + half), (x1, y1 - half), (x1, y1))))
    return segments


def _arrow(scene: Scene, arrow: Arrow, points: list[Point]) -> None:
    if arrow.cut is not None:
        scene.path(_curve(points), stroke=CUT, width=1.8, dash=(1.8, 3.6))
        scene.arrowhead(points[-1], (0, 1), 8, CUT)
        return
    forward = _shifted(points, -6.0 if arrow.live else 0.0)
    end = (forward[-1][0], forward[-1][1] - 6)
    scene.path(_curve([*forward[:-1], end]), stroke=FAINT, width=1.4)
    scene.arrowhead(forward[-1], (0, 1), 8, FAINT)
    if arrow.live:
        zero = arrow.norm == 0
        back = _shifted(points, 6.0)
        color = ZERO_INK if zero else BACK
        top = (back[0][0], back[0][1] + 8)
        scene.path(_curve([top, *back[1:]]), stroke=color, width=1.6 if zero else 3.0, dash=(7, 4))
        scene.arrowhead(back[0], (0, -1), 12, color)


class _Labels:
    """Puts words beside an arrow, where they cover nothing if such a place is near."""

    def __init__(self, scene: Scene, boxes: list[_Area], lines: list[list[Point]]) -> None:
        self.scene = scene
        self._bands: dict[int, list[tuple[_Area, float]]] = {}  # what is there, by height
        for box in boxes:
            self.take(box)
        for x, y in (p for line in lines for p in _along(line)):
            self.take((x - 9, y - 3, 18, 6), 1.0)

    def take(self, area: _Area, cost: float = 10.0) -> None:
        """Keep words away from an area, the more the higher the cost."""
        for band in _bands(area):
            self._bands.setdefault(band, []).append((area, cost))

    def put(self, points: list[Point], side: int, words: list[_Words], away: float) -> None:
        """Write lines of words beside the first stretch of an arrow, rather on the given side."""
        w = max(text_width(t, size, bold) for t, size, bold, _ in words)
        h = 14.0 * len(words)
        spots = [
            (at, s, d)
            for d in (away, away + 14)
            for at in (0.5, 0.35, 0.65, 0.2)
            for s in (side, -side)
        ]
        areas = []
        for at, s, d in spots:
            x, y = _between(points[0], points[1], at)
            areas.append((x + s * d - (w if s < 0 else 0), y - h / 2, w, h))
        best = min(range(len(spots)), key=lambda i: self._covers(areas[i]) + 0.1 * i)
        area, s = areas[best], spots[best][1]
        self.take(area)
        for i, (text, size, bold, color) in enumerate(words):
            x = area[0] if s > 0 else area[0] + w
            anchor = "start" if s > 0 else "end"
            y = area[1] + 11 + 14 * i
            self.scene.text(x, y, text, size, color, anchor=anchor, bold=bold, halo=True)

    def _covers(self, area: _Area) -> float:
        near = dict.fromkeys(entry for band in _bands(area) for entry in self._bands.get(band, ()))
        return sum(cost for other, cost in near if not _apart(area, other))


def _bands(area: _Area) -> range:
    return range(int(area[1] // 64), int((area[1] + area[3]) // 64) + 1)


def _between(a: Point, b: Point, at: float) -> Point:
    """A point of the curve from a to b, see `_curve`; `at` runs from 0 to 1."""
    u = 1 - at
    bend = at**3 + 3 * at**2 * u
    y = a[1] + (b[1] - a[1]) * (1.5 * at * u * u + 1.5 * at * at * u + at**3)
    return a[0] + (b[0] - a[0]) * bend, y


def _along(points: list[Point]) -> list[Point]:
    return [_between(a, b, k / 8) for a, b in itertools.pairwise(points) for k in range(9)]


def _apart(a: _Area, b: _Area) -> bool:
    return a[0] >= b[0] + b[2] or b[0] >= a[0] + a[2] or a[1] >= b[1] + b[3] or b[1] >= a[1] + a[3]


def _arrow_labels(labels: _Labels, arrow: Arrow, points: list[Point]) -> None:
    if arrow.cut is not None:
        x, y = _between(points[0], points[1], 0.5)
        labels.scene.scissors(x, y, 17, CUT)
        labels.take((x - 14, y - 10, 32, 20))
        words = [
            (arrow.cut.kind, _SMALL + 1, True, CUT),
            (str(arrow.cut.line), _SMALL - 1, False, CUT),
        ]
        labels.put(points, 1, words, 22)
        if arrow.label:
            labels.put(points, -1, [(arrow.label, _SMALL, True, INK)], 22)
        return
    words = [(arrow.label, _SMALL, True, INK)] if arrow.label else []
    if arrow.live and arrow.norm is not None:
        color = ZERO_INK if arrow.norm == 0 else BACK
        said = "∇ 0 exactly" if arrow.norm == 0 else f"∇ {arrow.norm:.3g}"
        words.append((said, _SMALL, False, color))
    if words:
        labels.put(points, 1, words, 16)


def _room_for_labels(arrows: list[Arrow]) -> float:
    """Space on each side, for a label may stick out beyond the boxes."""
    cuts = [
        max(text_width(str(a.cut.line), _SMALL), text_width(a.cut.kind, _SMALL + 1, True))
        for a in arrows
        if a.cut
    ]
    return max([0.0, *(w - 10 for w in cuts)])


# -- words -----------------------------------------------------------------------------------------

_LEGEND = (
    ("forward", "numbers, forward"),
    ("back", "gradient, backward, with its norm"),
    ("cut", "cut: no gradient gets through"),
    ("frozen", "frozen: the gradient passes by, none is computed for it"),
)


def _legend_rows(width: float) -> list[list[tuple[str, str]]]:
    rows: list[list[tuple[str, str]]] = [[]]
    used = 0.0
    for kind, words in _LEGEND:
        need = 52 + text_width(words, 10) + 16
        if rows[-1] and used + need > width - 2 * _MARGIN:
            rows.append([])
            used = 0.0
        rows[-1].append((kind, words))
        used += need
    return rows


def _legend(scene: Scene, rows: list[list[tuple[str, str]]], y: float) -> None:
    for i, row in enumerate(rows):
        x, line = _MARGIN, y + 20 * i
        for kind, words in row:
            _sample(scene, kind, x, line - 4)
            scene.text(x + 46, line, words, 10, INK, anchor="start")
            x += 52 + text_width(words, 10) + 16


def _sample(scene: Scene, kind: str, x: float, y: float) -> None:
    if kind == "forward":
        scene.line([(x, y), (x + 34, y)], stroke=FAINT, width=1.4)
        scene.arrowhead((x + 40, y), (1, 0), 8, FAINT)
    elif kind == "back":
        scene.line([(x + 8, y), (x + 40, y)], stroke=BACK, width=3.0, dash=(7, 4))
        scene.arrowhead((x, y), (-1, 0), 12, BACK)
    elif kind == "cut":
        scene.line([(x, y), (x + 40, y)], stroke=CUT, width=1.8, dash=(1.8, 3.6))
        scene.scissors(x + 18, y, 14, CUT)
    else:
        scene.hatch(x + 6, y - 8, 28, 16, "#d5d9df")
        scene.rect(x + 6, y - 8, 28, 16, radius=4, stroke=FAINT, dash=(3, 2))
        scene.circle(x + 20, y, 7, fill="#ffffff")
        scene.lock(x + 20, y - 1, 11, INK)


def _wrapped(text: str, width: float) -> list[str]:
    return textwrap.wrap(text, max(20, int(width / (12 * 0.58))))
