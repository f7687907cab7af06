"""Where the boxes of a drawing go: layers from top to bottom, few crossings, straight lines.

    size, routes = place(spots, edges, weights, gap, bend_width)     # fills in x and y of each spot
    lines_of(routes)                      # the points of a line for each edge

The method is Sugiyama's (1981) in its simplest form: each box goes one layer below the last of
those before it; an edge over several layers gets a bend point in each; the order inside a layer
follows the mean position of the neighbours, to and fro until it settles; then each layer is moved
as close to its neighbours as the widths allow: least squares, with an exact solution.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

Point = tuple[float, float]

_ORDERINGS, _SWEEPS = 12, 60
_BEND_WEIGHT = 4.0  # an edge that passes a layer shall be straight there
_PORT = 26.0  # distance of two lines at one side of a box


@dataclass(eq=False)
class Spot:
    """The place of a box, or a bend point of a long edge."""

    width: float = 0.0
    height: float = 0.0
    is_bend: bool = False
    layer: int = 0
    x: float = 0.0  # of the centre
    y: float = 0.0
    above: list[tuple["Spot", float]] = field(default_factory=list)  # with the weight of the edge
    below: list[tuple["Spot", float]] = field(default_factory=list)

    @property
    def left(self) -> float:
        """The x of the left side."""
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        """The y of the upper side."""
        return self.y - self.height / 2


def place(
    spots: Sequence[Spot],
    edges: Sequence[tuple[Spot, Spot]],
    weights: Sequence[float],
    gap: tuple[float, float],
    bend_width: float,
) -> tuple[tuple[float, float], list[list[Spot]]]:
    """Fill in `x`, `y` and `layer` of the spots.

    Parameters
    ----------
    spots : to be placed.
    edges : pairs (from, to), without cycles; several between the same two are allowed.
    weights : of each edge: how much it matters that it is straight.
    gap : horizontal and vertical distance between boxes.
    bend_width : room that a passing edge takes.

    Returns
    -------
    Width and height of the drawing, and for each edge the spots that it passes, first to last.
    """
    _assign_layers(spots, edges)
    routes = []
    for (a, b), weight in zip(edges, weights, strict=True):
        between = range(a.layer + 1, b.layer)
        route = [a, *(Spot(bend_width, is_bend=True, layer=i) for i in between), b]
        for upper, lower in itertools.pairwise(route):
            w = weight * (_BEND_WEIGHT if upper.is_bend and lower.is_bend else 1.0)
            upper.below.append((lower, w))
            lower.above.append((upper, w))
        routes.append(route)
    layers: list[list[Spot]] = [[] for _ in range(1 + max((s.layer for s in spots), default=0))]
    for s in dict.fromkeys([*spots, *(s for route in routes for s in route)]):
        layers[s.layer].append(s)
    _order(layers)
    return (_place_x(layers, gap[0]), _place_y(layers, gap[1])), routes


def _assign_layers(spots: Sequence[Spot], edges: Sequence[tuple[Spot, Spot]]) -> None:
    for _ in spots:  # a layer is settled in each round, at least
        for a, b in edges:
            b.layer = max(b.layer, a.layer + 1)
    ends = {b for _, b in edges}
    for s in spots:  # an input stands right above its first use
        below = [b.layer for a, b in edges if a is s]
        if below and s not in ends:
            s.layer = min(below) - 1


def _order(layers: list[list[Spot]]) -> None:
    """Sort each layer by the mean place of its neighbours in the one before, down and up again."""
    tried = [[list(layer) for layer in layers]]
    ranks = {s: i for layer in layers for i, s in enumerate(layer)}
    for sweep in range(_ORDERINGS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            mean = {}
            for i, s in enumerate(layer):
                near = s.above if down else s.below
                mean[s] = sum(ranks[n] for n, _ in near) / len(near) if near else i
            layer.sort(key=mean.__getitem__)
            ranks |= {s: i for i, s in enumerate(layer)}
        tried.append([list(layer) for layer in layers])
    best = min(tried, key=_crossings)
    layers[:] = best


def _crossings(layers: list[list[Spot]]) -> int:
    count = 0
    for upper, lower in itertools.pairwise(layers):
        rank = {s: i for i, s in enumerate(lower)}
        ends = [e for a in upper for e in sorted(rank[b] for b, _ in a.below)]
        count += sum(ends[i] > e for j, e in enumerate(ends) for i in range(j))
    return count


def _place_x(layers: list[list[Spot]], gap: float) -> float:
    """Move each layer to its neighbours: the one before, then the one after, in the end both."""
    for sweep in range(_SWEEPS):
        down, both = sweep % 2 == 0, sweep >= _SWEEPS // 2
        for layer in layers if down else reversed(layers):
            wished = []
            for s in layer:
                near = s.above + s.below if both else s.above if down else s.below
                total = sum(w for _, w in near)
                wished.append(sum(n.x * w for n, w in near) / total if near else s.x)
            weights = [max((w for _, w in s.above + s.below), default=1.0) for s in layer]
            _settle(layer, wished, weights, gap)
    spots = [s for layer in layers for s in layer]
    left = min((s.left for s in spots), default=0.0)
    for s in spots:
        s.x -= left
    return max((s.left + s.width for s in spots), default=0.0)


def _settle(layer: list[Spot], wished: list[float], weights: list[float], gap: float) -> None:
    """Closest places to the wished ones that keep order and distance (pool adjacent violators)."""
    offsets = [0.0]
    for a, b in itertools.pairwise(layer):
        offsets.append(offsets[-1] + (a.width + b.width) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # (mean, weight, number of members)
    for wish, weight, offset in zip(wished, weights, offsets, strict=False):
        mean, total, size = wish - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, w, n = pools.pop()
            mean, total, size = (mean * total + other * w) / (total + w), total + w, size + n
        pools.append((mean, total, size))
    means = [mean for mean, _, size in pools for _ in range(size)]
    for s, mean, offset in zip(layer, means, offsets, strict=False):
        s.x = mean + offset


def _place_y(layers: list[list[Spot]], gap: float) -> float:
    y = 0.0
    for layer in layers:
        tall = max((s.height for s in layer), default=0.0)
        for s in layer:
            s.y = y + tall / 2
        y += tall + gap
    return y - gap


# -- lines -----------------------------------------------------------------------------------------


def lines_of(routes: list[list[Spot]]) -> list[list[Point]]:
    """The points of each edge's line; several at one side of a box stand beside each other."""
    starts = _ports([(r[0], r[1].x) for r in routes])
    ends = _ports([(r[-1], r[-2].x) for r in routes])
    return [
        [
            (r[0].x + start, r[0].y + r[0].height / 2),
            *((s.x, s.y) for s in r[1:-1]),
            (r[-1].x + end, r[-1].top),
        ]
        for r, start, end in zip(routes, starts, ends, strict=True)
    ]


def _ports(ends: list[tuple[Spot, float]]) -> list[float]:
    """Offsets from the middle of the box, in the order of where the lines come from."""
    offsets = [0.0] * len(ends)
    for spot in dict.fromkeys(s for s, _ in ends):
        mine = sorted((i for i, (s, _) in enumerate(ends) if s is spot), key=lambda i: ends[i][1])
        step = min(_PORT, (spot.width - 20) / max(1, len(mine) - 1))
        for k, i in enumerate(mine):
            offsets[i] = (k - (len(mine) - 1) / 2) * step
    return offsets
