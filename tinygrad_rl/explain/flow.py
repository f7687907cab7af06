"""What leads to the roots: shadow paths, live paths, and the gradients on these.

A *shadow path* leads from a leaf to the result through any calls. A *live path* is one that the
engine recorded, so a gradient comes back on it. Where the user feeds a gradient on by hand, the two
sweeps are one flow: see `joints.py`.
"""

from collections.abc import Callable, Sequence

from tinygrad_rl.core import Node
from tinygrad_rl.explain.joints import Gradient, Joint
from tinygrad_rl.explain.paths import Edge, calls_to, edges_from, live_edges
from tinygrad_rl.explain.record import Call, Root, Tracked


class Flow:
    """What leads to the roots: calls, shadow and live paths, and the gradients on these.

    Attributes
    ----------
    targets : the values whose gradient is asked for, without those that pass one on by hand.
    consumers : the edges at which each value is used.
    live : the edges that a gradient from a root takes, those by hand included.
    by_hand : the edges at joints: what they cut is carried over by the user.
    paths, shadow_paths : how many (live) ways lead from the roots back to each value.
    incoming, sent : the gradient of each call's output, and what it made of it for each input.
    """

    def __init__(self, roots: Sequence[Root], joints: Sequence[Joint] = ()) -> None:
        self.roots, self.joints = roots, joints
        inner = {j.upper for j in joints if j.upper in j.fed.outputs}
        outputs = dict.fromkeys(v for root in roots for v in root.outputs)
        self.targets = [v for v in outputs if v not in inner]
        recorded = set().union(*(live_edges(root, calls_to(root.outputs)) for root in roots))
        alive = {call for call, _ in recorded}
        answers = {j.found.site.sweep for j in joints}  # their calls are told by the joint
        self.calls = calls_to(self.targets, lambda c: c.site.sweep not in answers or c in alive)
        self.consumers: dict[Tracked, list[Edge]] = {}
        for call in self.calls:
            for i, v in enumerate(call.inputs):
                self.consumers.setdefault(v, []).append((call, i))
        self.by_hand = {edge for j in joints for edge in j.edges}
        self.live = recorded | self.by_hand
        aside = {edge for j in joints if j.upper not in inner for edge in j.edges}
        self.paths = self._count(lambda edge: edge in self.live and edge not in aside)
        self.shadow_paths = self._count(lambda edge: edge not in aside)
        self.incoming: dict[Call, Gradient] = {}
        self.sent: dict[Edge, Gradient] = {}
        self._collect_gradients()

    def onward(self, value: Tracked, live: bool = False) -> list[Edge]:
        """The edges on all shadow (or live) paths from a value to the roots."""
        return edges_from([value], self.calls, self.live.__contains__ if live else None)

    def _collect_gradients(self) -> None:
        calls: dict[Node | None, list[Call]] = {}
        for call in self.calls:
            calls.setdefault(call.out.tensor.node, []).append(call)
        for visit in (v for root in self.roots for v in root.visits):
            for call in calls.get(visit.node, ()):
                self.incoming[call] = self.incoming.get(call, 0) + visit.g._array
                for i, _, g in visit.sent:
                    self.sent[call, i] = self.sent.get((call, i), 0) + g._array
        for joint in self.joints:
            for edge in joint.first:
                self.sent[edge] = joint.fed_gradient
            if joint.lower.maker is not None and joint.edges:
                last = joint.lower.maker
                self.incoming[last] = self.incoming.get(last, 0) + joint.found_gradient

    def _count(self, takes: Callable[[Edge], bool]) -> dict[Tracked, int]:
        """How many ways lead from the roots back to each value."""
        ways = dict.fromkeys(self.targets, 1)
        for call in reversed(self.calls):
            for i, v in enumerate(call.inputs):
                if takes((call, i)):
                    ways[v] = ways.get(v, 0) + ways.get(call.out, 0)
        return ways
