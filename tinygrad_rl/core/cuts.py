"""Why a gradient does not pass: the kinds of cut, and the line that made one."""

from enum import StrEnum
from typing import NamedTuple

from tinygrad_rl.core.context import Where


class CutKind(StrEnum):
    """What stops a gradient; the value is how a message calls it."""

    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    NO_GRAD = "no_grad"
    DETACHED = "detached"
    NOT_DIFFERENTIABLE = "not differentiable"


class Cut(NamedTuple):
    """Why no gradient passes through a tensor: kind, a word about it, and the line that did it."""

    kind: CutKind
    detail: str
    where: Where | None
    when: int = 0  # in the count of recorded calls
