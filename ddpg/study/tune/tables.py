"""A tuning's trials, as a file and in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from ddpg.study.tables import write_table
from ddpg.study.tune.journal import Trial
from ddpg.study.tune.search import Search
from ddpg.study.tune.trials import RUNS

TABLE = "trials.csv"
_COLUMNS = ("trial", "state", "score", "step", "seed", "run")


def write_trials(tune_dir: Path, search: Search, trials: Sequence[Trial]) -> None:
    """Write `trials.csv`, a row per trial; the same trials give the same bytes.

    The score of a complete trial is that of a study's run. Of a pruned one it is the evaluation
    that ended it, and the step is that one's: its run may have got further.
    """
    rows = (
        [
            *(trial.number, trial.state, trial.value, trial.step),
            *(search.trial(trial.number, trial.setting).seed, f"{RUNS}/trial-{trial.number}"),
            *(*trial.setting.values(), trial.message),
        ]
        for trial in trials
    )
    write_table(tune_dir / TABLE, (*_COLUMNS, *search.space, "message"), rows)
