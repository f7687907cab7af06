"""All that the page is made from.

    report = gather(size, seeds, formula, rows, runs)  # the comparison's, and more
    html = render(report)

The measuring is done beside this package; this file keeps it together, `html.py` writes it down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tinygrad_rl as tg
from ddpg.compare.cases import CASES, COMPILED
from ddpg.compare.formula import Formula
from ddpg.compare.measure import Measurement, Size, explain
from ddpg.compare.source import CompiledCase, compile_case
from ddpg.compare.training import Curve

PARTS = len(CASES) + len(COMPILED)
"""How many things are looked at for the report alone."""


@dataclass(frozen=True)
class Report:
    """What the page is made from."""

    size: Size  # of the networks and the batch in the table
    seeds: Sequence[int]  # of the training runs; the first one also of the table
    formula: Formula
    rows: Sequence[Measurement]
    explanations: Mapping[str, tg.Explanation]  # of each case, by its name
    runs: Mapping[str, Sequence[Curve]]  # a curve for each seed, by the case's name in training
    steps: Sequence[CompiledCase]


def gather(
    size: Size,
    seeds: Sequence[int],
    formula: Formula,
    rows: Sequence[Measurement],
    runs: Mapping[str, Sequence[Curve]],
    on_part: Callable[[], None] = lambda: None,
) -> Report:
    """Add to the table and the curves what only the report shows, `PARTS` parts."""
    explanations, steps = {}, []
    for case in CASES:
        explanations[case.name] = explain(case, size, seeds[0])
        on_part()
    for case in COMPILED.values():
        steps.append(compile_case(case, size, seeds[0], repetitions=50))
        on_part()
    return Report(size, seeds, formula, rows, explanations, runs, steps)
