"""What one tuning consists of, and the file that says so: tune.json.

search = new_search(Asked(env_ids=["Hopper-v5"]), trials=40, seeds=5, space=None)
search.member({"tau": 0.02}, seed=1003).config        # of a trial with this setting
extended(search, Asked(), trials=60)                  # and twenty trials more
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ddpg.config import TrainConfig, read_json, sealed_text
from ddpg.errors import UsageError, counted, shown
from ddpg.study import plan
from ddpg.study.plan import (
    Asked,
    Member,
    OtherStudyError,
    Plan,
    Setting,
    new_plan,
    plan_from_dict,
)
from ddpg.study.tuning.space import (
    ROWS,
    Choices,
    Space,
    defaults,
    locked,
    search_space,
    space_from_dict,
    space_to_dict,
)
from tinygrad_rl import files

NAME = "tune.json"
TRIALS, SEEDS = 40, 5
"""By default."""
MOST_TRIALS, MOST_SEEDS = 10_000, 1000
LEAST_LAG, MOST_LAG = 3, 1_000_000
"""With the least one job and two give the same tuning; the most is for more cores than any has."""


@dataclass(frozen=True)
class Wanted:
    """What somebody asks of a tuning; what is left out is as it is there, or by default.

    Attributes
    ----------
    asked : one environment, the preset, and what is fixed.
    trials, seeds, space : as `ddpg.tune` takes them.
    """

    asked: Asked
    trials: int | None = None
    seeds: int | None = None
    space: Sequence[str] | None = None


@dataclass(frozen=True)
class Search:
    """A tuning.

    Attributes
    ----------
    plan : a study of one run: what all trials begin with.
    space : what they differ in.
    trials : how many.
    seeds : runs that each of the best has in the end.
    lag : a trial is chosen, and pruned, by what is known of those that are so many before it, and
        of earlier ones: so it does not matter which of two jobs is faster.
    """

    plan: Plan
    space: Space
    trials: int
    seeds: int
    lag: int

    def __post_init__(self) -> None:
        _check_count("trials", self.trials, MOST_TRIALS)
        _check_count("seeds", self.seeds, MOST_SEEDS)

    @property
    def base(self) -> TrainConfig:
        """The settings at hand, which the search is to better."""
        return self.plan.members[0].config

    @property
    def env_id(self) -> str:
        """Of the environment."""
        return self.base.env_id

    @property
    def defaults(self) -> Setting:
        """What the settings at hand have in the space: the first trial."""
        return defaults(self.base, self.space)

    def member(self, setting: Setting, seed: int) -> Member:
        """The run of a setting."""
        return replace(self.plan, settings=[setting], seeds=[seed]).members[0]

    def trial(self, number: int, setting: Setting) -> Member:
        """The run of a trial; its seed is beyond those of the runs that check the best."""
        seed = self.base.seed + MOST_SEEDS + number
        return self.member(setting, seed)._replace(setting={"trial": number})

    def for_jobs(self, jobs: int) -> "Search":
        """The tuning as so many trials at a time need it.

        Each may take twice as long as the others before one has to wait for it.
        """
        return replace(self, lag=max(self.lag, 2 * jobs - 1))

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        space = space_to_dict(self.space)
        return {**vars(self), "plan": self.plan.to_dict(), "space": space}


def new_search(wanted: Wanted) -> Search:
    """A new tuning.

    Raises
    ------
    UsageError : for what is not allowed, and settings without evaluations.
    """
    basis = new_plan(wanted.asked)
    base = basis.members[0].config
    most = base.total_timesteps // 4
    if not 1 <= base.eval_every <= most:
        raise UsageError(
            f"eval_every must be from 1 to {most:,}, got {base.eval_every}: trials are judged by "
            f"their evaluations, and shall have four or more in "
            f"{counted(base.total_timesteps, 'step')}"
        )
    return Search(
        basis,
        search_space(base, wanted.asked.fixed, wanted.space),
        TRIALS if wanted.trials is None else wanted.trials,
        SEEDS if wanted.seeds is None else wanted.seeds,
        LEAST_LAG,
    )


def extended(search: Search, wanted: Wanted) -> Search:
    """The tuning with more trials or seeds, where everything else that is asked for is as it is.

    Raises
    ------
    OtherStudyError : if it is not, or there would be fewer.
    UsageError : for settings that are not allowed.
    """
    if taken := sorted(locked(search.base, wanted.asked.fixed) & {*search.space}):
        raise OtherStudyError(f"{taken[0]} is searched there, and has a value here")
    basis = plan.extended(search.plan, wanted.asked)
    before, after = search.base.total_timesteps, basis.members[0].config.total_timesteps
    if before != after:
        raise OtherStudyError(f"total_timesteps is {before} there and {after} here")
    if wanted.space is not None and {*wanted.space} != {*search.space}:
        raise OtherStudyError(f"it searches {', '.join(search.space)}")
    counts = {}
    for name in ("trials", "seeds"):
        has, asked_for = getattr(search, name), getattr(wanted, name)
        counts[name] = has if asked_for is None else asked_for
        if counts[name] < has:
            raise OtherStudyError(f"it has {has} {name}, and {asked_for} are fewer")
    return replace(search, plan=basis, **counts)


def read_search(tune_dir: Path) -> Search:
    """The tuning of a folder.

    Raises
    ------
    UsageError : if it holds none, or a damaged one.
    """
    path = tune_dir / NAME
    if not path.exists():
        raise UsageError(f"{tune_dir} holds no tuning: {path} does not exist")
    return read_json(path, _from_dict, sealed=True)


def write_search(tune_dir: Path, search: Search) -> None:
    """Write or replace it."""
    data = sealed_text(search.to_dict()).encode()
    files.write_atomically(tune_dir / NAME, data, durable=True)


def _from_dict(values: Mapping[str, Any]) -> Search:
    try:
        basis, space = plan_from_dict(values["plan"]), space_from_dict(values["space"])
        search = Search(**{**values, "plan": basis, "space": space})
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UsageError("holds no tuning") from error
    _check_read(search)
    return search


def _check_read(search: Search) -> None:
    """See that what a file says can be a tuning; the counts are looked at already."""
    _check_count("lag", search.lag, MOST_LAG)
    if len(search.plan.members) != 1 or not search.space:
        raise UsageError("holds no tuning")
    names = {row.name for row in ROWS}
    for name, values in search.space.items():
        if name not in names:
            raise UsageError(f"searches {shown(name)}, which can't be searched")
        for value in values.values if isinstance(values, Choices) else values:
            replace(search.plan, settings=[{name: value}])  # says no to a value
        is_logarithmic = isinstance(values, Choices) or values.low > 0
        if not is_logarithmic or values.widened(search.defaults[name]) != values:
            raise UsageError(f"searches {name} in what is no range for it")


def _check_count(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise UsageError(f"{name} must be from 1 to {most:,}, got {shown(value)}")
