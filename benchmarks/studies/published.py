"""What others report of the tasks of the studies, and the curves that TD3's authors published.

    git clone https://github.com/sfujim/TD3
    python -m benchmarks.studies.published TD3   # their curves -> benchmarks/results/published.csv

Of the curves the same number is taken as of a run here: the mean of the last evaluations up to as
many steps, which `ddpg study` calls a score.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ddpg.study.outcome.scores import last_mean
from ddpg.study.outcome.statistics import Estimate, estimate

CURVES = Path(__file__).parents[1] / "results" / "published.csv"
"""A line for each evaluation: environment, step, and the mean return of each of ten seeds."""

_LAST = 300_000
_TASKS = (
    *("HalfCheetah", "Hopper", "Walker2d", "Ant"),
    *("InvertedPendulum", "InvertedDoublePendulum", "Reacher"),
)


class Published(NamedTuple):
    """What somebody else reports.

    Attributes
    ----------
    value : the return, with its 95 % interval where each seed's is known.
    source : who, after how many steps, over how many seeds.
    """

    value: Estimate
    source: str


def _alone(value: float, source: str) -> Published:
    return Published(Estimate(value, None, None), f"rl-baselines3-zoo, TD3, {source}, one run")


_ZOO = {
    "Pendulum-v1": _alone(-151.9, "20k"),
    "MountainCarContinuous-v0": _alone(93.5, "300k"),
    "LunarLanderContinuous-v3": _alone(207, "300k"),
}


def published(env_id: str, algorithm: str, steps: int) -> Published | None:
    """What a study's row stands beside; None if nobody reports the like.

    Parameters
    ----------
    algorithm : "" is that of the environment's preset.
    steps : of the run that is to be compared.
    """
    if env_id in _ZOO:
        return _ZOO[env_id]
    seeds = curves(env_id)
    if algorithm == "ddpg" or not seeds:
        return None
    scores = [last_mean([row for row in rows if row["step"] <= steps]) for rows in seeds]
    source = f"TD3's paper, {steps // 1000}k, v1, {len(seeds)} seeds"
    return Published(estimate([np.array(scores)], "mean"), source)


def curves(env_id: str) -> list[list[dict[str, float]]]:
    """The evaluations of each of the published seeds on its v1, as a run's table has them."""
    version1 = env_id.replace("-v5", "-v1")
    with CURVES.open() as file:
        rows = [row for row in csv.DictReader(file) if row["env_id"] == version1]
    names = [name for name in rows[0] if name not in ("env_id", "step")] if rows else []
    return [
        [{"step": int(row["step"]), "mean": float(row[name])} for row in rows] for name in names
    ]


def _lines(clone: Path) -> Iterator[list[object]]:
    """Step 0, before any training, is left out: no run here is evaluated there."""
    yield ["env_id", "step", *(f"seed{seed}" for seed in range(10))]
    for task in _TASKS:
        folder = task.removesuffix("2d")
        files = [clone / f"learning_curves/{folder}/TD3_{task}-v1_{seed}.npy" for seed in range(10)]
        returns = np.array([np.load(file) for file in files])
        for number in range(1, _LAST // 5000 + 1):
            numbers = (f"{value:.6g}" for value in returns[:, number])
            yield [f"{task}-v1", 5000 * number, *numbers]


def main() -> None:
    """Write the published curves down."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clone", type=Path, help="of https://github.com/sfujim/TD3")
    lines = list(_lines(parser.parse_args().clone))
    with CURVES.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
