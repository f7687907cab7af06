"""Which runs there are below some folders, and which of them are one experiment.

    runs = read_runs(find_runs([Path("runs")]), tell=print)
    for label, members in grouped(runs).items(): ...      # "critics 2, target_noise 0.2"

Nothing is written, and a run may be going on meanwhile.
"""

import glob
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ddpg.config import RESUMABLE, config_to_dict, in_words, read_config
from ddpg.errors import UsageError
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import read_rows

Tell = Callable[[str], object]
Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class SavedRun:
    """What a run folder says of a run.

    Attributes
    ----------
    path : the folder.
    settings : flat, named as the flags are.
    episodes, evaluations : the rows of its two tables so far.
    """

    path: Path
    settings: Mapping[str, Any]
    episodes: Rows
    evaluations: Rows

    @property
    def steps(self) -> int:
        """The step of its last row; 0 if there is none."""
        return int(max(rows[-1]["step"] for rows in (self.episodes, self.evaluations) if rows))


def find_runs(places: Sequence[Path]) -> list[Path]:
    """Run folders, each once, in the order of the places and then of their names.

    Parameters
    ----------
    places : run folders, folders somewhere below which runs lie, or patterns (`runs/*-td3`); a
        plain file among others is passed over, as a shell's pattern may give it.

    Raises
    ------
    UsageError : naming the first place without a run.
    """
    found: dict[Path, Path] = {}
    for place in places:
        matching = [place] if os.path.lexists(place) else sorted(map(Path, glob.glob(str(place))))
        if not matching:
            raise UsageError(f"there is no run folder {place}")
        runs = [run for path in matching for run in _runs_in(path)]
        if not runs and not (len(places) > 1 and place.is_file()):
            raise UsageError(
                f"{place} holds no run, nor does a folder in it: none has a config.json"
            )
        for run in runs:
            found.setdefault(run.resolve(), run)
    if not found:
        raise UsageError(f"none of these is a run folder: {', '.join(p.name for p in places)}")
    return list(found.values())


def _runs_in(place: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(place):
        folders.sort()
        if folder.CONFIG in files:
            folders.clear()  # what lies in a run is the run's
            yield Path(path)


def read_runs(paths: Sequence[Path], tell: Tell) -> list[SavedRun]:
    """What can be drawn of them; `tell` hears what is left out, and why.

    Raises
    ------
    UsageError : for a damaged run, for different environments, and where there are no rows at all.
    """
    runs = [_read(path) for path in paths]
    first = runs[0]
    for run in runs:
        if run.settings["env_id"] != first.settings["env_id"]:
            raise UsageError(
                "runs of different environments have no common picture: "
                + " and ".join(f"{r.path} is of {r.settings['env_id']}" for r in (first, run))
            )
    begun = [run for run in runs if run.episodes or run.evaluations]
    if not begun:
        which = first.path if len(runs) == 1 else f"{first.path} and {len(runs) - 1} more"
        raise UsageError(f"nothing to draw yet: no episode has ended in {which}")
    for run in runs:
        if run not in begun:
            tell(f"{run.path} is left out: no episode has ended yet")
    return begun


def _read(path: Path) -> SavedRun:
    settings = config_to_dict(read_config(path / folder.CONFIG, sealed=True))
    tables = (folder.METRICS_TABLE, folder.EVALUATIONS_TABLE)
    return SavedRun(path, settings, *(read_rows(path, name) for name in tables))


def grouped(runs: Sequence[SavedRun], tell: Tell) -> dict[str, list[SavedRun]]:
    """Runs that differ in nothing but their seed, under what tells them from the others.

    Parameters
    ----------
    tell : hears of a run that is a copy of another one: it is no second measurement.

    Returns
    -------
    dict : the label is empty where there is one group only.
    """
    groups: dict[str, list[SavedRun]] = {}
    for run in runs:
        members = groups.setdefault(json.dumps(_decisive(run), sort_keys=True), [])
        same = next((r for r in members if r.settings["seed"] == run.settings["seed"]), None)
        if same is None:
            members.append(run)
            continue
        longer, shorter = (same, run) if same.steps >= run.steps else (run, same)
        members[members.index(same)] = longer
        tell(f"{shorter.path} is left out: it has the settings and the seed of {longer.path}")
    settings = [_decisive(members[0]) for members in groups.values()]
    differing = [
        name for name in settings[0] if any(s[name] != settings[0][name] for s in settings)
    ]
    labels = [in_words({name: s[name] for name in differing}) for s in settings]
    return dict(zip(labels, groups.values(), strict=True))


def _decisive(run: SavedRun) -> dict[str, Any]:
    """The settings that a run's curve depends on, but for the seed."""
    return {k: v for k, v in run.settings.items() if k not in (*RESUMABLE, "seed")}
