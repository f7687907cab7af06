"""A tuning's trials as a file."""

from ddpg.study.outcome.tables import write_table
from ddpg.study.tuning.outcome import TABLE, Tuning
from ddpg.study.tuning.trials import RUNS

_COLUMNS = ("trial", "state", "score", "step", "seed", "run")


def write_trials(tuning: Tuning) -> None:
    """Write `trials.csv`, a row per trial; the same trials give the same bytes.

    The score of a complete trial is that of a study's run. Of a pruned one it is the evaluation
    that ended it, and the step is that one's: its run may have got further.
    """
    rows = (
        [
            *(trial.number, trial.state, trial.value, trial.step),
            *(
                tuning.search.trial(trial.number, trial.setting).seed,
                f"{RUNS}/trial-{trial.number}",
            ),
            *(*trial.setting.values(), trial.message),
        ]
        for trial in tuning.trials
    )
    write_table(tuning.tune_dir / TABLE, (*_COLUMNS, *tuning.search.space, "message"), rows)
