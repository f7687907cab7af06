"""Run folders with tables that nobody had to learn for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ddpg.config import config_from_dict, config_text
from ddpg.run.disk import folder
from ddpg.run.log import EPISODE_COLUMNS, EVALUATION_COLUMNS

Points = Mapping[int, float]
"""Returns by step."""
NONE: Points = {}


def made_run(path: Path, evaluated: Points = NONE, trained: Points = NONE, **settings) -> Path:
    """A run whose evaluations, and training episodes, had these returns."""
    path.mkdir(parents=True)
    (path / folder.CONFIG).write_text(config_text(config_from_dict(settings)))
    for name, columns, points, key in (
        (folder.METRICS_TABLE, EPISODE_COLUMNS, trained, "return"),
        (folder.EVALUATIONS_TABLE, EVALUATION_COLUMNS, evaluated, "mean"),
    ):
        rows = [{"step": step, key: value} for step, value in points.items()]
        (path / name).write_text(_csv(columns, rows))
    return path


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, float]]) -> str:
    lines = [[str(row.get(name, "nan")) for name in columns] for row in rows]
    return "".join(",".join(line) + "\n" for line in (columns, *lines))
