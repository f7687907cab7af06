"""What a run has produced so far: its two tables, in memory and on disk, and its progress bar."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ddpg.agent import METRICS
from ddpg.learn import Step
from ddpg.run.checkpoint import EVALUATIONS_TABLE, METRICS_TABLE
from ddpg.run.progress import TrainProgress

EPISODE_COLUMNS = ("step", "episode", "return", "length", "updates", *METRICS)
"""Of `metrics.csv`: the step that ended the episode, its number from 1, its undiscounted return
and length, the updates made during it, and the mean of what they reported (nan in the warm-up)."""

EVALUATION_COLUMNS = ("step", "mean", "std", "min", "max", "episodes")
"""Of `evaluations.csv`: after which step, and the returns' statistics."""


class RunLog:
    """Collects steps and evaluations, writes each row into the run's folder at once, and shows it.

    Attributes
    ----------
    episodes, evaluations : the rows so far.
    steps : environment steps so far.
    interrupted : whether the user ended the run early.
    """

    def __init__(self, run_dir: Path, progress: TrainProgress) -> None:
        self.episodes: list[dict[str, float]] = []
        self.evaluations: list[dict[str, float]] = []
        self.steps = 0
        self.interrupted = False
        self._progress = progress
        self._updates: list[dict[str, float]] = []
        self._episode_table = Table(run_dir / METRICS_TABLE, EPISODE_COLUMNS)
        self._evaluation_table = Table(run_dir / EVALUATIONS_TABLE, EVALUATION_COLUMNS)

    def close(self) -> None:
        """No more rows."""
        self._episode_table.close()
        self._evaluation_table.close()

    def step(self, step: Step) -> None:
        """Take in one environment step."""
        self.steps = step.number
        self._updates += step.updates
        if step.episode is not None:
            row = {
                "step": step.number,
                "episode": len(self.episodes) + 1,
                "return": step.episode.total_reward,
                "length": step.episode.length,
                "updates": len(self._updates),
                **_means(self._updates),
            }
            self.episodes.append(row)
            self._episode_table.append(row)
            self._updates.clear()
            self._progress.episode(step.episode.total_reward)
        self._progress.step(step.number)

    def evaluation(self, step: int, returns: np.ndarray) -> None:
        """Take in the returns of one evaluation, shape (episodes,)."""
        row = {
            "step": step,
            "mean": float(returns.mean()),
            "std": float(returns.std()),
            "min": float(returns.min()),
            "max": float(returns.max()),
            "episodes": len(returns),
        }
        self.evaluations.append(row)
        self._evaluation_table.append(row)
        self._progress.evaluation(step, row["mean"], row["std"])


def _means(updates: list[dict[str, float]]) -> dict[str, float]:
    if not updates:
        return dict.fromkeys(METRICS, float("nan"))
    return {name: float(np.mean([update[name] for update in updates])) for name in METRICS}


class Table:
    """A CSV file that grows by whole lines: a killed run leaves a table that can be read."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._write(self._columns)

    def close(self) -> None:
        """No more lines."""
        self._file.close()

    def append(self, row: Mapping[str, float]) -> None:
        """Add one line; `row` has a number for each column."""
        self._write([_cell(row[name]) for name in self._columns])

    def _write(self, cells: Sequence[str]) -> None:
        self._file.write(",".join(cells) + "\n")
        self._file.flush()


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.8g}"
