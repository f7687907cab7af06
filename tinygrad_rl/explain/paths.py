"""Ways through the recorded calls: what leads to a value, and what a gradient can take back.

An edge is a call and the position of one of its inputs. Calls come in an order in which each stands
after those that made its inputs, so every walk here is one pass over them.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence

from tinygrad_rl.explain.record import Call, Root, Tracked

Edge = tuple[Call, int]
"""A call and the position of one of its inputs."""


def calls_to(
    targets: Iterable[Tracked], enters: Callable[[Call], bool] = lambda call: True
) -> list[Call]:
    """The calls on any way to the targets, or on those that are entered; inputs before outputs."""
    found: set[Call] = set()
    stack = [v.maker for v in targets]
    while stack:
        call = stack.pop()
        if call is not None and call not in found and enters(call):
            found.add(call)
            stack += [v.maker for v in call.inputs]
    return _in_order(found)


def _in_order(calls: set[Call]) -> list[Call]:
    """As they were made, but for what a joint links to a value that was made before."""
    users: dict[Call, list[Call]] = {}
    missing = dict.fromkeys(calls, 0)
    for call in calls:
        for before in {v.maker for v in call.inputs if v.maker in calls}:
            users.setdefault(before, []).append(call)
            missing[call] += 1
    ready = [(call.order, id(call), call) for call in calls if not missing[call]]
    heapq.heapify(ready)
    order = []
    while ready:
        call = heapq.heappop(ready)[-1]
        order.append(call)
        for user in users.get(call, ()):
            missing[user] -= 1
            if not missing[user]:
                heapq.heappush(ready, (user.order, id(user), user))
    return order


def edges_from(
    starts: Iterable[Tracked], calls: Iterable[Call], takes: Callable[[Edge], bool] | None = None
) -> list[Edge]:
    """The edges on all ways onward from some values, or on those that may be taken."""
    reached, edges = set(starts), []
    for call in calls:
        for i, v in enumerate(call.inputs):
            if v in reached and (takes is None or takes((call, i))):
                edges.append((call, i))
                reached.add(call.out)
    return edges


def live_edges(root: Root, calls: Sequence[Call]) -> set[Edge]:
    """The edges that the gradient from a root really takes, among these calls."""
    useful = _useful(root, calls)
    alive = {v for v in root.outputs if v.tensor.requires_grad}
    live = set()
    for call in reversed(calls):
        if call.recorded and call.out in alive:
            for i, v in enumerate(call.inputs):
                if call.flags[i] and (useful is None or v in useful):
                    live.add((call, i))
                    alive.add(v)
    return live


def _useful(root: Root, calls: Sequence[Call]) -> set[Tracked] | None:
    """The values that depend on what `grad` was asked about; None for all."""
    if root.asked is None:
        return None
    values: Iterable[Tracked] = (*(v for call in calls for v in call.inputs), *root.outputs)
    starts = {v for v in values if v.tensor in root.asked}
    edges = edges_from(starts, calls, lambda e: e[0].recorded and e[0].flags[e[1]])
    return {*starts, *(call.out for call, _ in edges)}


def values_on(edges: Iterable[Edge]) -> set[Tracked]:
    """The inputs and outputs at some edges."""
    return {v for call, i in edges for v in (call.inputs[i], call.out)}
