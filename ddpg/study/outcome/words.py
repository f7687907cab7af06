"""How numbers and settings of a study are written, wherever that is.

with_interval(Estimate(-152.1, -170.3, -140.2))        # "-152 (-170 to -140)"
percent(Estimate(0.85, 0.7, 0.95))                     # "85 % (70 to 95)"
letter(0), letter(26)                                  # "A", "AA"
"""

from collections import Counter
from collections.abc import Sequence
from string import ascii_uppercase
from typing import get_args

from ddpg.errors import counted
from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.summary import Outcome, Summary
from ddpg.study.results import Result, State

NOTHING = "-"
_HUGE = 1e6
"""Too many digits for a table from here on."""


def with_interval(estimate: Estimate | None) -> str:
    """A score and its interval, to about three digits."""
    if estimate is None:
        return NOTHING
    ends = (x for x in (estimate.low, estimate.high) if x is not None)
    value, *interval = numbers(estimate.value, *ends)
    return f"{value} ({' to '.join(interval) or NOTHING})"


def numbers(*values: float) -> list[str]:
    """All of them as exact, the largest to about three digits."""
    size = max(map(abs, values))
    digits = next((n for n, least in enumerate((100, 10, 0.1)) if size >= least), 3)
    shape = f"z,.{digits}f" if size < _HUGE else ".3g"
    return [format(x, shape) for x in values]


def percent(estimate: Estimate | None) -> str:
    """A probability and its interval."""
    if estimate is None:
        return NOTHING
    interval = NOTHING
    if estimate.low is not None and estimate.high is not None:
        interval = f"{100 * estimate.low:.0f} to {100 * estimate.high:.0f}"
    return f"{100 * estimate.value:.0f} % ({interval})"


def of_how_many(outcome: Outcome) -> str:
    """`2 of 3`: how many runs count."""
    return f"{len(outcome.scores)} of {len(outcome.runs)}"


def letter(setting: int) -> str:
    """What a setting is called where there is no room for more, as a spreadsheet's columns are."""
    before, last = divmod(setting, len(ascii_uppercase))
    return (letter(before - 1) if before else "") + ascii_uppercase[last]


def counted_states(results: Sequence[Result]) -> str:
    """`5 runs: 3 finished, 1 diverged, 1 not begun`."""
    counts = Counter(result.state for result in results)
    said = ", ".join(f"{counts[state]} {state}" for state in get_args(State) if counts[state])
    return f"{counted(len(results), 'run')}: {said}"


def what_is_missing(summary: Summary) -> str:
    """Why there is a `-` in the tables; empty if there is none."""
    iqms = [outcome.iqm for outcome in summary.outcomes.values()]
    unevaluated = sum(r.state == "finished" and not r.evaluations for r in summary.results)
    said = []
    if unevaluated:
        said.append(f"{unevaluated} finished without an evaluation, and so without a score.")
    if any(iqm is None for iqm in iqms):
        said.append(f'"{NOTHING}": no run with a score.')
    if any(iqm is not None and iqm.low is None for iqm in iqms):
        said.append(f'"({NOTHING})": one run with a score, and an interval takes two.')
    return " ".join(said)
