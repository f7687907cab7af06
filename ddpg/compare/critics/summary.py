"""What the runs of one variant come to: each quantity over training, and in its later half.

GAP.over_training(courses)       # one row per run, a number per moment
GAP.later(courses)               # mean over runs and the later half, with its interval
sentence(courses)                # the same in words
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ddpg.compare.critics.measure import Moment
from ddpg.compare.critics.training import MOMENTS, Course
from ddpg.compare.report.curves import Band, bootstrap

LATER = MOMENTS // 2
"""The first moments come while Q forgets where it started; the numbers are of those after it."""


@dataclass(frozen=True)
class Quantity:
    """Something that is measured at each moment; NaN where there is nothing to measure."""

    of: Callable[[Moment], float | None]
    shape: str  # how a number of it is written

    def over_training(self, courses: Sequence[Course]) -> list[list[float]]:
        """One row per run, a number per moment."""
        return [[_or_nan(self.of(moment)) for moment in course.moments] for course in courses]

    def later(self, courses: Sequence[Course]) -> Band:
        """Mean over the later half of each run, then over runs; arrays of one number."""
        return bootstrap([[_mean_of_numbers(row[LATER:])] for row in self.over_training(courses)])

    def text(self, courses: Sequence[Course]) -> str:
        """The mean of the later half, written."""
        return written(self.later(courses).mean[0], self.shape)


CLAIMED = Quantity(lambda m: m.chosen.claimed, "{:.1f}")
REAL = Quantity(lambda m: m.chosen.real, "{:.1f}")
GAP = Quantity(lambda m: m.chosen.gap, "{:+.1f}")
GAP_AT_RANDOM = Quantity(lambda m: m.at_random.gap, "{:+.1f}")
PROMISED, KEPT = Quantity(lambda m: m.promised, "{:.2f}"), Quantity(lambda m: m.kept, "{:.2f}")
FLATTERED = Quantity(lambda m: m.flattered, "{:.0%}")
FLATTERED_BY_SECOND = Quantity(lambda m: m.flattered_by_second, "{:.0%}")
CORRELATION = Quantity(lambda m: m.chosen.correlation, "{:.3f}")
COSINE = Quantity(lambda m: m.chosen.cosine, "{:.2f}")
COSINE_AT_RANDOM = Quantity(lambda m: m.at_random.cosine, "{:.2f}")
RIGHT_SIDE = Quantity(lambda m: m.chosen.same_sign, "{:.0%}")


def written(x: float, shape: str) -> str:
    """A number in the form `shape`, "-" for NaN."""
    return "-" if math.isnan(x) else shape.format(x).replace("%", " %")


def last_return(courses: Sequence[Course]) -> Band:
    """What the policies earn in the end; arrays of one number."""
    return bootstrap([[course.returns[-1]] for course in courses])


def sentence(courses: Sequence[Course]) -> str:
    """What is seen of these critics, in words."""
    gap, second = GAP.later(courses).mean[0], FLATTERED_BY_SECOND.text(courses)
    by_second = "" if second == "-" else f" (the critic it does not follow: in {second})"
    return (
        f"Q claims {abs(gap):.1f} too {'much' if gap > 0 else 'little'}, and flatters the actor's "
        f"choice in {FLATTERED.text(courses)} of the states{by_second}; its slope points to the "
        f"right side in {RIGHT_SIDE.text(courses)}."
    )


def conclusion(runs: Mapping[str, Sequence[Course]]) -> str:
    """One sentence about all critics, made of what they came to."""
    first, *_ = runs
    gaps = {name: GAP.later(courses).mean[0] for name, courses in runs.items()}
    sides = {name: RIGHT_SIDE.later(courses).mean[0] for name, courses in runs.items()}
    nearest, best = min(gaps, key=lambda name: abs(gaps[name])), max(sides, key=sides.__getitem__)
    return (
        f"Nearest to the truth is Q with {nearest.lstrip('+ ')} (off by {gaps[nearest]:+.1f}; "
        f"{first}: {gaps[first]:+.1f}), and its slope points to the right side most often with "
        f"{best.lstrip('+ ')} ({written(sides[best], '{:.0%}')}; "
        f"{first}: {written(sides[first], '{:.0%}')})."
    )


def _mean_of_numbers(row: Sequence[float]) -> float:
    numbers = [x for x in row if not math.isnan(x)]
    return statistics.fmean(numbers) if numbers else math.nan


def _or_nan(x: float | None) -> float:
    return math.nan if x is None else x
