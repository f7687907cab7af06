"""The best trials again, on seeds that no trial had: the only numbers that a tuning reports.

    study = rerun(tune_dir, search, journal.trials(), backend, console)
    summary = sum_up(search, trials, study.results)       # intervals by trial
    best_config(search, trials, by_result(summary)[0])

The best of many trials is above its own mean by luck, and the more so the more trials there were.
So its score in the search says little; what it comes to on new seeds, beside the settings that the
search began with, says what was won.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from ddpg.config import TrainConfig, config_to_dict
from ddpg.study import folder
from ddpg.study.api import Study, carried_out, planned
from ddpg.study.outcome.summary import Summary, make_summary
from ddpg.study.plan import Asked, Plan, Setting
from ddpg.study.results import Result
from ddpg.study.tuning.journal import Trial
from ddpg.study.tuning.search import Search
from ddpg.study.work.backend import Backend

RERUN = "rerun"
BEST = 3
"""Trials that are run again."""


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """The complete trials with a setting that no better one has, the best one first."""
    complete = [(t.value, t) for t in trials if t.value is not None and t.state == "complete"]
    found: list[Trial] = []
    for _, trial in sorted(complete, key=lambda pair: (-pair[0], pair[1].number)):
        if all(trial.setting != better.setting for better in found):
            found.append(trial)
    return found


def rerun(
    tune_dir: Path, search: Search, trials: Sequence[Trial], backend: Backend, console: Console
) -> Study:
    """Run the best trials, and the settings that the search began with, as a study.

    It has the runs of an earlier end of the tuning still, if that got more trials since.

    Raises
    ------
    OSError : as `ddpg.run_study`.
    """
    others = [found for trial in ranked(trials) if (found := changes(search, trial.setting))]
    plan = planned_with(tune_dir, search, others[:BEST])
    return carried_out(tune_dir / RERUN, plan, backend, console)


def planned_with(tune_dir: Path, search: Search, settings: Sequence[Setting]) -> Plan:
    """The study with these settings, and with what it has already, by `ddpg study` perhaps.

    Raises
    ------
    UsageError : if it is damaged, another one, or something else is in its place.
    """
    study_dir = tune_dir / RERUN
    first: list[Setting] = [{}]
    seeds = [search.base.seed + i for i in range(search.seeds)]
    if (study_dir / folder.PLAN).exists():
        there = folder.read_plan(study_dir)
        first, seeds = [*there.settings], [*dict.fromkeys([*seeds, *there.seeds])]
    wanted = [*first, *(setting for setting in settings if setting not in first)]
    fixed = {k: v for k, v in config_to_dict(search.base).items() if k != "env_id"}
    return planned(study_dir, Asked([search.env_id], wanted, seeds, "none", fixed))


def changes(search: Search, setting: Setting) -> dict[str, Any]:
    """What a setting has else than the one that the search began with."""
    first = search.defaults
    return {name: value for name, value in setting.items() if value != first[name]}


def sum_up(search: Search, trials: Sequence[Trial], results: Sequence[Result]) -> Summary:
    """What the runs come to, by trial: a setting is called by the first one that had it.

    Runs with settings of no trial are left out: somebody added them to the study.
    """
    named = []
    for result in results:
        for trial in trials:
            if dict(result.setting) == changes(search, trial.setting):
                named.append(replace(result, setting={"trial": trial.number}))
                break
    return make_summary(named)


def by_result(summary: Summary) -> list[int]:
    """The numbers of the trials that were run again, the one that came out best first.

    That is the one with the highest IQM, among those of which the most runs finished.
    """
    places = {}
    for (_, i), outcome in summary.outcomes.items():
        iqm = -math.inf if outcome.iqm is None else outcome.iqm.value
        number = summary.settings[i]["trial"]
        places[number] = -len(outcome.scores), -iqm, number
    return sorted(places, key=places.__getitem__)


def best_config(search: Search, trials: Sequence[Trial], number: int) -> TrainConfig:
    """The run of a trial's setting with the first of the new seeds."""
    return search.member(trials[number].setting, search.base.seed).config
