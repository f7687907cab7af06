"""Where the gradient goes, and where and why it stops: at the line of code.

    print(explain(actor_loss, obs))       # runs it once, with everything recorded
    explanation.to_dict()                 # the same for programs
    explanation.save("actor.svg")         # the same as a picture

Nothing of this costs anything when it is not used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_rl.core import Cut, Line
from tinygrad_rl.explain.diagnose import Leaf, Status, diagnose
from tinygrad_rl.explain.draw.picture import draw
from tinygrad_rl.explain.draw.scene import Scene
from tinygrad_rl.explain.flow import Flow
from tinygrad_rl.explain.headline import headline
from tinygrad_rl.explain.joints import Joint, join
from tinygrad_rl.explain.record import Recorder, Root
from tinygrad_rl.explain.text import render
from tinygrad_rl.files import write_atomically
from tinygrad_rl.naming import Names
from tinygrad_rl.spelling import kind, misplaced
from tinygrad_rl.tree import tensors_in


@dataclass(frozen=True)
class Explanation:
    """What `explain` found. Prints as text; shows itself as a picture in a notebook.

    Attributes
    ----------
    title : name of the explained function.
    value : the number that the gradient is of; None for a tensor with several.
    leaves : the verdict on each tensor that requires a gradient, or did, or could.
    data : names of the other tensors that went in.
    error : what the engine raised on the way, or None.
    flow : the recorded calls, for the picture.
    """

    title: str
    value: float | None
    leaves: tuple[Leaf, ...]
    data: tuple[str, ...]
    error: str | None
    flow: Flow = field(repr=False, compare=False)

    def __getitem__(self, name: str) -> Leaf:
        for leaf in self.leaves:
            if leaf.name == name:
                return leaf
        known = ", ".join(leaf.name for leaf in self.leaves)
        raise KeyError(f"no tensor is called {name!r} here; there are {known or 'none'}")

    @property
    def reached(self) -> list[str]:
        """Names of the tensors that get a gradient other than zero."""
        return [leaf.name for leaf in self.leaves if leaf.status is Status.REACHED]

    @property
    def joints(self) -> Sequence[Joint]:
        """Where the user carries a gradient from one sweep to the next, in a chain rule by hand."""
        return self.flow.joints

    @property
    def causes(self) -> list[Cut]:
        """Every cut that stops a gradient somewhere, each once."""
        return list(dict.fromkeys(c for leaf in self.leaves for c in leaf.causes))

    def text(self, width: int = 80, color: bool = False) -> str:
        """The report, wrapped to `width` columns; with terminal colours if `color`."""
        return render(self, width, color)

    def to_dict(self) -> dict[str, Any]:
        """Everything in the report as plain dicts, lists, strings and numbers, ready for JSON."""
        return {
            "title": self.title,
            "headline": headline(self.leaves),
            "value": self.value,
            "error": self.error,
            "data": list(self.data),
            "joints": [_joint_dict(joint) for joint in self.joints],
            "leaves": [_leaf_dict(leaf) for leaf in self.leaves],
        }

    def svg(self, detail: str = "layer") -> str:
        """The picture, a standalone SVG.

        Parameters
        ----------
        detail : "layer" (linear, normalisation and activation are one box), "module" (a whole
            network is one box) or "op" (a box for every op, a node for every tensor).
        """
        return self._scene(detail).to_svg()

    def png(self, detail: str = "layer", scale: float = 2.0) -> bytes:
        """The same picture as PNG, `scale` pixels for each SVG pixel."""
        return self._scene(detail).to_png(scale)

    def _scene(self, detail: str) -> Scene:
        return draw(self.title, self.flow, self.leaves, headline(self.leaves), detail)

    def save(self, path: str | Path, detail: str = "layer") -> None:
        """Write the picture to a `.svg` or `.png` file.

        Raises
        ------
        ValueError : for another suffix.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".png"):
            given = path.suffix or path.name
            raise ValueError(f"a picture is saved as .svg or .png, not {given!r}")
        is_svg = path.suffix == ".svg"
        write_atomically(path, self.svg(detail).encode() if is_svg else self.png(detail))

    def __repr__(self) -> str:
        return f"Explanation({self.title}: {headline(self.leaves)})"

    def _repr_svg_(self) -> str:
        return self.svg()

    def __str__(self) -> str:
        return self.text()


def explain(fn: Callable[..., Any], *args: Any) -> Explanation:
    """Run `fn(*args)` once and report, for each tensor, whether a gradient reaches it, or why not.

    The gradient is that of what `fn` returns; when `fn` calls `backward` itself, that of the
    tensors it was called on. The function runs for real: what it changes stays changed. Tensor
    hooks are not run for the report.

    Parameters
    ----------
    fn : computes a loss. Tensors are found, and named, in its arguments, its closure, the globals
        that it uses, and the object that it is a method of.
    args : its arguments.

    Raises
    ------
    TypeError : when `fn` neither returns a tensor nor calls `backward`.
    """
    if not callable(fn):
        raise misplaced("explain", "the function that computes the loss", fn)
    names = Names()
    names.search_function(fn, args)
    recorder = Recorder(names)
    refusal, result = None, None
    try:
        result = recorder.run(fn, args)
    except RuntimeError as error:
        if not recorder.roots:
            raise
        refusal = str(error)
    roots = _roots(recorder, result)
    recorder.finish()
    refusal = refusal or next((r.error for r in roots if r.error), None)
    roots, joints = join(recorder, [r for r in roots if not r.error] or roots)
    flow = Flow(roots, joints)
    leaves, data = diagnose(recorder, flow)
    title = getattr(fn, "__name__", type(fn).__name__)
    return Explanation(title, _value(flow), tuple(leaves), tuple(data), refusal, flow)


def _roots(recorder: Recorder, result: Any) -> list[Root]:
    """The tensors whose gradient the user has in mind."""
    if called := [r for r in recorder.roots if r.asked is None]:  # by backward, not by grad
        return called
    outputs = [t for t in tensors_in(result) if t.dtype.kind == "f"]
    if recorder.roots and not any(t.requires_grad for t in outputs):
        return list(recorder.roots)
    if not outputs:
        raise TypeError(
            f"explain needs a function that returns a tensor or calls backward(); it returned "
            f"{kind(result)}"
        )
    before = list(recorder.roots)
    recorder.add_root(outputs, [None] * len(outputs))
    root = recorder.roots[-1]
    swept = {v.tensor for r in before for v in r.outputs}
    if root.error and swept.issuperset(t for t in outputs if t.requires_grad):
        return before  # the function has used the graph up by grad(), and returns the loss beside
    return [root]


def _value(flow: Flow) -> float | None:
    # With a joint, the last sweep says what it is all for, unless it only carries a gradient on.
    ends = [[v for v in root.outputs if v in flow.targets] for root in reversed(flow.roots)]
    chosen = next(filter(None, ends), []) if flow.joints else flow.targets
    tensors = [v.tensor for v in chosen]
    return float(tensors[0]._array.item()) if [t.size for t in tensors] == [1] else None


def _leaf_dict(leaf: Leaf) -> dict[str, Any]:
    return {
        "name": leaf.name,
        "shape": list(leaf.shape),
        "status": leaf.status.value,
        "gradient_norm": leaf.norm,
        "paths": leaf.paths,
        "blocked_paths": leaf.blocked_paths,
        "causes": [
            {"kind": c.title, "detail": c.detail, **_line_dict(c.line)} for c in leaf.causes
        ],
        "uses": [{"op": u.op, "norm": u.norm, **_line_dict(u.line)} for u in leaf.uses],
    }


def _joint_dict(joint: Joint) -> dict[str, Any]:
    return {
        "found_at": joint.lower.title,
        "found_norm": float(np.linalg.norm(joint.found_gradient)),
        "found_by": _line_dict(joint.found_line),
        "fed_to": joint.upper.title,
        "fed_norm": float(np.linalg.norm(joint.fed_gradient)),
        "fed_by": _line_dict(joint.line),
    }


def _line_dict(line: Line) -> dict[str, Any]:
    return {"file": line.file, "line": line.number, "code": line.code, "part": line.part}
