"""What the presets that were found here reach: five runs of `ddpg train --env-id ID` each.

    python benchmarks/presets.py                          # 25 runs, an hour on one core
    python benchmarks/presets.py --tasks Pendulum-v1 --seeds 0

Each run is told its environment and its seed, and nothing else. Its last model then plays 100
episodes. A run that is there is not made again, one that was interrupted goes on. What came out is
in benchmarks/results/presets.json, under version control; the tables of docs/presets.md and of
benchmarks/README.md are printed.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from ddpg.config import PRESETS, TrainConfig, changed, config_from_dict, config_to_dict

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "presets.json"
GOALS = {
    "Pendulum-v1": -160.0,
    "MountainCarContinuous-v0": 92.0,
    "LunarLanderContinuous-v3": 200.0,
    "InvertedPendulum-v5": 1000.0,
    "InvertedDoublePendulum-v5": 9300.0,
}
"""What each of the five seeds shall earn on average, at least."""
SEEDS = (0, 1, 2, 3, 4)
EPISODES, FIRST = "100", "5000"


def settings_of(env_id: str) -> dict[str, Any]:
    """Every setting of a run of the preset, with the default seed."""
    config = changed(config_from_dict(PRESETS[env_id].settings), {"env_id": env_id})
    values: dict[str, Any] = json.loads(json.dumps(config_to_dict(config)))
    return values


def same(found: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether a run had these settings, as far as there were such settings then."""
    return all(name in settings and settings[name] == found[name] for name in found)


def earned(env_id: str, seed: int, folder: Path) -> float:
    """The mean return of a run's last model; the run is made, or goes on, if need be.

    Raises
    ------
    SystemExit : if the folder holds a run with other settings.
    """
    if (folder / "config.json").exists():
        found = json.loads((folder / "config.json").read_text())
        del found["checksum"]
        if not same(found, settings_of(env_id) | {"seed": seed}):
            raise SystemExit(f"{folder} is a run with other settings than the preset's: remove it")
        words = ["train", "--resume", str(folder)]
    else:
        words = ["train", "--env-id", env_id, "--seed", str(seed), "--run-dir", str(folder)]
    _ddpg(*words)
    said = _ddpg("evaluate", str(folder), "--episodes", EPISODES, "--seed", FIRST, "--json")
    return round(float(json.loads(said)["mean_return"]), 1)


def _ddpg(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ddpg", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def presets_table(results: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table in docs/presets.md: every preset, its source, and what it reached."""
    yield "| environment | settings | steps | source | return |"
    yield "|---|---|---|---|---|"
    for env_id, preset in PRESETS.items():
        config = changed(TrainConfig(), preset.settings)
        words = preset.replaced(config)
        words.pop("total_timesteps", None)
        settings = ", ".join(f"{name} {text}" for name, text in words.items())
        reached = preset.reached or "not reported"
        if env_id in results:
            each = results[env_id]["each_seed"].values()
            reached = " to ".join(dict.fromkeys(f"{f(each):,.1f}" for f in (min, max)))
        steps = f"{config.total_timesteps:,}"
        yield f"| {env_id} | {settings or 'the defaults'} | {steps} | {preset.source} | {reached} |"


def results_table(results: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the table in benchmarks/README.md: what each seed earned."""
    yield "| environment | steps | goal | each seed | mean |"
    yield "|---|---|---|---|---|"
    for env_id, found in results.items():
        each: Sequence[float] = list(found["each_seed"].values())
        values = ", ".join(f"{value:,.1f}" for value in each)
        steps, mean = found["settings"]["total_timesteps"], statistics.mean(each)
        yield f"| {env_id} | {steps:,} | {GOALS[env_id]:,.0f} | {values} | {mean:,.1f} |"


def main() -> None:
    """Train what is missing, write down what came out, and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", nargs="+", choices=GOALS, default=list(GOALS))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--runs", type=Path, default=HERE / "runs" / "presets")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    chosen = [(env_id, seed) for env_id in options.tasks for seed in options.seeds]
    for env_id, seed in track(chosen, "runs", console=Console(stderr=True)):
        settings = settings_of(env_id)
        if env_id not in results or not same(results[env_id]["settings"], settings):
            results[env_id] = {"settings": settings, "each_seed": {}}
        reached = earned(env_id, seed, options.runs / f"{env_id}-seed{seed}")
        results[env_id]["each_seed"][str(seed)] = reached
        ordered = {name: results[name] for name in GOALS if name in results}
        RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
    print(*presets_table(results), "", *results_table(results), sep="\n")


if __name__ == "__main__":
    main()
