"""Which of a case's numbers are as they should be: the cells of the table, each with its verdict.

cells = verdicts(row, frozen)
worst(cells)                                # of the case as a whole
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from ddpg.compare.measure import Measurement

ROUNDING = 1e-5
"""Relative differences up to here come from sums in another order."""
WASTE = 1.01
"""From here on, times the frozen case's work, something is computed that nobody uses."""


class Verdict(IntEnum):
    """The larger, the worse."""

    GOOD = 0
    WASTEFUL = 1
    WRONG = 2

    @property
    def sign(self) -> str:
        """What tells it apart without colors."""
        return "✓~✗"[self]

    @property
    def meaning(self) -> str:
        """For the legend."""
        return ("as it should be", "right, with work thrown away", "wrong")[self]


class Cell(NamedTuple):
    """A cell of the table."""

    text: str
    verdict: Verdict | None = None  # None: neither good nor bad


HEADINGS = (
    "actor's gradient",
    "differs from frozen",
    "critic's gradient",
    "critic moved",
    "backward work",
    "update time",
)
NOTES = (
    "The actor's gradient is given by its norm, the critic's by how many of its tensors got one; "
    "work and time are multiples of the frozen case's."
)
"""What the headings leave open."""


def verdicts(row: Measurement, frozen: Measurement) -> list[Cell]:
    """The numbers of a case beside those of the frozen one, one for each of `HEADINGS`."""
    norm, tensors, moved = row.actor_gradient_norm, len(row.critic_tensors), row.critic_moved
    work = row.backward_flops / frozen.backward_flops
    return [
        Cell("none", Verdict.WRONG) if norm is None else Cell(f"{norm:.3g}", Verdict.GOOD),
        _difference(row.difference),
        Cell(str(tensors), Verdict.WASTEFUL) if tensors else Cell("none", Verdict.GOOD),
        Cell(f"{moved:.0e}", Verdict.WRONG) if moved else Cell("no", Verdict.GOOD),
        Cell(f"{work:.2f}", Verdict.WASTEFUL if work >= WASTE else None),
        Cell(f"{row.milliseconds / frozen.milliseconds:.2f}"),
    ]


def worst(cells: Iterable[Cell]) -> Verdict:
    """Of a whole row."""
    return max(cell.verdict for cell in cells if cell.verdict is not None)


def _difference(difference: float | None) -> Cell:
    if difference is None:
        return Cell("-")
    if difference == 0.0:
        return Cell("no bit", Verdict.GOOD)
    return Cell(f"{difference:.0e}", Verdict.GOOD if difference <= ROUNDING else Verdict.WRONG)
