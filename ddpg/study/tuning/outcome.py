"""What there is of a tuning, for everything that is written or shown of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

from ddpg.config import TrainConfig
from ddpg.errors import counted
from ddpg.study.outcome.summary import Summary
from ddpg.study.tuning.journal import Trial
from ddpg.study.tuning.rerun import by_result
from ddpg.study.tuning.search import Search

JOURNAL, BEST, TABLE, PAGE = "journal.log", "best.json", "trials.csv", "tune.html"
"""Files of a tuning's folder, beside the one that says what it consists of."""


@dataclass(frozen=True)
class Tuning:
    """What there is of a tuning.

    Attributes
    ----------
    tune_dir : its folder.
    search : what it consists of.
    trials : all that were begun.
    stopped_by : the signal that ended the work early, or None.
    rerun : what the best of them, and the settings that the search began with, come to on new
        seeds; None if that is not done.
    best_trial, best : which came out best there, and its settings; None likewise.
    """

    tune_dir: Path
    search: Search
    trials: Sequence[Trial]
    stopped_by: Signals | None = None
    rerun: Summary | None = None
    best_trial: int | None = None
    best: TrainConfig | None = None

    @property
    def counted(self) -> str:
        """`40 trials: 22 complete, 16 pruned, 2 failed`."""
        counts = Counter(trial.state for trial in self.trials)
        said = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
        return f"{counted(len(self.trials), 'trial')}: {said}"

    @property
    def run_again(self) -> list[Trial]:
        """The trials that `rerun` is of, the one that came out best first."""
        return [] if self.rerun is None else [self.trials[n] for n in by_result(self.rerun)]
