"""What all runs of a study come to, setting by setting.

    summary = make_summary(results)
    summary.outcomes["Hopper-v5", 0].iqm             # of the first setting there: value, low, high
    summary.improvements[0, 1]                       # of the first setting over the second

Only finished runs count; how many of how many they are stands beside every number.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ddpg.config import in_words
from ddpg.study.outcome.scores import on_common_scale, score
from ddpg.study.outcome.statistics import Estimate, Profile, Scores, estimate, improvement, profile
from ddpg.study.results import Result

MOST_PAIRED = 8
"""Of more settings each is compared with the best alone: a table of all pairs has no reader."""
THRESHOLDS = 101
"""Of a performance profile, from the lowest score to the highest."""

Pair = tuple[int, int]
"""Numbers of two settings, of which the first is asked to be the better one."""


@dataclass(frozen=True)
class Outcome:
    """What the runs of one setting in one environment come to.

    Attributes
    ----------
    runs : of them, finished or not.
    scores : of the finished ones, in their order.
    mean, iqm : of the scores; None if there is none.
    """

    runs: tuple[Result, ...]
    scores: tuple[float, ...]
    mean: Estimate | None
    iqm: Estimate | None


@dataclass(frozen=True)
class Summary:
    """What a study comes to.

    A setting that has no score in some environment is not compared over all of them.

    Attributes
    ----------
    results : of all its runs.
    env_ids : each once, in their order.
    settings : the values that tell each from the others, in their order; settings are known by
        their number in it.
    outcomes : by environment and setting.
    overall : of each setting, the IQM over all environments of scores on a common scale, from 0 for
        the lowest score of any run in an environment to 1 for the highest; None where it is not
        compared, and empty if there is one environment only.
    profiles : of each setting, over all environments, on the common scale if there are several;
        None where it is not compared.
    ranking : the settings, that with the highest IQM (over all environments) first, those that are
        not compared last.
    opponents : the settings that each other one is compared with: all of them, or the first of the
        ranking if there are more than `MOST_PAIRED`.
    improvements : over all environments, how probable it is that a run of one setting is better
        than one of an opponent; pairs that cannot be compared are missing.
    improvements_in : the same in each environment.
    """

    results: tuple[Result, ...]
    env_ids: tuple[str, ...]
    settings: tuple[Mapping[str, Any], ...]
    outcomes: Mapping[tuple[str, int], Outcome]
    overall: tuple[Estimate | None, ...]
    profiles: tuple[Profile | None, ...]
    ranking: tuple[int, ...]
    opponents: tuple[int, ...]
    improvements: Mapping[Pair, Estimate]
    improvements_in: Mapping[str, Mapping[Pair, Estimate]]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the settings are called; one alone needs no name."""
        if len(self.settings) == 1:
            return ("",)
        return tuple(in_words(setting) or "settings as they are" for setting in self.settings)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of all values that tell settings apart."""
        return tuple(dict.fromkeys(name for setting in self.settings for name in setting))


def make_summary(results: Sequence[Result]) -> Summary:
    """Sum up the runs of a study, in whatever state they are."""
    env_ids = tuple(dict.fromkeys(result.env_id for result in results))
    outcomes, settings = _outcomes(results, env_ids)
    scores = {
        env_id: [np.array(outcomes[env_id, i].scores) for i in range(len(settings))]
        for env_id in env_ids
    }
    several = len(env_ids) > 1  # of one, its own scale tells more
    scaled = {env_id: on_common_scale(s) if several else s for env_id, s in scores.items()}
    by_setting = list(zip(*scores.values(), strict=True))
    scaled_by_setting = list(zip(*scaled.values(), strict=True))
    iqms = [estimate(s, "iqm") if _counts(s) else None for s in scaled_by_setting]
    ranking = sorted(range(len(settings)), key=lambda i: -iqm.value if (iqm := iqms[i]) else np.inf)
    opponents = range(len(settings)) if len(settings) <= MOST_PAIRED else ranking[:1]
    pairs = [(x, y) for x in range(len(settings)) for y in opponents if x != y]
    return Summary(
        tuple(results),
        env_ids,
        settings,
        outcomes,
        tuple(iqms) if several else (),
        _profiles(scaled_by_setting),
        tuple(ranking),
        tuple(opponents),
        _improvements(pairs, by_setting),
        {env_id: _improvements(pairs, [[runs] for runs in scores[env_id]]) for env_id in env_ids},
    )


def _outcomes(
    results: Sequence[Result], env_ids: Sequence[str]
) -> tuple[dict[tuple[str, int], Outcome], tuple[Mapping[str, Any], ...]]:
    """What there is by environment and setting, and the settings in their order."""
    numbers: dict[str, int] = {}
    settings: list[Mapping[str, Any]] = []
    groups: dict[tuple[str, int], list[Result]] = {}
    for result in results:
        key = json.dumps(result.setting, sort_keys=True)
        if key not in numbers:
            numbers[key] = len(settings)
            settings.append(result.setting)
        groups.setdefault((result.env_id, numbers[key]), []).append(result)
    places = itertools.product(env_ids, range(len(settings)))
    return {place: _outcome(groups.get(place, ())) for place in places}, tuple(settings)


def _outcome(runs: Sequence[Result]) -> Outcome:
    scores = tuple(value for value in map(score, runs) if value is not None)
    if not scores:
        return Outcome(tuple(runs), scores, None, None)
    samples = [np.array(scores)]
    return Outcome(tuple(runs), scores, estimate(samples, "mean"), estimate(samples, "iqm"))


def _counts(scores: Scores) -> bool:
    """Whether there is a score in every environment."""
    return all(map(len, scores))


def _profiles(by_setting: Sequence[Scores]) -> tuple[Profile | None, ...]:
    every = [runs for scores in by_setting for runs in scores if len(runs)]
    if not every:
        return (None,) * len(by_setting)
    low, high = min(map(np.min, every)), max(map(np.max, every))
    thresholds = np.linspace(low, high, THRESHOLDS)
    return tuple(profile(scores, thresholds) if _counts(scores) else None for scores in by_setting)


def _improvements(pairs: Iterable[Pair], by_setting: Sequence[Scores]) -> dict[Pair, Estimate]:
    found: dict[Pair, Estimate] = {}
    for x, y in pairs:
        if (y, x) in found:
            found[x, y] = _opposite(found[y, x])
        elif _counts(by_setting[x]) and _counts(by_setting[y]):
            found[x, y] = improvement(by_setting[x], by_setting[y])
    return found


def _opposite(one: Estimate) -> Estimate:
    if one.low is None or one.high is None:
        return Estimate(1.0 - one.value, None, None)
    return Estimate(1.0 - one.value, 1.0 - one.high, 1.0 - one.low)
