"""From recorded calls to the boxes and arrows of a picture, at one of three levels of detail.

    graph = Graph(flow, leaves, "layer")
    graph.boxes, graph.arrows

A layer of a network is five ops or so; drawn in full, a two-layer actor and its critic are forty
boxes. So calls are grouped: the ops inside one engine function (`mean`, `layer_norm`) always belong
together, a linear map takes its normalisation and activation with it, and, on demand, a whole
module becomes one box.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_rl.core import Cut, CutKind, Elementwise, Rowwise
from tinygrad_rl.explain.diagnose import Leaf, Status
from tinygrad_rl.explain.draw.layout import Spot
from tinygrad_rl.explain.flow import Flow, Gradient
from tinygrad_rl.explain.paths import Edge, edges_from
from tinygrad_rl.explain.record import Call, Part, Tracked

_CODE = 40  # characters of a line of code in a box


@dataclass
class Chip:
    """A parameter inside a box; `kind` is that of what stops its gradient, None for elsewhere."""

    name: str
    status: Status
    norm: float | None
    kind: CutKind | None = None
    several: bool = False  # it speaks for several tensors


@dataclass(eq=False)
class Box(Spot):
    """One thing in the picture: a group of calls, a leaf, or the result."""

    kind: str = "op"  # "op", "layer", "module", "joint", "leaf", "data" or "result"
    title: str = ""
    subtitle: str = ""
    chips: list[Chip] = field(default_factory=list)
    cluster: tuple[int, str] | None = None  # the module call that it belongs to


@dataclass(eq=False)
class Arrow:
    """A tensor that goes from one box to another, and what comes back."""

    source: Box
    target: Box
    label: str = ""
    live: bool = False
    cut: Cut | None = None
    gradients: list[Gradient] = field(default_factory=list)

    @property
    def norm(self) -> float | None:
        """Of the sum of what comes back; None where that is unknown."""
        return float(np.linalg.norm(np.sum(self.gradients, axis=0))) if self.gradients else None


class Graph:
    """What is drawn: groups of calls as `boxes`, and `arrows` between them.

    Raises
    ------
    ValueError : for an unknown level of detail.
    """

    def __init__(self, flow: Flow, leaves: Sequence[Leaf], detail: str) -> None:
        if detail not in ("op", "layer", "module"):
            raise ValueError(f"detail is 'op', 'layer' or 'module', not {detail!r}")
        self.flow, self.detail = flow, detail
        self.leaves = {id(leaf.tensor): leaf for leaf in leaves}
        self.group: dict[Call, Call] = {}  # of each call, the first call of its group
        self.members: dict[Call, list[Call]] = {}
        self._leaf_boxes: dict[Tracked, Box] = {}
        self._arrows: dict[tuple[Box, Box, Tracked], Arrow] = {}
        self._joints = {call: joint for joint in flow.joints for call, _ in joint.edges}
        self._named: set[Tracked] = set()  # have their name at an arrow
        starts = [v for v in flow.consumers if v.maker is None and id(v.tensor) in self.leaves]
        edges = edges_from(starts, flow.calls)
        self.could_carry = {*starts, *(call.out for call, _ in edges)}  # a gradient
        self._group_calls()
        self._boxes = {first: self._box(calls) for first, calls in self.members.items()}
        for call in flow.calls:
            for i, value in enumerate(call.inputs):
                self._connect((call, i), value)
        results = [self._result(v, maker) for v in flow.targets if (maker := self._maker(v))]
        self.boxes = [*self._leaf_boxes.values(), *self._boxes.values(), *results]
        self.arrows = list(self._arrows.values())

    def _maker(self, value: Tracked) -> Call | None:
        """The call that made a value, if it is part of the picture."""
        return value.maker if value.maker in self.group else None

    def _group(self, value: Tracked) -> Call | None:
        return self.group[maker] if (maker := self._maker(value)) else None

    # -- which calls belong together -------------------------------------------------------------

    def _group_calls(self) -> None:
        firsts: dict[Any, Call] = {}
        for call in self.flow.calls:
            first = self.group[call] = firsts.setdefault(self._key(call), call)
            self.members.setdefault(first, []).append(call)
        if self.detail != "op":
            for call in self.flow.calls:
                if call not in self._joints:
                    self._join(call)

    def _key(self, call: Call) -> Any:
        module = _module(call)
        if call in self._joints:
            return self._joints[call].lower
        if self.detail == "module" and module:
            return module
        if self.detail != "op" and call.site.part.identity >= 0:
            return call.site.part.identity
        return call

    def _join(self, call: Call) -> None:
        """Let the group before this one, if all that it gives goes here, take this one in."""
        mine = self.group[call]
        calls = self.members[mine]
        outside = [v for c in calls for v in c.inputs if self._group(v) is not mine]
        before = {group for v in outside if (group := self._group(v))}
        if len(before) != 1 or _product(calls) is not None:
            return
        (theirs,) = before
        in_layer = _product(self.members[theirs]) is not None
        fits = self._continues_layer(calls) if in_layer else self._continues_formula(call, outside)
        if fits and self._gives_only_to(theirs, mine):
            for c in calls:
                self.group[c] = theirs
            self.members[theirs] += self.members.pop(mine)

    def _continues_layer(self, calls: list[Call]) -> bool:
        """An activation, a bias, or what keeps the shape otherwise: a normalisation."""
        if self.detail != "layer":
            return False
        before = next(v for c in calls for v in c.inputs if self._maker(v))
        call = calls[-1]
        if len(calls) > 1 or isinstance(call.op, Rowwise):
            return call.out.tensor.shape == before.tensor.shape
        if call.op is None or call.op.activation:
            return call.op is not None
        own = any(v.maker is None and id(v.tensor) in self.leaves for v in call.inputs)
        return own and isinstance(call.op, Elementwise)

    def _continues_formula(self, call: Call, outside: list[Tracked]) -> bool:
        """A chain of ops with nothing but numbers beside it is one formula, such as -q.mean()."""
        seen = [v for v in outside if self._maker(v) or not self._is_hidden(v)]
        if len(seen) != 1 or seen[0].name or (before := self._maker(seen[0])) is None:
            return False
        if call.op is None or before.op is None or call.recorded != before.recorded:
            return False
        cuts = {c.kind for found in call.cuts for c in found}
        return cuts <= {CutKind.NO_GRAD} and before.op.cuts is None

    def _is_hidden(self, value: Tracked) -> bool:
        """A number in the formula, or a constant that the user keeps private."""
        if id(value.tensor) in self.leaves:
            return False
        private = value.name.rpartition(".")[2].startswith("_")
        return private or (not value.name and value.tensor.ndim == 0)

    def _gives_only_to(self, first: Call, other: Call) -> bool:
        outs = [c.out for c in self.members[first]]
        users = {self.group[c] for out in outs for c, _ in self.flow.consumers.get(out, ())}
        return users <= {first, other} and not any(out in self.flow.targets for out in outs)

    # -- boxes -----------------------------------------------------------------------------------

    def _box(self, calls: list[Call]) -> Box:
        module = _module(calls[0])
        if calls[0] in self._joints:
            line = self._joints[calls[0]].line
            said = f"{line.short}  {line.excerpt(_CODE)[0]}"
            return Box(kind="joint", title="joined by hand", subtitle=said)
        if self.detail == "module" and module and all(_module(c) == module for c in calls):
            return Box(kind="module", title=module[1], subtitle=_sizes(calls))
        product = _product(calls)
        if self.detail == "layer" and product is not None:
            names = [self._name(v) for c in calls for v in c.inputs if v.maker is None]
            stem = next((n.rpartition(".")[0] for n in names if "." in n), "")
            words = [f"{product.name} {_sizes([product])}", *_extras(calls, product)]
            subtitle = ", ".join(words[not stem :])
            return Box(kind="layer", title=stem or words[0], subtitle=subtitle, cluster=module)
        words = [calls[-1].name] if self.detail == "op" else list(_words(calls).values())
        return Box(title=", ".join(words), cluster=module)

    def _connect(self, edge: Edge, value: Tracked) -> None:
        box = self._boxes[self.group[edge[0]]]
        leaf = self.leaves.get(id(value.tensor))
        if (group := self._group(value)) is not None:
            source = self._boxes[group]
            if source is not box:
                self._arrow(source, box, value, edge)
        elif self._is_hidden(value) and (self.detail != "op" or not value.name):
            return
        elif leaf is None and box.kind == "module" and value.name.startswith(f"{box.title}."):
            return  # a constant of the module's own, such as the range that an actor ends in
        elif leaf is not None and box.kind != "op":
            chip = self._chip(leaf, box, edge)
            if chip.name not in [c.name for c in box.chips]:
                box.chips.append(chip)
        else:
            if value not in self._leaf_boxes:
                self._leaf_boxes[value] = _leaf_box(value, leaf)
            self._arrow(self._leaf_boxes[value], box, value, edge)

    def _chip(self, leaf: Leaf, box: Box, edge: Edge) -> Chip:
        """What happens to a parameter at this call; at another it may fare otherwise."""
        call, i = edge
        name = leaf.name.removeprefix(box.title + ".")
        late = next((c.kind for c in leaf.causes if c.kind.is_late), None)
        if edge in self.flow.live and late is None:
            sent = self.flow.sent.get(edge)
            norm = leaf.norm if sent is None else float(np.linalg.norm(sent))
            return Chip(name, Status.ZERO if norm == 0 else Status.REACHED, norm)
        asked = next((c.kind for c in leaf.causes if c.kind is CutKind.NOT_ASKED), None)
        kind = late or next((c.kind for c in call.cuts[i]), asked)
        status = Status.FROZEN if kind is CutKind.FROZEN else Status.BLOCKED
        return Chip(name, status, None, kind)

    def _result(self, value: Tracked, maker: Call) -> Box:
        number = f" = {value.tensor._array.item():.4g}" if value.tensor.size == 1 else ""
        name = value.name or ("loss" if value.tensor.size == 1 else "result")
        source, box = self._boxes[self.group[maker]], Box(kind="result", title=name + number)
        live = any((maker, i) in self.flow.live for i in range(len(maker.inputs)))
        arrow = self._arrows[source, box, value] = Arrow(source, box, live=live)
        if maker in self.flow.incoming:
            arrow.gradients.append(self.flow.incoming[maker])
        return box

    def _name(self, value: Tracked) -> str:
        leaf = self.leaves.get(id(value.tensor))
        return leaf.name if leaf else value.name

    # -- arrows ----------------------------------------------------------------------------------

    def _arrow(self, source: Box, target: Box, value: Tracked, edge: Edge) -> None:
        arrow = self._arrows.setdefault((source, target, value), Arrow(source, target))
        if self._maker(value) and value.name and value not in self._named:
            arrow.label = value.name
            self._named.add(value)
        if edge in self.flow.live:
            arrow.live, arrow.cut = True, None
            if edge in self.flow.sent:
                arrow.gradients.append(self.flow.sent[edge])
        elif not arrow.live and arrow.cut is None:
            arrow.cut = self._cut(value, edge)

    def _cut(self, value: Tracked, edge: Edge) -> Cut | None:
        """The cut to show with scissors: the first on a way that could carry a gradient."""
        call, i = edge
        cuts = [c for c in call.cuts[i] if c.kind is not CutKind.FROZEN]  # the leaf itself says so
        if not cuts or value not in self.could_carry:
            return None
        maker = self._maker(value)
        inside = maker is not None and any(cuts[-1] in found for found in maker.cuts)
        return None if inside else cuts[-1]


def _module(call: Call) -> tuple[int, str] | None:
    """The outermost module call around this one, if the module has a name."""
    modules = call.site.modules
    return modules[0] if modules and modules[0][1] else None


def _product(calls: list[Call]) -> Call | None:
    """The matrix product among some calls."""
    return next((c for c in calls if c.op and c.op.contracts), None)


def _sizes(calls: list[Call]) -> str:
    """The lengths of the vectors that go through the matrix products among some calls."""
    products = [c for c in calls if c.op and c.op.contracts]
    tensors = [c.inputs[0].tensor for c in products[:1]] + [c.out.tensor for c in products]
    return " → ".join(str(t.shape[-1]) for t in tensors)


def _words(calls: list[Call]) -> dict[Part | Call, str]:
    """What to call each engine function of several ops, and each other op, among some calls."""
    parts = [c.site.part for c in calls]
    words: dict[Part | Call, str] = {}
    for c, part in zip(calls, parts, strict=True):
        several = part.identity >= 0 and parts.count(part) > 1
        words[part if several else c] = part.name if several else c.name
    return words


def _extras(calls: list[Call], product: Call) -> list[str]:
    """What a layer does after its product: `layer norm`, `relu`."""
    words = _words([c for c in calls if c.site.part != product.site.part])
    return [
        word.replace("_", " ")
        for key, word in words.items()
        if isinstance(key, Part) or (key.op and (key.op.activation or isinstance(key.op, Rowwise)))
    ]


def _leaf_box(value: Tracked, leaf: Leaf | None) -> Box:
    shape = str(value.tensor.shape)
    if leaf is None:
        return Box(kind="data", title=value.name or "constant", subtitle=shape)
    kind = None
    if leaf.status in (Status.BLOCKED, Status.FROZEN):
        kind = next((c.kind for c in leaf.causes if c.kind.is_by_flag), None)
    chip = Chip("", leaf.status, leaf.norm, kind)
    return Box(kind="leaf", title=leaf.name, subtitle=shape, chips=[chip])
