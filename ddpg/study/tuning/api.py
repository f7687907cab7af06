"""A tuning as one call: `ddpg.tune`.

tuning = ddpg.tune("Hopper-v5", trials=40, tune_dir="tunings/hopper")
ddpg.train(config=tuning.best, seed=7)

tuning = ddpg.tune(tune_dir="tunings/hopper")                # goes on, if anything is left to do
tuning = ddpg.tune(tune_dir="tunings/hopper", trials=60)     # and has twenty trials more now
"""

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from signal import Signals
from typing import Any

from rich.console import Console

from ddpg.config import config_text
from ddpg.errors import TrainingError, UsageError
from ddpg.run.disk import folder as run_folder
from ddpg.run.process import stop_on_signals
from ddpg.run.progress import ProgressConsole
from ddpg.study import folder
from ddpg.study.api import check_runs, threads_of
from ddpg.study.plan import Asked, OtherStudyError
from ddpg.study.tuning.journal import Journal, check_optuna, quiet
from ddpg.study.tuning.outcome import BEST, JOURNAL, PAGE, TABLE, Tuning
from ddpg.study.tuning.page import render
from ddpg.study.tuning.rerun import best_config, by_result, planned_with, ranked, rerun, sum_up
from ddpg.study.tuning.search import (
    NAME,
    Search,
    Wanted,
    extended,
    new_search,
    read_search,
    write_search,
)
from ddpg.study.tuning.space import largest
from ddpg.study.tuning.tables import write_trials
from ddpg.study.tuning.trials import Trials
from ddpg.study.work.backend import Backend, new_backend
from ddpg.study.work.schedule import carry_out
from tinygrad_rl import files


def tune(
    env_id: str | None = None,
    *,
    tune_dir: str | os.PathLike[str],
    trials: int | None = None,
    seeds: int | None = None,
    space: Sequence[str] | None = None,
    jobs: int | None = None,
    ray: str | bool = False,
    preset: str | None = None,
    progress: bool = True,
    **fixed: Any,
) -> Tuning:
    """Search settings that are better than the ones at hand, and see whether they are.

    The first trial has the settings at hand. The others are chosen by what the earlier ones came
    to, and stopped early where they are below the median of those. The three best and the settings
    at hand are run again on seeds that no trial had. Ctrl-C saves what goes on and ends; the same
    call goes on, bit for bit.

    Parameters
    ----------
    env_id : gymnasium's id; that of the tuning where it is left out.
    tune_dir : the tuning's folder; what it holds is gone on with.
    trials : how many, 40 by default; of a tuning that is there not fewer than it has.
    seeds : runs of each setting in the end, 5 by default.
    space : names of the settings that are searched, of `ddpg.study.tuning.space`; all by default.
    jobs : runs at a time; by default as many as there are cores for.
    ray : where runs take place, as in `ddpg.run_study`.
    preset : whose settings are at hand, as `ddpg.train` takes it.
    progress : whether a table is shown, on standard error.
    **fixed : settings that all runs have, and that are not searched: fields of `TrainConfig` and of
        `DDPGConfig`.

    Raises
    ------
    UsageError : before anything is run, for settings that are not allowed, an environment that
        can't be made, a folder that holds another tuning, and without Optuna.
    TrainingError : if the machine failed in a trial; the same call tries again.
    OSError : if the folder can't be written to any more.
    """
    console = ProgressConsole() if progress else Console(quiet=True)
    asked = Asked(None if env_id is None else [env_id], None, None, preset, fixed)
    wanted = Wanted(asked, trials, seeds, space)
    return go_on(run_folder.given(tune_dir, "tune_dir").absolute(), wanted, jobs, console, ray)


def go_on(
    tune_dir: Path, wanted: Wanted, jobs: int | None, console: Console, ray: str | bool
) -> Tuning:
    """`tune`, of what is wanted in one object."""
    check_optuna()
    is_new = not (tune_dir / NAME).exists()
    search = _planned(tune_dir, wanted, is_new)
    planned_with(tune_dir, search, ())
    check_runs(replace(search.plan, settings=[largest(search.space)]))
    tell = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    with (
        closing(new_backend(ray, jobs, threads_of(search.plan), tune_dir, tell)) as backend,
        folder.locked(tune_dir, (JOURNAL, BEST, TABLE, PAGE)),
        quiet(),
    ):
        if is_new:
            search = search.for_jobs(backend.capacity())
        write_search(tune_dir, search)
        journal = Journal(tune_dir / JOURNAL, search)
        stopped_by = _try_out(tune_dir, search, journal, backend, console)
        tuning = Tuning(tune_dir, search, journal.trials(), stopped_by)
        write_trials(tuning)
        if stopped_by is None and ranked(tuning.trials):
            tuning = _checked(tuning, backend, console)
        page = render(tuning, journal.importance())
        files.write_atomically(tune_dir / PAGE, page.encode())
        return tuning


def _planned(tune_dir: Path, wanted: Wanted, is_new: bool) -> Search:
    if is_new:
        folder.check_new(tune_dir, "--tune-dir")
        if wanted.asked.env_ids is None:
            raise UsageError(f"{tune_dir} holds no tuning: name the environment of a new one")
        return new_search(wanted)
    search = read_search(tune_dir)
    try:
        return extended(search, wanted)
    except OtherStudyError as error:
        raise UsageError(f"{tune_dir} holds another tuning: {error}") from error


def _try_out(
    tune_dir: Path, search: Search, journal: Journal, backend: Backend, console: Console
) -> Signals | None:
    """Carry out the trials; gives the signal that ended that early."""
    work = Trials(tune_dir, search, journal, console)
    with work.board as board, stop_on_signals(console) as stop:
        carry_out(work, backend, stop, board.say)
    if work.failure and stop.signal is None:
        raise TrainingError(f"{work.failure}; the same call tries that again, and goes on")
    return stop.signal


def _checked(tuning: Tuning, backend: Backend, console: Console) -> Tuning:
    """With the runs on new seeds, and what came out best there written down."""
    search = tuning.search
    study = rerun(tuning.tune_dir, search, tuning.trials, backend, console)
    if study.stopped_by is not None:
        return replace(tuning, stopped_by=study.stopped_by)
    summary = sum_up(search, tuning.trials, study.results)
    if all(outcome.iqm is None for outcome in summary.outcomes.values()):
        return replace(tuning, rerun=summary)
    number = by_result(summary)[0]
    best = best_config(search, tuning.trials, number)
    files.write_atomically(tuning.tune_dir / BEST, config_text(best).encode())
    return replace(tuning, rerun=summary, best_trial=number, best=best)
