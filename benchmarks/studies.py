"""What DDPG and TD3 reach, beside what others have published: studies, their tables, their page.

    python benchmarks/studies.py              # all runs that are missing: a day on one core
    python benchmarks/studies.py small        # one study
    python benchmarks/studies.py --collect    # no run: what there is so far

Each study is one command, `ddpg study` with the words below, and may be stopped at any time. What
its runs came to is gathered into benchmarks/results/studies/, which is under version control; the
tables of docs/results.md are printed.
"""

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ddpg.study.folder import made_with

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "studies"

STUDIES = {
    "pendulum": "--env-ids Pendulum-v1 --seeds 5 --eval-episodes 100",
    "small": (
        "--env-ids MountainCarContinuous-v0 InvertedPendulum-v5 InvertedDoublePendulum-v5"
        " LunarLanderContinuous-v3 --seeds 5"
    ),
    "reacher": "--env-ids Reacher-v5 --seeds 5 --total-timesteps 50_000",
    "mujoco": (
        "--env-ids HalfCheetah-v5 Hopper-v5 Walker2d-v5 Ant-v5 --set algorithm=ddpg,td3 --seeds 3"
        " --total-timesteps 300_000 --preset none --hidden 400 300 --batch-size 100"
        " --actor-lr 1e-3 --critic-lr 1e-3 --tau 0.005 --warmup-steps 10_000 --eval-every 5_000"
    ),
}
"""The first three begin with the presets; of Pendulum it matters much where an episode begins. The
last one has the settings of Fujimoto et al. 2018 for "Our DDPG" and TD3 alike, but for the warm-up:
theirs is 10,000 for HalfCheetah and Ant, 1,000 elsewhere.
"""


class Published(NamedTuple):
    """What somebody else reports.

    Attributes
    ----------
    value : the return.
    source : who, after how many steps, over how many seeds.
    """

    value: float
    source: str


_CURVES, _ZOO = "TD3's paper, 300k, v1, 10 seeds", "rl-baselines3-zoo, TD3"
PUBLISHED = {
    ("HalfCheetah-v5", "td3"): Published(7697, _CURVES),
    ("Hopper-v5", "td3"): Published(2410, _CURVES),
    ("Walker2d-v5", "td3"): Published(3335, _CURVES),
    ("Ant-v5", "td3"): Published(1953, _CURVES),
    ("Pendulum-v1", ""): Published(-151.9, f"{_ZOO}, 20k, one run"),
    ("MountainCarContinuous-v0", ""): Published(93.5, f"{_ZOO}, 300k, one run"),
    ("LunarLanderContinuous-v3", ""): Published(207, f"{_ZOO}, 300k, one run"),
    ("InvertedPendulum-v5", ""): Published(1000, "Tianshou, TD3, 1M, v2, 10 seeds"),
    ("InvertedDoublePendulum-v5", ""): Published(9337, "TD3's paper, 1M, v1, 10 seeds"),
    ("Reacher-v5", ""): Published(-3.6, "TD3's paper, 1M, v1, 10 seeds"),
}
"""By environment and algorithm; "" is that of the preset. The curves are those of
https://github.com/sfujim/TD3 (learning_curves), of which its README says that they are the paper's.
"""


def command(name: str) -> str:
    """What makes a study anew, wherever ddpg is installed."""
    return f"ddpg study {STUDIES[name]} --study-dir studies/{name}"


def collect(name: str, study_dir: Path) -> None:
    """Keep what a study came to: its tables and picture, and the tables of each of its runs."""
    target = RESULTS / name
    shutil.rmtree(target, ignore_errors=True)
    for run in sorted(path.parent for path in study_dir.rglob("config.json")):
        to = target / run.relative_to(study_dir)
        to.mkdir(parents=True)
        for table in ("evaluations.csv", "metrics.csv"):
            shutil.copyfile(run / table, to / table)
    for file in ("study.csv", "summary.csv", "study.png"):
        shutil.copyfile(study_dir / file, target / file)
    versions = made_with(path.parent for path in study_dir.rglob("config.json"))
    (target / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


def summary(name: str) -> list[dict[str, str]]:
    """The rows of a study's summary."""
    with (RESULTS / name / "summary.csv").open() as file:
        return list(csv.DictReader(file))


def table(name: str) -> Iterator[str]:
    """The lines of a study's table on the page."""
    yield "| environment | algorithm | runs | mean return, 95 % | IQM, 95 % | published | by |"
    yield "|---|---|---|---|---|---|---|"
    for row in summary(name):
        algorithm = row.get("algorithm", "")
        published = PUBLISHED.get((row["env_id"], algorithm))
        said = (f"{published.value:,g}", published.source) if published else ("", "")
        cells = (
            *(row["env_id"], algorithm or "its preset", f"{row['finished']} of {row['runs']}"),
            *(_with_interval(row, "mean"), _with_interval(row, "iqm"), *said),
        )
        yield f"| {' | '.join(cells)} |"


def _with_interval(row: Mapping[str, str], name: str) -> str:
    if not row[name]:
        return "-"
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    interval = f" ({_number(low)} to {_number(high)})" if low else ""
    return f"{_number(value)}{interval}"


def _number(text: str) -> str:
    number = float(text)
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:,.1f}"


def main() -> None:
    """Run what is missing, gather, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--runs", type=Path, default=HERE / "runs" / "studies")
    parser.add_argument("--collect", action="store_true", help="run nothing")
    options = parser.parse_args()
    for name in options.studies or STUDIES:
        study_dir = options.runs / name
        if not options.collect:
            words = [*shlex.split(STUDIES[name]), "--study-dir", str(study_dir)]
            subprocess.run([sys.executable, "-m", "ddpg", "study", *words], check=True)
        if study_dir.exists():
            collect(name, study_dir)
    for name in STUDIES:
        if (RESULTS / name).exists():
            print("```bash", command(name), "```", "", *table(name), "", sep="\n")


if __name__ == "__main__":
    main()
