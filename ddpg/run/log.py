"""What a run has produced so far: its two tables, in memory and on disk, and its progress bar."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, fields
from pathlib import Path
from signal import Signals
from typing import Any

from ddpg.agent import METRICS
from ddpg.learn import Step
from ddpg.run.disk.folder import EVALUATIONS_TABLE, METRICS_TABLE
from ddpg.run.disk.tables import Table
from ddpg.run.evaluate import Evaluation
from ddpg.run.look.tensorboard import Events
from ddpg.run.progress import TrainProgress
from ddpg.run.q_error import QError

EPISODE_COLUMNS = ("step", "episode", "return", "length", "updates", *METRICS)
"""Of `metrics.csv`: the step that ended the episode, its number from 1, its undiscounted return
and length, the updates made during it, and the mean of what they reported (nan in the warm-up).
With environments side by side, the updates are those since the row of an earlier step."""

EVALUATION_COLUMNS = (
    *("step", "mean", "std", "min", "max", "episodes"),
    *(*(field.name for field in fields(QError)), "dead_units"),
)
"""Of `evaluations.csv`: after which step, the returns' statistics, how far Q was off along these
episodes, and the share of its units that were 0 in all of them."""


class RunLog:
    """Collects steps and evaluations, writes each row into the run's folder at once, and shows it.

    Parameters
    ----------
    run_dir : the run's folder.
    saved : as `save` gave it; a new run by default.

    Attributes
    ----------
    episodes, evaluations : the rows so far.
    steps : environment steps so far.
    stopped_by : the signal that ended the run early, or None.
    events : where the rows go as well, if anywhere.

    Raises
    ------
    UsageError : if the tables are not what `saved` says; they are left as they were.
    """

    def __init__(self, run_dir: Path, saved: Mapping[str, Any] | None = None) -> None:
        saved = {} if saved is None else saved
        self.steps = 0
        self.stopped_by: Signals | None = None
        self.events: Events | None = None
        self._progress: TrainProgress | None = None
        self._counts = dict.fromkeys(METRICS, 0) | saved.get("counts", {})
        self._sums = dict.fromkeys(METRICS, 0.0) | saved.get("sums", {})
        with ExitStack() as stack:
            self._episode_table, self._evaluation_table = (
                stack.enter_context(closing(Table(run_dir / name, columns, **saved.get(name, {}))))
                for name, columns in _TABLES.items()
            )
            self._opened = stack.pop_all()
        self.episodes, self.evaluations = self._episode_table.rows, self._evaluation_table.rows

    def begin(self, progress: TrainProgress, steps: int) -> None:
        """Write from now on, after `steps`: what the tables hold beyond is cut off."""
        self._progress, self.steps = progress, steps
        self._episode_table.keep()
        self._evaluation_table.keep()
        if self.events is not None:
            self.events.restart(self.episodes, self.evaluations)

    def close(self) -> None:
        """No more rows."""
        self._opened.close()

    def save(self) -> dict[str, Any]:
        """What a `RunLog` that goes on needs; the tables are on the disk when this returns."""
        return {
            "counts": dict(self._counts),
            "sums": dict(self._sums),
            METRICS_TABLE: self._episode_table.save(),
            EVALUATIONS_TABLE: self._evaluation_table.save(),
        }

    def step(self, step: Step) -> None:
        """Take in one environment step."""
        self.steps = step.number
        counts, sums = self._counts, self._sums
        for metrics in step.updates:
            for name, value in metrics.items():
                counts[name] += 1
                sums[name] += value
        for episode in step.episodes:
            row = {
                "step": step.number,
                "episode": len(self.episodes) + 1,
                "return": episode.total_reward,
                "length": episode.length,
                "updates": max(self._counts.values()),  # the actor may not be in all of them
                **self._means(),
            }
            self._episode_table.append(row)
            if self.events is not None:
                self.events.episode(self.episodes[-1])
            self._show().episode(episode.total_reward)
        if step.episodes:
            self._forget()
        self._show().step(step.number)

    def given_up(self) -> None:
        """The present episode will not end: its updates belong to no row."""
        self._forget()

    def evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Take in one evaluation, made after `step`."""
        returns, error = evaluation.returns, evaluation.q_error
        row = {
            "step": step,
            "mean": float(returns.mean()),
            "std": float(returns.std()),
            "min": float(returns.min()),
            "max": float(returns.max()),
            "episodes": len(returns),
            **asdict(error),
            "dead_units": evaluation.dead_units,
        }
        self._evaluation_table.append(row)
        if self.events is not None:
            self.events.evaluation(self.evaluations[-1])
        self._show().evaluation(step, row["mean"], row["std"], error)

    def is_best(self) -> bool:
        """Whether no evaluation before the last one had a mean as high."""
        *before, last = [row["mean"] for row in self.evaluations]
        return all(last > mean for mean in before)

    def _show(self) -> TrainProgress:
        assert self._progress is not None, "begin first"
        return self._progress

    def _means(self) -> dict[str, float]:
        counts, sums = self._counts, self._sums
        return {name: sums[name] / n if (n := counts[name]) else float("nan") for name in METRICS}

    def _forget(self) -> None:
        self._counts = dict.fromkeys(METRICS, 0)
        self._sums = dict.fromkeys(METRICS, 0.0)


_TABLES = {METRICS_TABLE: EPISODE_COLUMNS, EVALUATIONS_TABLE: EVALUATION_COLUMNS}
