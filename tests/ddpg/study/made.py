"""Results of runs that nobody had to train."""

from collections.abc import Mapping, Sequence
from typing import Any

from ddpg.study.results import Result, State

NONE: Mapping[str, Any] = {}


def made_result(
    score: float | Sequence[float],
    setting: Mapping[str, Any] = NONE,
    seed: int = 0,
    env_id: str = "Pendulum-v1",
    state: State = "finished",
    message: str = "",
) -> Result:
    """A run whose evaluations, each after 1,000 steps, were these, or four times this."""
    means = [score] * 4 if isinstance(score, float | int) else list(score)
    evaluations = [
        {"step": 1000 * (i + 1), "mean": mean, "std": 1.0, "q_bias": -0.125}
        for i, mean in enumerate(means)
    ]
    name = ",".join(f"{k}={v}" for k, v in setting.items())
    run = "/".join(part for part in ("runs", env_id, name, f"seed-{seed}") if part)
    total = 4000 if isinstance(score, float | int) else 1000 * len(means)
    if state == "not begun":
        evaluations = []
    steps = 1000 * len(evaluations)
    return Result(env_id, setting, seed, run, state, message, steps, total, [], evaluations)


def made_results(scores: Mapping[str, Sequence[Sequence[float]]], axis: str = "critic_lr"):
    """By environment, a row of scores for each setting: `{"Hopper-v5": [[1, 2], [3, 4]]}`."""
    return [
        made_result(score, {axis: 10.0 ** -(i + 3)} if len(rows) > 1 else {}, seed, env_id)
        for env_id, rows in scores.items()
        for i, row in enumerate(rows)
        for seed, score in enumerate(row)
    ]
