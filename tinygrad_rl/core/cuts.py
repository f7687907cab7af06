"""Why a gradient does not pass: the kinds of cut, and the line that made one.

    cut = tensor.cuts[0]
    cut.kind is CutKind.FROZEN, cut.detail, str(cut.line)      # ... 'train.py:12'

Core records the first few kinds as they happen; `explain` finds the others by looking on.
"""

from enum import StrEnum
from typing import NamedTuple

from tinygrad_rl.core.context import Where
from tinygrad_rl.core.lines import Line


class CutKind(StrEnum):
    """What stops a gradient; the value is how a message calls it."""

    # the flag of the tensor itself
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    FROZEN_LATE = "frozen after the forward"
    UNFROZEN_LATE = "unfrozen after the forward"
    NO_FLAG = "no flag"
    # a call on the way
    NO_GRAD = "no_grad"
    NO_CREATE_GRAPH = "no create_graph"
    DETACHED = "detached"
    NOT_DIFFERENTIABLE = "not differentiable"
    # no way at all, or one that nobody asked about
    LEFT_ENGINE = "left the engine"
    UNUSED = "unused"
    NOT_ASKED = "not asked for"
    # a way on which the gradient becomes zero
    ZERO_DERIVATIVE = "zero derivative"
    CANCELS = "cancels"

    @property
    def is_by_flag(self) -> bool:
        """Whether freezing did it: the way is open, only this one tensor gets nothing."""
        return self in (CutKind.FROZEN, CutKind.FROZEN_LATE, CutKind.UNFROZEN_LATE)

    @property
    def is_late(self) -> bool:
        """Whether the flag was changed between forward and backward."""
        return self in (CutKind.FROZEN_LATE, CutKind.UNFROZEN_LATE)


class Cut(NamedTuple):
    """Why no gradient passes at one place: kind, a word about it, and the line that did it.

    `name` is what an op calls a zero derivative of its own, such as "dead ReLU".
    """

    kind: CutKind
    detail: str
    where: Where | None
    when: int = 0  # in the count of recorded calls
    name: str = ""

    @property
    def title(self) -> str:
        """What a report calls it."""
        return self.name or self.kind.value

    @property
    def line(self) -> Line:
        """The line to blame; its number is 0 where there is none."""
        return Line.at(self.where)
