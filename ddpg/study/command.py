"""The command line that makes a study anew, from its plan."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from ddpg.config import written
from ddpg.study.plan import Plan, Setting, product


def command_of(plan: Plan) -> str:
    """The words for a terminal; "" if there are none, for settings that are no product of values.

    Environments, seeds and values are those of now, whatever the study began with.
    """
    axes = _axes(plan.settings)
    first, *_ = plan.seeds
    if axes is None or list(plan.seeds) != list(range(first, first + len(plan.seeds))):
        return ""
    words = ["ddpg", "study", "--env-ids", *plan.bases, "--seeds", str(len(plan.seeds))]
    if axes:
        values = (f"{name}={','.join(map(written, values))}" for name, values in axes.items())
        words += ["--set", *values]
    if plan.preset is not None:
        words += ["--preset", plan.preset]
    for name, value in plan.fixed.items():
        if name != "seed":
            words += _flag(name, value)
    if first:
        words += ["--seed", str(first)]
    return shlex.join(words)


def _axes(settings: Sequence[Setting]) -> dict[str, list[Any]] | None:
    """What the settings are the product of, if they are one."""
    axes: dict[str, list[Any]] = {}
    for setting in settings:
        for name, value in setting.items():
            values = axes.setdefault(name, [])
            if value not in values:
                values.append(value)
    whole = product(axes)
    same = len(whole) == len(settings) and all(setting in whole for setting in settings)
    return axes if same else None


def _flag(name: str, value: Any) -> Iterator[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        yield flag if value else flag.replace("--", "--no-", 1)
        return
    yield flag
    if isinstance(value, dict):
        yield from (f"{key}={each}" for key, each in value.items())
    elif isinstance(value, list | tuple):
        yield from map(str, value)
    else:
        yield str(value)
