"""From recorded calls to the boxes and arrows of a picture, at one of three levels of detail.

A layer of a network is five ops or so; drawn in full, a two-layer actor and its critic are forty
boxes. So calls are grouped: the ops inside one engine function (`mean`, `layer_norm`) always belong
together, a linear map takes its normalisation and activation with it, and, if wanted, a whole
module becomes one box.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_rl.explain.diagnose import BLOCKED, FROZEN, REACHED, ZERO, Flow, Leaf
from tinygrad_rl.explain.record import Call, Cause, Value

_ACTIVATIONS = {
    *("relu", "tanh", "sigmoid", "silu", "softplus", "logsigmoid", "gelu", "elu", "selu", "celu"),
    *("leaky_relu", "mish", "hardtanh", "hardswish", "softsign"),
}
_PARAMETRIC = {"linear", "matmul", "layer_norm"}


@dataclass
class Chip:
    """A parameter inside a box."""

    name: str
    status: str
    norm: float | None
    kind: str = ""  # of the first cause


@dataclass(eq=False)
class Box:
    """One thing in the picture: a group of calls, a leaf, or the result."""

    kind: str  # "op", "layer", "module", "leaf", "data" or "result"
    title: str
    subtitle: str = ""
    chips: list[Chip] = field(default_factory=list)
    cluster: tuple[int, str] | None = None


@dataclass(eq=False)
class Arrow:
    """A tensor that goes from one box to another, and what comes back."""

    source: Box
    target: Box
    label: str = ""
    live: bool = False
    norm: float | None = None
    cut: Cause | None = None


@dataclass
class Graph:
    """What is drawn."""

    boxes: list[Box]
    arrows: list[Arrow]


def build(flow: Flow, leaves: Sequence[Leaf], detail: str) -> Graph:
    """Group the calls and connect the groups.

    Raises
    ------
    ValueError : for an unknown level of detail.
    """
    if detail not in ("op", "layer", "module"):
        raise ValueError(f"detail is 'op', 'layer' or 'module', not {detail!r}")
    return _Builder(flow, {id(leaf.tensor): leaf for leaf in leaves}, detail).build()


class _Builder:
    def __init__(self, flow: Flow, leaves: dict[int, Leaf], detail: str) -> None:
        self.flow, self.leaves, self.detail = flow, leaves, detail
        self.graph = Graph([], [])
        self.group = self._grouped()
        self.boxes: dict[int, Box] = {}
        self.leaf_boxes: dict[int, Box] = {}
        self.arrows: dict[tuple[int, int, int], Arrow] = {}
        self.named: set[int] = set()  # values that have their name at an arrow
        self.parts: dict[tuple[int, int, int], list[np.ndarray[Any, Any]]] = {}
        self.sent = _contributions(flow)
        self.tainted = _tainted(flow, leaves)

    def build(self) -> Graph:
        members: dict[int, list[Call]] = {}
        for call in self.flow.calls:
            members.setdefault(self.group[id(call)], []).append(call)
        for key, calls in members.items():
            self.boxes[key] = self._box(calls)
        for call in self.flow.calls:
            for i, value in enumerate(call.inputs):
                self._connect(call, i, value)
        for value in self.flow.targets:
            self._result(value)
        for ends, parts in self.parts.items():
            self.arrows[ends].norm = float(np.linalg.norm(np.sum(parts, axis=0)))
        self.graph.boxes = [*self.leaf_boxes.values(), *self.boxes.values(), *self.graph.boxes]
        self.graph.arrows = list(self.arrows.values())
        return self.graph

    # -- which calls belong together -------------------------------------------------------------

    def _grouped(self) -> dict[int, int]:
        """A group number for each call."""
        keys: dict[Any, int] = {}
        group: dict[int, int] = {}
        for call in self.flow.calls:
            key: Any = ("call", call.index)
            if self.detail == "module" and call.modules and call.modules[0][1]:
                key = ("module", call.modules[0])
            elif self.detail != "op" and call.part[0] >= 0:
                key = ("part", call.part[0])
            group[id(call)] = keys.setdefault(key, len(keys))
        if self.detail == "layer":
            self._join_layers(group)
        if self.detail != "op":
            self._join_formulas(group)
        return group

    def _join_layers(self, group: dict[int, int]) -> None:
        """A linear map takes in the bias, normalisation and activation that follow it."""
        layers = {group[id(c)] for c in self.flow.calls if c.op in ("linear", "matmul")}
        for call in self.flow.calls:
            mine = group[id(call)]
            feeding = {
                group[id(v.maker)]
                for v in call.inputs
                if v.maker is not None and group[id(v.maker)] != mine
            }
            if len(feeding) != 1 or not feeding <= layers or mine in layers:
                continue
            (layer,) = feeding
            bias = call.op == "add" and any(v.maker is None and v.shape for v in call.inputs)
            follows = call.op in _ACTIVATIONS or call.part[1] == "layer_norm" or bias
            if follows and self._only_consumer(layer, mine, group):
                for c in self.flow.calls:
                    if group[id(c)] == mine:
                        group[id(c)] = layer

    def _join_formulas(self, group: dict[int, int]) -> None:
        """A chain of ops with nothing but numbers beside it is one formula, such as -q.mean()."""
        layers = {group[id(c)] for c in self.flow.calls if c.op in ("linear", "matmul")}
        for call in self.flow.calls:
            mine = group[id(call)]
            inputs = [
                v
                for c in self.flow.calls
                if group[id(c)] == mine
                for v in c.inputs
                if (v.maker is None and not self._hidden(v))
                or (v.maker and group[id(v.maker)] != mine)
            ]
            if len(inputs) != 1 or inputs[0].maker is None or inputs[0].name:
                continue
            before = inputs[0].maker
            same = call.kind == before.kind == "op" and call.recorded == before.recorded
            calm = not any(c for cs in call.causes for c in cs if c.kind != "no_grad")
            theirs = group[id(before)]
            joins = not {mine, theirs} & layers and self._only_consumer(theirs, mine, group)
            if same and calm and before.op != "stop_gradient" and joins:
                for c in self.flow.calls:
                    if group[id(c)] == mine:
                        group[id(c)] = theirs

    def _hidden(self, value: Value) -> bool:
        """A number in the formula, or a constant that the user keeps private."""
        if id(value.tensor) in self.leaves:
            return False
        private = value.name.rpartition(".")[2].startswith("_")
        return private or (not value.name and value.tensor.ndim == 0)

    def _only_consumer(self, layer: int, other: int, group: dict[int, int]) -> bool:
        """Whether all that leaves the layer goes to the other group."""
        outs = [c.out for c in self.flow.calls if group[id(c)] == layer]
        users = [
            group[id(c)]
            for out in outs
            for c, _ in self.flow.consumers.get(id(out), [])
            if group[id(c)] != layer
        ]
        return set(users) == {other} and not any(out in self.flow.targets for out in outs)

    def _box(self, calls: list[Call]) -> Box:
        first, last = calls[0], calls[-1]
        cluster = first.modules[0] if first.modules and first.modules[0][1] else None
        if (
            self.detail == "module"
            and cluster
            and len({c.modules[:1] == [cluster] for c in calls}) == 1
        ):
            return Box("module", cluster[1], _sizes(calls))
        matrix = next((c for c in calls if c.op in ("linear", "matmul")), None)
        if self.detail == "layer" and matrix is not None:
            names = [self._leaf_name(v) for c in calls for v in c.inputs if v.maker is None]
            stem = next((n.rpartition(".")[0] for n in names if "." in n), "")
            words = [f"{matrix.op} {matrix.inputs[0].shape[-1]} → {matrix.out.shape[-1]}"]
            words += [_label(c) for c in calls if c.op in _ACTIVATIONS or c.part[1] == "layer_norm"]
            return Box(
                "layer",
                stem or words[0],
                ", ".join(dict.fromkeys(words[not stem :])),
                cluster=cluster,
            )
        words = [last.op]
        if self.detail != "op":
            parts = {c.part if c.part[0] >= 0 else (c.index, c.op): c for c in calls}
            sizes = [sum(c.part == part for c in calls) for part in parts]
            words = [
                part[1] if n > 1 else c.op
                for (part, c), n in zip(parts.items(), sizes, strict=True)
            ]
        return Box("op", ", ".join(w.strip("_") for w in words), cluster=cluster)

    # -- arrows ----------------------------------------------------------------------------------

    def _connect(self, call: Call, i: int, value: Value) -> None:
        box = self.boxes[self.group[id(call)]]
        if value.maker is not None:
            source = self.boxes[self.group[id(value.maker)]]
            if source is not box:
                self._arrow(source, box, value, call, i)
            return
        leaf = self.leaves.get(id(value.tensor))
        if self._hidden(value) and (self.detail != "op" or not value.name):
            return
        if leaf is not None and box.kind != "op":
            chip = self._chip(leaf, box, call, i)
            if chip.name not in [c.name for c in box.chips]:
                box.chips.append(chip)
            return
        if id(value) not in self.leaf_boxes:
            self.leaf_boxes[id(value)] = self._leaf_box(value, leaf)
        self._arrow(self.leaf_boxes[id(value)], box, value, call, i)

    def _chip(self, leaf: Leaf, box: Box, call: Call, i: int) -> Chip:
        """What happens to a parameter at this call; at another it may fare otherwise."""
        name = leaf.name.removeprefix(box.title + ".")
        late = next((c.kind for c in leaf.causes if "after" in c.kind), None)
        if (call.index, i) in self.flow.live and late is None:
            sent = self.sent.get((id(call.out.tensor.node), i))
            norm = leaf.norm if sent is None else float(np.linalg.norm(sent))
            return Chip(name, REACHED if norm else ZERO, norm)
        here = [c.kind for c in call.causes[i]]
        kind = late or next(iter(here), "nothing")
        return Chip(name, FROZEN if kind == "frozen" else BLOCKED, None, kind)

    def _leaf_box(self, value: Value, leaf: Leaf | None) -> Box:
        if leaf is None:
            return Box("data", value.name or "constant", str(value.shape))
        kind = next((c.kind for c in leaf.causes if "frozen" in c.kind), "nothing")
        chip = Chip("", leaf.status, leaf.norm, kind if leaf.status in (BLOCKED, FROZEN) else "")
        return Box("leaf", leaf.name, str(value.shape), [chip])

    def _arrow(self, source: Box, target: Box, value: Value, call: Call, i: int) -> None:
        key = (id(source), id(target), id(value))
        arrow = self.arrows.get(key)
        if arrow is None:
            arrow = self.arrows[key] = Arrow(source, target)
            if value.maker is not None and value.name and id(value) not in self.named:
                arrow.label = value.name
                self.named.add(id(value))
        if (call.index, i) in self.flow.live:
            arrow.live, arrow.cut = True, None
            sent = self.sent.get((id(call.out.tensor.node), i))
            if sent is not None:
                self.parts.setdefault(key, []).append(sent)
        elif not arrow.live and arrow.cut is None:
            arrow.cut = self._cut(value, call, i)

    def _cut(self, value: Value, call: Call, i: int) -> Cause | None:
        """The cause to show with scissors: the first on a way that could carry a gradient."""
        causes = [c for c in call.causes[i] if c.kind != "frozen"]  # the leaf itself says so
        if not causes or id(value) not in self.tainted:
            return None
        cause = causes[-1]
        before = value.maker
        inside = before is not None and any(cause in causes for causes in before.causes)
        return None if inside else cause

    def _result(self, value: Value) -> None:
        if value.maker is None:
            return
        number = f" = {value.tensor._array.item():.4g}" if value.tensor.size == 1 else ""
        name = value.name or ("loss" if value.tensor.size == 1 else "result")
        box = Box("result", name + number)
        self.graph.boxes.append(box)
        source = self.boxes[self.group[id(value.maker)]]
        live = any((value.maker.index, i) in self.flow.live for i in range(len(value.maker.inputs)))
        key = (id(source), id(box), id(value))
        self.arrows[key] = Arrow(source, box, "", live)
        if live:
            visits = (v for root in self.flow.roots for v in root.visits)
            start = (v.g._array for v in visits if v.node is value.tensor.node)
            self.parts[key] = [next(start, np.ones(value.shape))]

    def _leaf_name(self, value: Value) -> str:
        leaf = self.leaves.get(id(value.tensor))
        return leaf.name if leaf else value.name


def _label(call: Call) -> str:
    return "layer norm" if call.part[1] == "layer_norm" else call.op


def _sizes(calls: list[Call]) -> str:
    widths = [c for c in calls if c.op in ("linear", "matmul")]
    if not widths:
        return ""
    return " → ".join(
        str(n) for n in (widths[0].inputs[0].shape[-1], *(c.out.shape[-1] for c in widths))
    )


def _contributions(flow: Flow) -> dict[tuple[int, int], np.ndarray[Any, Any]]:
    """What each call passed back to each input, by (identity of the node, position)."""
    sent: dict[tuple[int, int], np.ndarray[Any, Any]] = {}
    for visit in (v for root in flow.roots for v in root.visits):
        for position, _, g in visit.sent:
            key = (id(visit.node), position)
            sent[key] = sent[key] + g._array if key in sent else g._array
    return sent


def _tainted(flow: Flow, leaves: dict[int, Leaf]) -> set[int]:
    """Values that depend on a tensor that could want a gradient."""
    found = {
        id(v)
        for call in flow.calls
        for v in call.inputs
        if v.maker is None and id(v.tensor) in leaves
    }
    for call in flow.calls:
        if any(id(v) in found for v in call.inputs):
            found.add(id(call.out))
    return found
