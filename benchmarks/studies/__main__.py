"""Make the runs that are missing, gather what they came to, print the page's tables."""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

import benchmarks.studies
from benchmarks.studies import STUDIES, command
from benchmarks.studies.picture import save_picture
from benchmarks.studies.tables import RESULTS, collect, errors_of_q, lay_out, table

RUNS = Path(__file__).parents[1] / "runs" / "studies"


def main() -> None:
    """Run what is missing, gather, print."""
    parser = argparse.ArgumentParser(
        description=benchmarks.studies.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--collect", action="store_true", help="run nothing")
    options = parser.parse_args()
    for name in options.studies or STUDIES:
        study_dir = options.runs / name
        if not options.collect:
            lay_out(name, study_dir)
            words = [*shlex.split(STUDIES[name]), "--study-dir", str(study_dir)]
            subprocess.run([sys.executable, "-m", "ddpg", "study", *words], check=True)
        if study_dir.exists():
            collect(name, study_dir)
    for name in STUDIES:
        if (RESULTS / name).exists():
            print("```bash", command(name), "```", "", *table(name), "", sep="\n")
    if (RESULTS / "mujoco").exists():
        print(*errors_of_q("mujoco"), "", sep="\n")
        save_picture("mujoco")


if __name__ == "__main__":
    main()
