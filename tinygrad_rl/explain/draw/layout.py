"""Where the boxes of a drawing go: layers from top to bottom, few crossings, straight lines.

The method is Sugiyama's (1981) in its simplest form: each node goes one layer below the last of
those before it; an edge over several layers gets a bend point in each; the order inside a layer
follows the mean position of the neighbours, to and fro until it settles; then each layer is moved
as close to its neighbours as the widths allow: least squares, with an exact solution.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

_ORDERINGS, _SWEEPS = 12, 60
_BEND_WEIGHT = 4.0  # a passing edge wants to be straight


@dataclass(eq=False)
class Node:
    """A box to be placed, or a bend point of a long edge."""

    width: float
    height: float
    bend: bool = False
    layer: int = 0
    x: float = 0.0  # of the centre
    y: float = 0.0
    above: list[tuple["Node", float]] = field(default_factory=list)  # with the weight of the edge
    below: list[tuple["Node", float]] = field(default_factory=list)


@dataclass
class Layout:
    """The size of the drawing, and for each edge the nodes that it passes, first to last."""

    width: float
    height: float
    routes: list[list[Node]]


def place(
    nodes: Sequence[Node],
    edges: Sequence[tuple[Node, Node]],
    weights: Sequence[float],
    gap: tuple[float, float],
    bend_width: float,
) -> Layout:
    """Fill in `x`, `y` and `layer` of the nodes.

    Parameters
    ----------
    nodes : to be placed, in an order that edges follow (no cycles).
    edges : pairs (from, to); several between the same two are allowed.
    weights : of each edge: how much it matters that it is straight.
    gap : horizontal and vertical distance between boxes.
    bend_width : room that a passing edge takes.
    """
    _assign_layers(nodes, edges)
    routes = [_route(a, b, bend_width) for a, b in edges]
    everything = dict.fromkeys([*nodes, *(n for route in routes for n in route)])
    layers: list[list[Node]] = [[] for _ in range(1 + max((n.layer for n in nodes), default=0))]
    for n in everything:
        layers[n.layer].append(n)
    for route, weight in zip(routes, weights, strict=True):
        for a, b in itertools.pairwise(route):
            w = weight * (_BEND_WEIGHT if a.bend and b.bend else 1.0)
            a.below.append((b, w))
            b.above.append((a, w))
    _order(layers)
    width = _place_x(layers, gap[0])
    height = _place_y(layers, gap[1])
    return Layout(width, height, routes)


def _assign_layers(nodes: Sequence[Node], edges: Sequence[tuple[Node, Node]]) -> None:
    before: dict[int, list[Node]] = {}
    after: dict[int, list[Node]] = {}
    for a, b in edges:
        before.setdefault(id(b), []).append(a)
        after.setdefault(id(a), []).append(b)
    changed = True
    rounds = 0
    while changed and rounds <= len(nodes):  # more rounds than nodes would mean a cycle
        changed = False
        rounds += 1
        for n in nodes:
            layer = max((p.layer + 1 for p in before.get(id(n), [])), default=0)
            if layer > n.layer:
                n.layer, changed = layer, True
    for n in nodes:  # an input stands right above its first use
        if id(n) not in before and id(n) in after:
            n.layer = min(b.layer for b in after[id(n)]) - 1


def _route(a: Node, b: Node, width: float) -> list[Node]:
    bends = [Node(width, 0, True, layer) for layer in range(a.layer + 1, b.layer)]
    return [a, *bends, b]


def _order(layers: list[list[Node]]) -> None:
    """Sort each layer by the mean place of its neighbours in the one before, down and up again."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    spots = {id(n): i for layer in layers for i, n in enumerate(layer)}
    for sweep in range(_ORDERINGS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            mean = {}
            for i, n in enumerate(layer):
                near = n.above if down else n.below
                mean[id(n)] = sum(spots[id(m)] for m, _ in near) / len(near) if near else i
            layer.sort(key=lambda n, mean=mean: mean[id(n)])  # type: ignore[misc]
            spots |= {id(n): i for i, n in enumerate(layer)}
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    for layer, order in zip(layers, best, strict=True):
        layer[:] = order


def _crossings(layers: list[list[Node]]) -> int:
    count = 0
    for upper, lower in itertools.pairwise(layers):
        spot = {id(n): i for i, n in enumerate(lower)}
        ends = [e for a in upper for e in sorted(spot[id(b)] for b, _ in a.below)]
        count += sum(ends[i] > e for j, e in enumerate(ends) for i in range(j))
    return count


def _place_x(layers: list[list[Node]], gap: float) -> float:
    for layer in layers:
        _settle(layer, [0.0] * len(layer), [1.0] * len(layer), gap)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wished = []
            for n in layer:
                both = sweep >= _SWEEPS // 2
                near = n.above + n.below if both else (n.above if down else n.below)
                total = sum(w for _, w in near)
                wished.append(sum(m.x * w for m, w in near) / total if near else n.x)
            _settle(layer, wished, [_importance(n) for n in layer], gap)
    nodes = [n for layer in layers for n in layer]
    left = min((n.x - n.width / 2 for n in nodes), default=0.0)
    for node in nodes:
        node.x -= left
    return max((n.x + n.width / 2 for n in nodes), default=0.0)


def _importance(n: Node) -> float:
    return max((w for _, w in n.above + n.below), default=1.0)


def _settle(layer: list[Node], wished: list[float], weights: list[float], gap: float) -> None:
    """Closest places to the wished ones that keep order and distance (pool adjacent violators)."""
    offsets = [0.0]
    for a, b in itertools.pairwise(layer):
        offsets.append(offsets[-1] + (a.width + b.width) / 2 + gap)
    pools: list[tuple[float, float, int]] = []  # (mean, weight, number of members)
    for wish, weight, offset in zip(wished, weights, offsets, strict=True):
        mean, total, size = wish - offset, weight, 1
        while pools and pools[-1][0] > mean:
            other, w, n = pools.pop()
            mean, total, size = (mean * total + other * w) / (total + w), total + w, size + n
        pools.append((mean, total, size))
    spots = [mean for mean, _, size in pools for _ in range(size)]
    for node, spot, offset in zip(layer, spots, offsets, strict=True):
        node.x = spot + offset


def _place_y(layers: list[list[Node]], gap: float) -> float:
    y = 0.0
    for layer in layers:
        tall = max((n.height for n in layer), default=0.0)
        for n in layer:
            n.y = y + tall / 2
        y += tall + gap
    return y - gap
