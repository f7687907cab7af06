"""Boxes are placed so that nothing touches and the eye can follow the lines."""

import itertools

import numpy as np
import pytest

from tinygrad_rl.explain.draw import layout


def random_graph(seed):
    rng = np.random.default_rng(seed)
    nodes = [layout.Spot(float(rng.uniform(40, 200)), 30.0) for _ in range(12)]
    pairs = [(i, j) for j in range(1, 12) for i in rng.choice(j, min(j, 2), replace=False)]
    return nodes, [(nodes[i], nodes[j]) for i, j in pairs]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_do_not_touch_and_edges_go_down(seed):
    nodes, edges = random_graph(seed)
    (width, _), routes = layout.place(nodes, edges, [1.0] * len(edges), (20.0, 40.0), 30.0)
    everything = list(dict.fromkeys(n for route in routes for n in route))
    for a in everything:
        assert a.width / 2 - 1e-6 <= a.x <= width - a.width / 2 + 1e-6
        for b in everything:
            if a is not b and a.layer == b.layer:
                assert abs(a.x - b.x) >= (a.width + b.width) / 2 + 20 - 1e-6
    for route in routes:
        assert [n.layer for n in route] == list(range(route[0].layer, route[-1].layer + 1))
        assert all(a.y < b.y for a, b in itertools.pairwise(route))


def test_a_chain_is_straight_whatever_hangs_beside_it():
    nodes = [layout.Spot(w, 30.0) for w in (60, 200, 80, 150)]
    beside = layout.Spot(50.0, 30.0)
    chain = list(itertools.pairwise(nodes))
    weights = [8.0] * 3 + [0.05]
    layout.place([*nodes, beside], [*chain, (beside, nodes[2])], weights, (20.0, 40.0), 30.0)
    assert max(n.x for n in nodes) - min(n.x for n in nodes) < 6


def test_crossings_are_undone():
    a, b, c, d = nodes = [layout.Spot(40.0, 30.0) for _ in range(4)]
    layout.place(nodes, [(a, d), (b, c)], [1.0, 1.0], (20.0, 40.0), 30.0)
    assert (a.x < b.x) == (d.x < c.x)
