"""What a study shall consist of: environments times settings times seeds.

    plan = new_plan(Asked(env_ids=("Hopper-v5",), settings=[{"critic_lr": 1e-3}, {}], seeds=3))
    plan.members[0].config                       # of its first run
    extended(plan, Asked(seeds=5))               # and two seeds more

Runs are told apart by their configurations alone, not by the names of their folders: so a study may
be extended along a new axis, and what is there already is found again.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from ddpg.config import (
    RESUMABLE,
    TrainConfig,
    algorithm_named,
    changed,
    config_from_dict,
    config_to_dict,
    in_words,
    preset_for,
    written,
)
from ddpg.errors import UsageError, counted, shown

Setting = Mapping[str, Any]
ALGORITHM = "algorithm"
"""Beside the names of settings, that of a set of them."""
MOST_RUNS = 100_000
LONGEST = 60
"""Letters of a setting in the name of a folder; more are for study.csv."""


class OtherStudyError(UsageError):
    """What is asked for lacks something that a study has, or differs from it."""


@dataclass(frozen=True)
class Asked:
    """What somebody asks of a study; what is left out is as it is there, or by default.

    Attributes
    ----------
    env_ids : gymnasium's.
    settings : values by name for each setting; one that changes nothing by default.
    seeds : how many, from `fixed`'s seed on, or which; 1 by default.
    preset : whose settings all runs begin with, as `ddpg.train` takes it.
    fixed : values by name that all runs have.
    """

    env_ids: Sequence[str] | None = None
    settings: Sequence[Setting] | None = None
    seeds: int | Sequence[int] | None = None
    preset: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)


class Member(NamedTuple):
    """A run that belongs to a study.

    Attributes
    ----------
    env_id, setting, seed : which one.
    config : the whole of it.
    """

    env_id: str
    setting: Setting
    seed: int
    config: TrainConfig

    @property
    def name(self) -> str:
        """Its folder in a new study, below the one for all runs: `Hopper-v5/tau=0.01/seed-0`."""
        setting = ",".join(f"{k}={written(v)}" for k, v in self.setting.items())
        if len(setting) > LONGEST:
            digest = hashlib.sha256(setting.encode()).hexdigest()
            setting = f"{setting[: LONGEST - 9]}-{digest[:8]}"
        parts = [self.env_id, setting]
        return "/".join([*(folder_name(part) for part in parts if part), f"seed-{self.seed}"])


@dataclass(frozen=True)
class Plan:
    """All runs of a study.

    Attributes
    ----------
    bases : by environment, what its runs begin with.
    settings, seeds : what each environment is run with.
    preset, fixed : what the base of another environment is made of.

    Raises
    ------
    UsageError : for values that are not allowed, an empty product, and runs that are the same.
    """

    bases: Mapping[str, TrainConfig]
    settings: Sequence[Setting]
    seeds: Sequence[int]
    preset: str | None
    fixed: Mapping[str, Any]

    def __post_init__(self) -> None:
        count = len(self.bases) * len(self.settings) * len(self.seeds)
        if count > MOST_RUNS:
            raise UsageError(f"a study has at most {MOST_RUNS:,} runs, and these are {count:,}")
        known: dict[str, Member] = {}
        for member in self.members:
            same = known.setdefault(identity(member.config), member)
            if same is not member:
                raise UsageError(
                    f"{_said(same.setting)} and {_said(member.setting)} are the same run; "
                    f"{', '.join(RESUMABLE)} make no other one"
                )

    @cached_property
    def members(self) -> Sequence[Member]:
        """Seeds are the outermost loop: a study that is under way has all settings alike."""
        return [
            Member(env_id, setting, seed, changed(base, {**_flat(setting), "seed": seed}))
            for seed in self.seeds
            for env_id, base in self.bases.items()
            for setting in self.settings
        ]

    def to_dict(self) -> dict[str, Any]:
        """In JSON's types."""
        return {
            "bases": {env_id: config_to_dict(base) for env_id, base in self.bases.items()},
            "settings": [dict(setting) for setting in self.settings],
            "seeds": list(self.seeds),
            "preset": self.preset,
            "fixed": dict(self.fixed),
        }


def plan_from_dict(values: Mapping[str, Any]) -> Plan:
    """Inverse of `Plan.to_dict`.

    Raises
    ------
    UsageError : if that is no plan, or one that is not allowed.
    """
    if not _is_formed(values):
        raise UsageError("holds no plan of a study")
    bases = {env_id: config_from_dict(base) for env_id, base in values["bases"].items()}
    for env_id, base in bases.items():
        if base.env_id != env_id:
            raise UsageError(f"has settings of {shown(base.env_id)} for {shown(env_id)}")
    return Plan(bases, values["settings"], values["seeds"], values["preset"], values["fixed"])


_FORM = {"bases": dict, "settings": list, "seeds": list, "preset": str | None, "fixed": dict}


def _is_formed(values: Any) -> bool:
    """Whether each part of a plan has its type, and none is empty that there must be runs of."""
    if not isinstance(values, Mapping):
        return False
    if not all(name in values and isinstance(values[name], kind) for name, kind in _FORM.items()):
        return False
    bases, settings = values["bases"].values(), values["settings"]
    if not all((bases, settings, values["seeds"])):
        return False
    taken = {"env_id", "seed"}
    return all(isinstance(each, dict) for each in (*bases, *settings)) and not any(
        taken & {*setting} for setting in settings
    )


def new_plan(asked: Asked) -> Plan:
    """The plan of a new study.

    Raises
    ------
    UsageError : as `Plan`; if no environment is named, or a preset is not known.
    """
    if asked.env_ids is None:
        raise UsageError("env_ids is missing: the environments that a new study is made of")
    env_ids = _checked(asked.env_ids, "env_ids")
    settings = [{}] if asked.settings is None else _checked(asked.settings, "settings")
    first = _first_seed(asked, TrainConfig.seed)
    seeds = _seeds(1 if asked.seeds is None else asked.seeds, first)
    bases = {env_id: _base(env_id, asked.preset, asked.fixed) for env_id in env_ids}
    return Plan(bases, settings, seeds, asked.preset, asked.fixed)


def extended(plan: Plan, asked: Asked) -> Plan:
    """The plan with what is asked for in its place, where nothing is lost by that.

    Raises
    ------
    OtherStudyError : if something that the study has is not asked for, or differs.
    UsageError : as `new_plan`.
    """
    fixed = {**plan.fixed, **asked.fixed}
    preset = plan.preset if asked.preset is None else asked.preset
    env_ids = list(plan.bases) if asked.env_ids is None else _checked(asked.env_ids, "env_ids")
    bases = {}
    for env_id in env_ids:
        if env_id not in plan.bases:
            bases[env_id] = _base(env_id, preset, fixed)
            continue
        before = plan.bases[env_id]
        bases[env_id] = changed(before, _flat(_without_seed(asked.fixed)))
        wanted = before if asked.preset is None else _base(env_id, preset, fixed)
        for after in (bases[env_id], wanted):
            _check_same(before, after)
    first = _first_seed(asked, plan.seeds[0])
    seeds = plan.seeds if asked.seeds is None else _seeds(asked.seeds, first)
    if asked.seeds is None and first != seeds[0]:
        seeds = _seeds(len(seeds), first)
    settings = plan.settings if asked.settings is None else _checked(asked.settings, "settings")
    now = Plan(bases, settings, seeds, preset, fixed)
    _check_that_nothing_is_lost(plan, now)
    return now


def product(axes: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """Each combination of one value for each name.

    Raises
    ------
    UsageError : for a name without a value, and a value that stands there twice.
    """
    for name, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise UsageError(f"{name} must have a list of values, got {shown(values)}")
        if len(values) == 0:
            raise UsageError(f"{name} has no values: there would be no run at all")
        for value in values:
            if sum(each == value and type(each) is type(value) for each in values) > 1:
                raise UsageError(f"{name} has {shown(value)} twice")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def check_apart(asked: Asked) -> None:
    """See that nothing has one value for all runs and another one in a setting.

    Parameters
    ----------
    asked : what is allowed otherwise.

    Raises
    ------
    UsageError : naming what does.
    """
    if "env_id" in asked.fixed:
        raise UsageError("env_id is no setting of a study: that is what env_ids are for")
    if "seed" in asked.fixed and not isinstance(asked.seeds, int | None):
        raise UsageError("seed has no effect beside a list of seeds: leave it out")
    for setting in asked.settings or ():
        for name in asked.fixed:
            if name in setting or name in _flat(setting):
                by = "" if name in setting else f", that of algorithm {setting[ALGORITHM]}"
                raise UsageError(
                    f"{name} has a value for all runs and another one in the settings{by}"
                )


def identity(config: TrainConfig) -> str:
    """What tells a run from all others: the settings that its bits depend on."""
    decisive = {k: v for k, v in config_to_dict(config).items() if k not in RESUMABLE}
    return json.dumps(decisive, sort_keys=True)


def folder_name(text: str) -> str:
    """One name of a folder, whatever the text."""
    return re.sub(r"[^\w.,=+-]+", "-", text).strip("-.")[:150] or "run"


def _base(env_id: str, preset: str | None, fixed: Mapping[str, Any]) -> TrainConfig:
    row = preset_for(env_id, preset)
    config = TrainConfig() if row is None else config_from_dict(row.settings)
    return changed(config, {**_flat(_without_seed(fixed)), "env_id": env_id})


def _first_seed(asked: Asked, otherwise: int) -> int:
    return changed(TrainConfig(), {"seed": asked.fixed.get("seed", otherwise)}).seed


def _without_seed(fixed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fixed.items() if name != "seed"}


def _flat(setting: Setting) -> dict[str, Any]:
    """The settings' own names only."""
    if ALGORITHM not in setting:
        return dict(setting)
    named = algorithm_named(setting[ALGORITHM])
    return {**named, **{k: v for k, v in setting.items() if k != ALGORITHM}}


def _checked(given: Sequence[Any], name: str) -> list[Any]:
    if isinstance(given, (str, Mapping)) or not isinstance(given, Sequence) or len(given) == 0:
        raise UsageError(f"{name} must be a list with one entry or more, got {shown(given)}")
    for i, each in enumerate(given):
        if each in given[:i]:
            raise UsageError(f"{name} has {shown(each)} twice")
        if name == "settings" and not isinstance(each, Mapping):
            raise UsageError(f"settings must hold values by name, got {shown(each)}")
        for taken in {"env_id", "seed"} & set(each if isinstance(each, Mapping) else ()):
            raise UsageError(f"{taken} is no setting of a study: that is what {taken}s are for")
    return list(given)


def _seeds(given: Any, first: int) -> list[int]:
    if isinstance(given, int) and not isinstance(given, bool):
        if given < 1:
            raise UsageError(f"seeds must be 1 or more, got {given}: there would be no run at all")
        if given > MOST_RUNS:
            raise UsageError(f"seeds must be {MOST_RUNS:,} or fewer, got {given:,}")
        return list(range(first, first + given))
    return _checked(given, "seeds")


def _check_same(before: TrainConfig, after: TrainConfig) -> None:
    old, new = config_to_dict(before), config_to_dict(after)
    for name in old:
        if old[name] != new[name] and name not in RESUMABLE:
            raise OtherStudyError(
                f"{name} is {shown(old[name])} there and {shown(new[name])} here, in "
                f"{before.env_id}"
            )


def _check_that_nothing_is_lost(before: Plan, now: Plan) -> None:
    there = {identity(member.config) for member in now.members}
    for member in before.members:
        if identity(member.config) not in there:
            raise OtherStudyError(
                f"it has {member.env_id} with {_said(member.setting)} and seed {member.seed}, "
                "which is not asked for here: what it has is named along with what is new"
            )
    for env_id, base in before.bases.items():
        steps = now.bases[env_id].total_timesteps
        if steps < base.total_timesteps:
            raise OtherStudyError(
                f"its runs have {counted(base.total_timesteps, 'step')} in {env_id}, and {steps:,} "
                f"{'is' if steps == 1 else 'are'} fewer"
            )


def _said(setting: Setting) -> str:
    return in_words(setting) or "the settings as they are"
