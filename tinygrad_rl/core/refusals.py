"""What the way back says when it can't go on, or when a flag was changed too late."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tinygrad_rl.core.context import Where, user_frame, warn
from tinygrad_rl.core.cuts import CutKind
from tinygrad_rl.core.lines import at
from tinygrad_rl.core.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_rl.core.node import Node


def no_path(output: Tensor) -> RuntimeError:
    """No history: with every cut on the way to the tensor."""
    cuts = [
        f"  {cut.kind}: {cut.detail}, {at(cut.where)}"
        for cut in output.cuts
        if cut.kind is not CutKind.UNFROZEN
    ] or ["  nothing that went into it requires a gradient"]
    return RuntimeError(
        "no gradient can come back from this tensor: no path leads from it to a leaf that "
        "requires one.\n" + "\n".join(cuts) + f"\nFor every path and every cut: {_explain_call()}"
    )


def _explain_call() -> str:
    """The call that explains what the user's innermost function is doing, ready to be pasted."""
    frame = user_frame()
    if frame is None or not frame.f_code.co_name.isidentifier():  # top level of a file, a lambda
        return "tinygrad_rl.explain(f), where f() computes this tensor and returns it"
    code = frame.f_code
    arguments = code.co_varnames[: code.co_argcount]
    owner = "self." if arguments[:1] == ("self",) else ""
    given = arguments[1:] if owner else arguments
    return f"tinygrad_rl.explain({', '.join((owner + code.co_name, *given))})"


def used_up(node: "Node") -> RuntimeError:
    """What the node saved is gone."""
    return RuntimeError(
        f"the graph of {node.op.name!r} (called at {at(node.where)}) was used up by the backward "
        f"at {at(node.released)}; pass retain_graph=True there to go through it again"
    )


def changed_in_place(node: "Node", what: str, where: Where | None) -> RuntimeError:
    """What the node saved is not what it was at the call; None: nobody saw who changed it."""
    if where is None:
        return RuntimeError(
            f"values needed for the gradient were changed in place: {node.op.name!r}, called at "
            f"{at(node.where)}, saved {what}, whose memory is shared with a NumPy array that was "
            "written to since. Write after backward(), or work on a copy()"
        )
    return RuntimeError(
        f"a tensor needed for the gradient was changed in place: {node.op.name!r}, called at "
        f"{at(node.where)}, saved {what}, which was changed at {at(where)}. Change it after "
        "backward(), or work on a copy()"
    )


def warn_of_late_unfreezing(node: "Node") -> None:
    """Leaves that require a gradient now, and did not when the node was recorded."""
    for reference in node.unflagged or ():
        leaf = reference()
        if leaf is None or not leaf.requires_grad or not leaf.cuts:
            continue
        cut = leaf.cuts[0]
        if cut.when > node.sequence:
            warn(
                f"a tensor of shape {leaf.shape} got requires_grad=True (at {at(cut.where)}) only "
                f"after {node.op.name!r} was called with it at {at(node.where)}: it gets no "
                "gradient from that call. Set the flag before the forward pass"
            )


def warn_of_late_freezing(leaves: Iterable[Tensor]) -> None:
    """Leaves that required a gradient when they were used, and do not now."""
    for leaf in leaves:
        if not leaf.requires_grad:
            where = at(leaf.cuts[0].where) if leaf.cuts else "?"
            warn(
                f"a leaf of shape {leaf.shape} was frozen between forward and backward (at "
                f"{where}): its gradient was computed and thrown away. Freeze before the forward "
                "pass"
            )
