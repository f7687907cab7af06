r"""What the comparison says in words: questions and answers, the formula, and what follows.

    for question in QUESTIONS: print(question.asked, question.answer)
    print(*formula_lines(formula), sep="\n")
    print(conclusion(curves))

The screen, the report and the README's first page say the same, with the numbers measured.
"""

from collections.abc import Mapping
from typing import NamedTuple

from ddpg.compare.formula import Formula
from ddpg.compare.training import Curve
from ddpg.compare.verdict import ROUNDING, Verdict
from ddpg.errors import counted


class Question(NamedTuple):
    """What is asked, and the answer in two or three sentences."""

    asked: str
    answer: str


QUESTIONS = (
    Question(
        "Why is the gradient of DDPG's actor loss a product of two gradients?",
        "The loss is -Q(s, mu(s)): the actor's weights theta move the action, and the action "
        "moves Q. The chain rule multiplies the two slopes.",
    ),
    Question(
        "Why not simply run autograd on -Q?",
        "That is what is done: autograd computes this product. But it also gives Q's own "
        "parameters a gradient, which says: promise more. So they are frozen.",
    ),
    Question(
        "Why can't I just block the gradient on Q?",
        "Because the actor's gradient comes through Q: dQ/da is its first factor. Freezing keeps "
        "Q's parameters as they are and lets the gradient pass through; blocking (detach, no_grad) "
        "ends it there, and the actor gets nothing.",
    ),
)
"""What `ddpg compare` begins with."""

QUESTIONS_ABOUT_CRITICS = (
    Question(
        "Can the actor believe the critic?",
        "The actor follows the slope dQ/da and nothing else, to where Q is largest. An action that "
        "Q overrates looks larger than it is, so the actor finds Q's errors in its favour.",
    ),
    Question(
        "How is that seen?",
        "On Pendulum the dynamics are known, and written in this engine's ops: rolling an action "
        "out gives what it really returns, and the derivative of that is the true slope.",
    ),
    Question(
        "What helps?",
        "Three remedies are compared with plain DDPG: a critic that is bounded where it has no "
        "data (LayerNorm), the smaller of two critics (twins), and TD3, which blurs the target's "
        "action as well and lets the actor wait.",
    ),
)
"""What `ddpg compare --critics` begins with."""


def formula_lines(formula: Formula) -> list[str]:
    """`dL/dtheta = -dQ/da * dmu/dtheta`, and below each of the three its norm and its size."""
    rows = formula_rows(formula)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.center(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def formula_rows(formula: Formula) -> tuple[tuple[str, ...], ...]:
    """The cells of these lines: a name, and five for the formula, its norms and its sizes."""
    batch, act_dim, count = formula.batch_size, formula.act_dim, formula.parameters
    norms = (f"{x:.3g}" for x in (formula.dl_dtheta, formula.dq_da, formula.dmu_dtheta))
    sizes = f"{count:,}", f"{batch} x {act_dim}", f"{batch * act_dim:,} x {count:,}"
    return (
        ("", "dL/dtheta", "=", "-dQ/da", "*", "dmu/dtheta"),
        ("norm", *_spaced(*norms)),
        ("size", *_spaced(*sizes)),
    )


def equality(formula: Formula) -> tuple[Verdict, str]:
    """Whether the product by hand is autograd's gradient, as measured."""
    said = "Measured: taken by hand, dQ/da first, the product"
    against = "autograd's gradient of -Q with Q's parameters frozen"
    of = f"of all {counted(formula.parameters, 'number')}"
    if formula.differing == 0:
        return Verdict.GOOD, f"{said} is {against}, to the last bit {of}."
    verdict = Verdict.GOOD if formula.difference <= ROUNDING else Verdict.WRONG
    by = f"by {formula.difference:.0e} of its norm"
    return verdict, f"{said} differs from {against} in {formula.differing:,} {of}, {by}."


def jacobian(formula: Formula) -> str:
    """What the norms are, and that the second factor is never written down."""
    size = 4 * formula.batch_size * formula.act_dim * formula.parameters
    return (
        f"Norms are roots of sums of squares; that of a product is at most the product of the two. "
        f"The Jacobian dmu/dtheta ({size / 1e6:,.0f} MB) is never written down: autograd carries "
        f"-dQ/da through the actor, layer by layer, a vector-Jacobian product."
    )


def conclusion(curves: Mapping[str, Curve]) -> str:
    """One sentence about the three training runs, made of what they came to."""
    frozen, blocked, joint = (curves[name] for name in ("frozen", "blocked", "joint"))
    earned, before = blocked.returns[-1], blocked.returns[0]
    q = joint.mean_q[-1]
    too_short = frozen.returns[-1] <= max(earned, joint.returns[-1])
    return (
        f"{'Too few steps to tell: freeze' if too_short else 'Freeze'} Q's parameters, and the "
        f"policy earns {frozen.returns[-1]:,.0f}; block the gradient, and it earns {earned:,.0f} "
        f"(before any update {before:,.0f}); do neither, with one optimizer for both, and Q "
        f"promises {q:,.0f}{', more than any policy can earn,' if q > 0 else ''} while the policy "
        f"earns {joint.returns[-1]:,.0f}."
    )


def _spaced(product: str, first: str, second: str) -> tuple[str, ...]:
    """Below the formula, where `=` and `*` have nothing below them."""
    return product, "", first, "", second
