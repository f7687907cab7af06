"""What a run tells its user when learning does not get anywhere, or Q can't be right.

    hints = Hints(say=print)
    hints.before_steps(config.total_timesteps, config.ddpg.warmup_steps)
    hints.before_updates(rows)          # observations of the random steps at the start
    hints.after_episode(log.episodes, agent.replay.value_bounds(gamma))
    hints.after_evaluation(log.episodes, log.evaluations)

Each hint is a function of what it looks at; it gives the words, or None.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from statistics import fmean
from typing import Any

import numpy as np

_EVALUATIONS = 5
_STILL = 0.01
"""A share of the largest return, of either sign, that was seen so far."""

STEPS, EPISODES = 1000, 3
"""What lasts so many steps, and whole episodes, does not pass by itself: actors that learned well
had been saturated for 250 steps at the start."""
BEYOND = 0.1
"""A share of what lies between the bounds. Near a bound, a Q that is right on average leaves it in
two thirds of a batch."""
SATURATED = 0.95
"""More than the bang-bang policies had that earned well: up to 0.93 in MountainCarContinuous."""
LARGE = 100.0
"""A mean size from which on Pendulum, its observations scaled, was learned late, or not at all."""

_REMEDIES = (
    "--algorithm td3 (that is --critics 2 --target-noise 0.2 --actor-every 2) or "
    "--critic-layer-norm"
)
"""Of Q. They do not help an actor that leaps: one of Pendulum with a learning rate of 0.1 stayed as
saturated with either."""

_Rows = Sequence[Mapping[str, float]]


class Hints:
    """Looks at a run's tables, and says each thing once.

    Parameters
    ----------
    say : where.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said: set[Callable[..., str | None]] = set()

    def before_steps(self, total: int, warmup: int) -> None:
        """A run of `total` steps begins, or goes on; those of the warm-up come first."""
        self._once(nothing_is_learned, total, warmup)

    def before_updates(self, obs: np.ndarray) -> None:
        """Observations were made, (n, obs_dim), which the networks will see as they are."""
        self._once(large_observations, obs)

    def after_episode(self, episodes: _Rows, bounds: tuple[float, float]) -> None:
        """A row was added to `episodes`; `bounds` are those of `Replay.value_bounds`."""
        self._once(impossible_q, episodes, bounds)
        self._once(saturated_actor, episodes)

    def after_evaluation(self, episodes: _Rows, evaluations: _Rows) -> None:
        """A row was added to `evaluations`."""
        self._once(no_reward_found, episodes, evaluations)

    def _once(self, hint: Callable[..., str | None], *seen: Any) -> None:
        if hint not in self._said and (text := hint(*seen)):
            self._say(text)
            self._said.add(hint)


def nothing_is_learned(total: int, warmup: int) -> str | None:
    """Words for a run that ends before its first update, by the number of its steps."""
    if total > warmup:
        return None
    return (
        f"nothing will be learned: up to step {warmup:,} the actions are random, and the run ends "
        f"after {total:,}; what helps is a larger --total-timesteps or a smaller --warmup-steps"
    )


def large_observations(obs: np.ndarray) -> str | None:
    """Words for observations whose numbers are far from 1.

    Parameters
    ----------
    obs : (n, obs_dim), not normalised.
    """
    sizes = np.abs(obs).mean(axis=0, dtype=np.float64)
    if sizes.max() < LARGE:
        return None
    which = f"number {sizes.argmax() + 1} of {len(sizes)}"
    return (
        f"observations are large: {which} is {_number(sizes.max())} in size on average, and "
        "networks learn late from such numbers, or not at all; what helps is "
        "--normalize-observations"
    )


def no_reward_found(episodes: _Rows, evaluations: _Rows) -> str | None:
    """Words for a policy that seems never to have found a reward.

    Its returns have been the same for five evaluations, whatever the start state, and every
    training episode has run into the time limit. (A task that is learned well varies with its start
    states, or had episodes of other lengths.)

    Parameters
    ----------
    episodes, evaluations : the run's tables.
    """
    last = evaluations[-_EVALUATIONS:]
    if len(last) < _EVALUATIONS or len({row["length"] for row in episodes}) > 1:
        return None
    low, high = min(row["min"] for row in last), max(row["max"] for row in last)
    seen = [row["return"] for row in episodes] + [row["mean"] for row in evaluations]
    if high - low > _STILL * max(map(abs, seen)):
        return None
    return (
        f"the return has not moved for {_EVALUATIONS} evaluations, from any start state, and no "
        "episode has ended before its time limit: the policy may never have found what it is "
        "rewarded for; more exploration helps then, --noise ou --noise-std 0.5 for instance"
    )


def impossible_q(episodes: _Rows, bounds: tuple[float, float]) -> str | None:
    """Words for a Q that no rewards like those seen can sum up to, not even nearly.

    In each of the last episodes its mean was clearly outside the bounds.

    Parameters
    ----------
    episodes : the run's table.
    bounds : as `Replay.value_bounds` gives them. Where one is infinite (gamma 1), nothing is said.
    """
    low, high = bounds
    margin = BEYOND * (high - low)
    if not math.isfinite(margin):
        return None
    lowest, highest = low - margin, high + margin
    last = _lasting(episodes, lambda row: row["mean_q"] < lowest or row["mean_q"] > highest)
    if not last:
        return None
    return (
        f"Q has become impossible: it says {_number(_mean(last, 'mean_q'))} on average, while "
        f"rewards like those seen sum up to something between {_number(low)} and {_number(high)}, "
        f"and the actor follows it to wherever it says too much; what helps is {_REMEDIES}, or a "
        "smaller --tau or --critic-lr"
    )


def saturated_actor(episodes: _Rows) -> str | None:
    """Words for an actor whose actions all lie at the bounds, and earn what chance earns.

    In each of the last episodes nearly all actions were at a bound, and together they brought no
    more than those before the first update. (The best policy may well use full force always; then
    it earns more.)

    Parameters
    ----------
    episodes : the run's table.
    """
    last = _lasting(episodes, lambda row: row["saturation"] > SATURATED)
    if not last:
        return None
    untrained = list(takewhile(lambda row: row["updates"] == 0, episodes)) or episodes[:1]
    now, before = _mean(last, "return"), _mean(untrained, "return")
    if now > before:
        return None
    return (
        f"the actor is saturated: {100 * _mean(last, 'saturation'):.0f} % of its actions lie at a "
        "bound, where tanh is flat and hardly passes a gradient on, and an episode brings "
        f"{_number(now)}, no more than before the first update ({_number(before)}); what helps is "
        f"a smaller --actor-lr, and where Q is wrong (q_bias in evaluations.csv) {_REMEDIES}"
    )


def _lasting(episodes: _Rows, holds: Callable[[Mapping[str, float]], bool]) -> _Rows:
    """The last episodes in each of which it held, if these are enough; else none."""
    last: list[Mapping[str, float]] = []
    steps = 0.0
    for row in takewhile(holds, reversed(episodes)):
        last.append(row)
        steps += row["length"]
        if steps >= STEPS and len(last) >= EPISODES:
            return last
    return []


def _mean(rows: _Rows, name: str) -> float:
    return fmean(row[name] for row in rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100.0 else f"{value:.3g}"
