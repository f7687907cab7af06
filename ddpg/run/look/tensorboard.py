"""A run's tables as TensorBoard shows them, under the names that Stable-Baselines3 uses.

with Events(run_dir / TENSORBOARD) as events:
    events.restart(log.episodes, log.evaluations)     # all rows so far, in a new file
    events.episode(row)                               # and each one that follows

A resumed run begins the file again from its tables, so no step is in it twice.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ddpg.agent import METRICS
from ddpg.errors import UsageError

Row = Mapping[str, float]

EPISODE_TAGS = {
    "return": "rollout/ep_rew_mean",
    "length": "rollout/ep_len_mean",
    **{name: f"train/{name}" for name in METRICS},
}
"""Column of `metrics.csv` -> tag. One episode makes one point, not the mean of the last hundred."""
EVALUATION_TAGS = {
    "mean": "eval/mean_reward",
    "std": "eval/std_reward",
    "q_bias": "eval/q_bias",
    "q_rank": "eval/q_rank",
    "dead_units": "eval/dead_units",
}
"""Column of `evaluations.csv` -> tag."""


def check_tensorboard() -> None:
    """See that tensorboardX is there.

    Raises
    ------
    UsageError : with what helps, if it is not.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs tensorboardX: pip install 'tinygrad-rl[tensorboard]'"
        ) from error


class Events:
    """The event file in a folder, replaced where there was one; closed at the block's end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def restart(self, episodes: Sequence[Row], evaluations: Sequence[Row]) -> None:
        """Begin the file, with these rows."""
        from tensorboardX import SummaryWriter

        for before in self._folder.glob("events.out.tfevents.*"):
            before.unlink()
        self._writer = SummaryWriter(str(self._folder), flush_secs=5)
        for row in episodes:
            self.episode(row)
        for row in evaluations:
            self.evaluation(row)

    def episode(self, row: Row) -> None:
        """Add a row of `metrics.csv`."""
        self._add(row, EPISODE_TAGS)

    def evaluation(self, row: Row) -> None:
        """Add a row of `evaluations.csv`."""
        self._add(row, EVALUATION_TAGS)

    def _add(self, row: Row, tags: Mapping[str, str]) -> None:
        for name, tag in tags.items():
            if not math.isnan(row[name]):  # of the warm-up: there is nothing to show
                self._writer.add_scalar(tag, row[name], int(row["step"]))
