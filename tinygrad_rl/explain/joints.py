"""The chain rule by hand: a gradient that one sweep found, and that the user feeds into another.

    a = action.detach().requires_grad_()
    (dq_da,) = grad(q(a).mean(), a)       # found at `a`
    action.backward(-dq_da)               # fed to `action`: these two sweeps are one story

No recorded path leads from `action` to the loss, and still the gradient goes that way. A joint is
where. It is seen by three things together: a value `a` whose gradient a sweep found, a value
`action` on the way of another sweep from which `a` has its values, and that the gradient which
comes to `action` is made of the one found at `a`, element by element: as the gradient that sweep
starts with, or as a factor on its way, as in `(action * dq_da).sum()`. A gradient that is only
measured (a norm, a penalty, the log) makes no joint.
"""

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_rl.core import Gather, Line, Reduction, View, Where
from tinygrad_rl.explain.paths import Edge, calls_to, edges_from, live_edges, values_on
from tinygrad_rl.explain.record import Call, Recorder, Root, Tracked

Gradient = np.ndarray[Any, Any]

_MULTIPLE, _ALIKE = 0.999, 0.8
"""Cosines from which one array counts as made of another: as they are, and without their means.

That both have one sign throughout says nothing.
"""


@dataclass(frozen=True, eq=False)
class Joint:
    """Where a gradient is carried on by hand.

    Attributes
    ----------
    lower, upper : the value at which the gradient was found, and the one to which it is fed.
    found, fed : the two sweeps.
    found_gradient, fed_gradient : the gradient at both; they differ when it was negated, say.
    where : the user's line that feeds it.
    edges : what lies between the two, and records no way back.
    """

    lower: Tracked
    upper: Tracked
    found: Root
    fed: Root
    found_gradient: Gradient
    fed_gradient: Gradient
    where: Where | None
    edges: tuple[Edge, ...]

    @property
    def first(self) -> list[Edge]:
        """The edges that leave the upper value."""
        return [(call, i) for call, i in self.edges if call.inputs[i] is self.upper]

    @property
    def found_line(self) -> Line:
        """The user's line that found the gradient."""
        return Line.at(self.found.where)

    @property
    def line(self) -> Line:
        """The user's line that feeds the gradient."""
        return Line.at(self.where)


def join(recorder: Recorder, roots: Sequence[Root]) -> tuple[list[Root], list[Joint]]:
    """The sweeps that belong to the story of `roots`, in order, and how they are joined."""
    sweeps = [_Sweep(root) for root in recorder.roots]
    every = [
        joint
        for i, found in enumerate(recorder.roots)
        for lower, g in _candidates(recorder, found)
        for joint in _joints(recorder, found, lower, g, sweeps[i + 1 :])
    ]
    story, joints = set(roots), []
    while more := [j for j in every if j not in joints and story & {j.found, j.fed}]:
        joints += more
        story |= {root for j in more for root in (j.found, j.fed)}
    return [root for root in recorder.roots if root in story], joints


class _Sweep:
    """A sweep that a gradient may be fed to, and what is on its way."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.calls = calls_to(root.outputs)
        self.live = live_edges(root, self.calls)
        self.alive = values_on(self.live) | {v for v in root.outputs if v.tensor.requires_grad}
        self.values = {v for call in self.calls for v in (*call.inputs, call.out)}


def _candidates(recorder: Recorder, found: Root) -> Iterator[tuple[Tracked, Gradient]]:
    """The values in the middle of the program at which a sweep found a gradient.

    A parameter is none: that its gradient is used is no chain rule.
    """
    for tensor in found.gradients if found.asked is None else found.asked:
        value, g = recorder.track(tensor), found.found(tensor)
        if g is not None and (value.maker or id(tensor) not in recorder.names.tensors):
            yield value, g


def _joints(
    recorder: Recorder, found: Root, lower: Tracked, g: Gradient, later: Sequence[_Sweep]
) -> Iterator[Joint]:
    """Where a gradient is fed to a later sweep."""
    trail = _Trail(recorder, found, lower, g)
    for sweep in later:
        if not trail.touches(sweep):
            continue
        for upper in _uppers(lower, sweep.alive):
            onward = edges_from([upper], sweep.calls, sweep.live.__contains__)
            where, g_fed = trail.enters(sweep.root, upper, onward), sweep.root.found(upper.tensor)
            if where and g_fed is not None:
                edges = tuple(_between(recorder, upper, lower))
                yield Joint(lower, upper, found, sweep.root, g, g_fed, where[0], edges)


# -- what is made of a gradient --------------------------------------------------------------------


class _Trail:
    """All that is made, element by element, of the gradient that a sweep found at a value."""

    def __init__(self, recorder: Recorder, found: Root, lower: Tracked, g: Gradient) -> None:
        self.recorder = recorder
        owners = recorder.owners.items()
        self.values = {recorder.track(t) for t, leaf in owners if leaf is lower.tensor}
        for call in recorder.calls[
            bisect(recorder.calls, found.when - 0.5, key=lambda c: c.order) :
        ]:
            if found.site.sweep == call.site.sweep:
                if np.array_equal(call.out.tensor._array, g):
                    self.values.add(call.out)
                continue
            if recorder.reads:
                self.values |= {v for v in call.inputs if v.maker is None and self._came_back(v)}
            if any(v in self.values and _keeps_elements(call, v) for v in call.inputs):
                self.values.add(call.out)

    def touches(self, sweep: _Sweep) -> bool:
        """Whether anything of it is given to a sweep, or stands on its way."""
        return any(map(self._holds, sweep.root.given)) or bool(self.values & sweep.values)

    def enters(self, fed: Root, upper: Tracked, onward: Sequence[Edge]) -> list[Where | None]:
        """The line where it becomes part of a sweep's gradient on the way to a value, if any."""
        reached = {upper, *(call.out for call, _ in onward)}
        for v, given in zip(fed.outputs, fed.given, strict=True):
            if v in reached and self._holds(given):
                return [fed.where]
        factors = (c for c, i in onward if not self.values.isdisjoint(_asked_for(c, i)))
        return [call.site.where for call in factors][:1]

    def _holds(self, given: Any) -> bool:
        if isinstance(given, Tracked):
            return given in self.values or (given.maker is None and self._came_back(given))
        return given is not None and self._resembles(np.asarray(given))

    def _came_back(self, constant: Tracked) -> bool:
        """Whether NumPy made a constant of what left the engine."""
        if constant.tensor.requires_grad or id(constant.tensor) in self.recorder.names.tensors:
            return False
        return self._resembles(constant.tensor._array)

    def _resembles(self, array: Gradient) -> bool:
        reads = (r.values for r in self.recorder.reads if r.source in self.values)
        return any(r.shape == array.shape and _is_made_of(array, r) for r in reads)


def _is_made_of(array: Gradient, g: Gradient) -> bool:
    """Whether an array looks like a gradient that was scaled, clipped or otherwise bent."""
    a, b = np.atleast_1d(array).astype(np.float64), np.atleast_1d(g).astype(np.float64)
    if not a.size:
        return False
    if _rises_with(a, b) or _rises_with(-a, b):
        return True
    return _cosine(a, b) > _MULTIPLE or _cosine(a - a.mean(0), b - b.mean(0)) > _ALIKE


def _rises_with(array: Gradient, g: Gradient) -> bool:
    """Whether larger elements of one belong to larger elements of the other, as after clipping."""
    a = array.ravel()[np.lexsort((array.ravel(), g.ravel()))]
    return bool(np.all(a[1:] >= a[:-1]) and a[0] != a[-1])


def _cosine(a: Gradient, b: Gradient) -> float:
    """Of the angle between two arrays, without its sign; 0 when one is zero."""
    x, y = a.ravel(), b.ravel()
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return abs(float(x @ y)) / lengths if lengths else 0.0


def _keeps_elements(call: Call, value: Tracked) -> bool:
    """Whether a call's output has the elements of an input, changed or moved, not summed up."""
    if isinstance(call.op, (View, Gather)):
        return True
    sums = isinstance(call.op, Reduction) or (call.op is not None and call.op.contracts)
    return not sums and call.out.tensor.size >= value.tensor.size


def _asked_for(call: Call, position: int) -> Iterator[Tracked]:
    """The values that the gradient rule of one input is computed with."""
    node = call.out.tensor.node
    if node is None or position not in node.plan.positions:
        return
    _, names = node.plan.rules[node.plan.positions.index(position)]
    yield from (call.inputs[i] for name, i in node.plan.saves if name in names)


# -- which two values are joined -------------------------------------------------------------------


def _uppers(lower: Tracked, alive: set[Tracked]) -> list[Tracked]:
    """The values on the way of the other sweep that this one has its values from."""
    if lower in alive:
        return [lower]
    before = calls_to([lower])
    ancestors = {v for call in before for v in call.inputs}
    equal = [
        v
        for v in alive
        if np.array_equal(v.tensor._array, lower.tensor._array)
        and not any(lower in call.inputs for call in calls_to([v]))
    ]
    equal.sort(key=lambda v: (v in ancestors, v.maker.order if v.maker else -1.0))
    if equal:
        return equal[-1:]
    onward = edges_from(alive & ancestors, before)
    nearest = {c.inputs[i] for c, i in onward} & alive
    hidden = {v for v in nearest for c, i in edges_from([v], before) if c.out in nearest}
    return [v for v in nearest - hidden if v.maker is not None]


def _between(recorder: Recorder, upper: Tracked, lower: Tracked) -> list[Edge]:
    """What leads from one value to the other: recorded calls, or only that they are equal."""
    if upper is lower:
        return []
    if not (edges := edges_from([upper], calls_to([lower]))):
        lower.maker = recorder.same_values(upper, lower)
        edges = [(lower.maker, 0)]
    return edges
