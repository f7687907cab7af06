"""The trials of a tuning as Optuna keeps and chooses them: everything that Optuna is asked.

    journal = Journal(path, search)
    setting = journal.begin(7)                    # chosen by what is known of the trials before
    judge = journal.judge(7)
    judge(step=1000, value=-900.0)                # True: it is not worth going on
    journal.end(7, "complete", value=-210.0, reports=[(1000, -900.0), ...])
    journal.trials()                              # a `Trial` each

A trial is chosen in a study of its own in memory. That one has only the trials before it that were
at their end for sure, whatever ran how fast, and a sampler with a seed of its own; so the same
tuning chooses the same, however often it was killed. The journal is a file of Optuna's, with
checksums, which its dashboard shows: https://optuna.org.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from ddpg import rng
from ddpg.config import written
from ddpg.errors import UsageError
from ddpg.study.plan import Setting
from ddpg.study.tuning.lines import Lines
from ddpg.study.tuning.search import Search
from ddpg.study.tuning.space import Choices, Range, rounded

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.storages.journal import BaseJournalBackend
    from optuna.trial import FrozenTrial

State = Literal["complete", "pruned", "failed", "unfinished"]
STARTUP = 5
"""Complete trials that there must be before one is pruned."""
SPARED = 0.25
"""Share of the steps in which a trial learns before which it is not pruned."""
QUANTILE = 0.25
"""Share of the trials that count as good where it is asked which setting makes them so."""
LEAST = 8
"""Scores that differ, with which that can be asked."""
_STUDY = "tune"


@dataclass(frozen=True)
class Trial:
    """What is known of a trial.

    Attributes
    ----------
    number : from 0.
    setting : what it was run with, by the names of the space.
    state : "pruned" if it was not worth going on.
    value : its score; of a pruned one its last evaluation that counts; None if there is none.
    step : of its last evaluation that counts.
    message : why it failed; "" otherwise.
    """

    number: int
    setting: Setting
    state: State
    value: float | None
    step: int
    message: str


Judge = Callable[[int, float], bool]
Reports = Sequence[tuple[int, float]]


def check_optuna() -> None:
    """See that what the search needs is installed.

    Raises
    ------
    UsageError : if it is not; the message says how to install it.
    """
    if find_spec("optuna") is None or find_spec("scipy") is None:
        raise UsageError("tuning needs optuna and scipy: pip install 'tinygrad-rl[tune]'")


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna says nothing inside the block, neither what it made nor what is new in it."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


class Journal:
    """The file in which the trials are; one process may have it at a time.

    Parameters
    ----------
    path : the file; made if there is none.
    search : whose trials they are.

    Raises
    ------
    UsageError : if the file is damaged.
    """

    def __init__(self, path: Path, search: Search) -> None:
        import optuna
        from optuna.storages import JournalStorage

        self._search = search
        self._storage = JournalStorage(cast("BaseJournalBackend", Lines(path)))
        # To look at a tuning that is there adds nothing to it, as `load_if_exists` would.
        is_there = _STUDY in optuna.get_all_study_names(self._storage)
        shape: dict[str, Any] = {} if is_there else {"direction": "maximize"}
        make = optuna.load_study if is_there else optuna.create_study
        self._study = make(storage=self._storage, study_name=_STUDY, **shape)

    def begin(self, number: int) -> Setting:
        """Choose the setting of the next trial, and keep it.

        Parameters
        ----------
        number : how many trials there are already.
        """
        from optuna.trial import TrialState, create_trial

        setting = self._search.defaults if number == 0 else self._chosen(number)
        self._study.add_trial(
            create_trial(
                state=TrialState.RUNNING,
                params=self._params(setting),
                distributions=self._distributions(),
            )
        )
        return setting

    def judge(self, number: int) -> Judge:
        """What tells whether a trial shall be pruned, from its evaluations in their order."""
        trial = self._known_to(number).ask()

        def should_prune(step: int, value: float) -> bool:
            trial.report(value, step)
            return bool(trial.should_prune())

        return should_prune

    def end(
        self,
        number: int,
        state: Literal["complete", "pruned", "failed"],
        reports: Reports,
        value: float | None = None,
        message: str = "",
    ) -> None:
        """Keep what a trial came to.

        Parameters
        ----------
        number : of the trial.
        state : how it ended.
        reports : its evaluations that count, each a step and a mean return.
        value : of a complete trial.
        message : of one that failed.
        """
        from optuna.trial import TrialState

        study_id = self._storage.get_study_id_from_name(_STUDY)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, number)
        for step, mean in reports:
            self._storage.set_trial_intermediate_value(trial_id, step, mean)
        if message:
            self._storage.set_trial_user_attr(trial_id, "message", message)
        states = {
            "complete": TrialState.COMPLETE,
            "pruned": TrialState.PRUNED,
            "failed": TrialState.FAIL,
        }
        self._study.tell(number, value, states[state])

    def trials(self) -> list[Trial]:
        """All that were begun, in their order."""
        return [self._trial(each) for each in self._study.get_trials(deepcopy=False)]

    def importance(self) -> dict[str, float]:
        """How much each setting decides whether a trial is among the best quarter; sums up to 1.

        By PED-ANOVA (Watanabe et al. 2023, https://arxiv.org/abs/2304.10255). Trials without a
        score count as the lowest. Nothing if there are too few scores, or all are alike.
        """
        import optuna
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
        from optuna.trial import create_trial

        ended = [t for t in self.trials() if t.state != "unfinished"]
        scores = [t.value for t in ended if t.state == "complete" and t.value is not None]
        if len({*scores}) < LEAST:
            return {}
        study = optuna.create_study(direction="maximize")
        for trial in ended:
            score = trial.value if trial.state == "complete" else min(scores)
            shape = self._params(trial.setting), self._distributions()
            study.add_trial(create_trial(value=score, params=shape[0], distributions=shape[1]))
        evaluator = PedAnovaImportanceEvaluator(target_quantile=QUANTILE)
        return dict(get_param_importances(study, evaluator=evaluator))

    def _chosen(self, number: int) -> Setting:
        trial = self._known_to(number).ask(self._distributions())
        setting = {}
        for name, values in self._search.space.items():
            drawn = trial.params[name]
            if isinstance(values, Choices):
                drawn = next(v for v in values.values if _label(values, v) == drawn)
            setting[name] = rounded(values, drawn)
        return setting

    def _known_to(self, number: int) -> "Study":
        """A study of what a trial may know of the ones before it."""
        import optuna

        config = self._search.base
        warmup = min(config.ddpg.warmup_steps, config.total_timesteps)
        spared = round(warmup + SPARED * (config.total_timesteps - warmup))
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=rng.as_integer(rng.child(config.seed, number))),
            pruner=optuna.pruners.MedianPruner(STARTUP, spared),
        )
        for trial in self._study.get_trials(deepcopy=False)[:number]:
            study.add_trial(self._as_known(trial, number))
        return study

    def _as_known(self, trial: "FrozenTrial", number: int) -> "FrozenTrial":
        """What the trial of this number may know of one before it."""
        from optuna.trial import TrialState, create_trial

        is_late = trial.number > number - self._search.lag
        if not is_late and trial.state != TrialState.FAIL:
            return trial
        # Of a late one the setting only. One that failed counts as the worst: what does not count
        # at all would be tried again nearby.
        state = TrialState.RUNNING if is_late else TrialState.PRUNED
        return create_trial(state=state, params=trial.params, distributions=self._distributions())

    def _params(self, setting: Setting) -> dict[str, Any]:
        return {name: _label(values, setting[name]) for name, values in self._search.space.items()}

    def _distributions(self) -> dict[str, "BaseDistribution"]:
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        found: dict[str, BaseDistribution] = {}
        for name, values in self._search.space.items():
            if isinstance(values, Range):
                found[name] = FloatDistribution(values.low, values.high, log=True)
            else:
                found[name] = CategoricalDistribution([_label(values, v) for v in values.values])
        return found

    def _trial(self, kept: "FrozenTrial") -> Trial:
        states: Mapping[str, State]
        states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        setting = {}
        for name, values in self._search.space.items():
            value = kept.params[name]
            if isinstance(values, Choices):
                value = next(v for v in values.values if _label(values, v) == value)
            setting[name] = value
        return Trial(
            kept.number,
            setting,
            states.get(kept.state.name, "unfinished"),
            kept.value,
            max(kept.intermediate_values, default=0),
            kept.user_attrs.get("message", ""),
        )


def _label(values: Range | Choices, value: Any) -> Any:
    """How Optuna has it, which knows no lists."""
    return written(value) if isinstance(value, list) else value
