"""What a study costs beside its runs, and how that grows with their number.

    python benchmarks/study_overhead.py --counts 10 100
    python benchmarks/study_overhead.py --counts 1000 --jobs 2            # adds to the table

Each study is one process, which gives runs of 50 steps to processes of this machine or to a Ray
cluster of it, --jobs at a time. The control are the same processes, one after the other without
a study. What has been measured before stays in the JSON file until it is measured again.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import HERE, machine, write_json
from rich.console import Console
from rich.table import Table

from ddpg.config import config_to_dict
from ddpg.study import api
from ddpg.study.plan import Asked, new_plan
from ddpg.study.work import child
from ddpg.study.work.task import Task, ending_from, log_of

SHORT: dict[str, Any] = {
    "total_timesteps": 50,
    "env_kwargs": {"max_episode_steps": 25},
    "warmup_steps": 25,
    "hidden": (8,),
    "batch_size": 8,
    "eval_every": 0,
    "compile": False,
}
ENV_ID, CONTROL = "Pendulum-v1", 10
RESULTS = HERE / "results" / "study_overhead.json"


def used() -> dict[str, float]:
    """Seconds of the clock and of this process's CPU so far, and its largest memory in MB."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall": time.perf_counter(),
        "cpu": mine.ru_utime + mine.ru_stime,
        "megabytes": mine.ru_maxrss / (1000 if sys.platform != "darwin" else 1e6),
    }


def measure(backend: str, count: int, jobs: int, folder: Path) -> dict[str, float]:
    """Of a study of `count` runs: seconds of its parts, CPU and memory of its own process."""
    imported = used()
    new_plan(Asked([ENV_ID], None, count, "none", SHORT))
    planned = used()
    if backend == "ray":
        begin_cluster()
    begun = used()
    worked, write_all = [], api.write_all

    def write_and_tell(*everything: Any) -> Any:
        worked.append(used())
        return write_all(*everything)

    api.write_all = write_and_tell
    asked = {"seeds": count, "jobs": jobs, "preset": "none", "progress": False, **SHORT}
    study = api.run_study(ENV_ID, study_dir=folder, ray=backend == "ray", **asked)
    assert {result.state for result in study.results} == {"finished"}
    written = used()
    api.run_study(study_dir=folder, progress=False)
    return {
        "jobs": jobs,
        "plan": planned["wall"] - imported["wall"],
        "wall_per_run": (worked[0]["wall"] - begun["wall"]) / count,
        "cpu_per_run": (worked[0]["cpu"] - begun["cpu"]) / count,
        "megabytes_before": imported["megabytes"],
        "megabytes": worked[0]["megabytes"],
        "summary": written["wall"] - worked[0]["wall"],
        "scan": worked[1]["wall"] - written["wall"],
    }


def begin_cluster() -> None:
    """One of this machine, for this process alone, and not one that happens to run here."""
    import ray

    ray.init("local", include_dashboard=False, log_to_driver=False, logging_level="CRITICAL")


def control(folder: Path) -> float:
    """Seconds of a run in a process of its own, without a study."""
    plan = new_plan(Asked([ENV_ID], None, CONTROL, "none", SHORT))
    start = time.perf_counter()
    for member in plan.members:
        task = Task(str(folder / member.name), config_to_dict(member.config))
        process = child.begin(child.search_path(), log_of(Path(task.run_dir)))
        said = child.answer(process, json.dumps(asdict(task)))
        assert ending_from(said, process.wait()).kind == "finished"
    return (time.perf_counter() - start) / CONTROL


def in_a_process(backend: str, count: int, jobs: int) -> dict[str, float]:
    """`measure` or `control`, in a process that has done nothing else."""
    command = [sys.executable, __file__, "--one", backend, str(count), str(jobs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(results: dict[str, dict[str, float]]) -> Table:
    """A row for each number of runs and backend."""
    shown = Table("runs", "on", *(text for text, _ in COLUMNS.values()), box=None)
    for name, row in sorted(results.items(), key=lambda item: int(item[0].split()[0])):
        cells = (
            f"{row[name] * scale:,.3g}" if name in row else ""
            for name, (_, scale) in COLUMNS.items()
        )
        shown.add_row(*name.split(), *cells)
    return shown


COLUMNS = {
    "jobs": ("jobs", 1.0),
    "wall_per_run": ("s a run", 1.0),
    "cpu_per_run": ("ms CPU", 1e3),
    "megabytes_before": ("MB at first", 1.0),
    "megabytes": ("MB", 1.0),
    "plan": ("plan, s", 1.0),
    "scan": ("scan, s", 1.0),
    "summary": ("end, s", 1.0),
}


def main() -> None:
    """Print a table, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--backends", nargs="+", default=["processes", "ray"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        backend, count, jobs = arguments.one
        with tempfile.TemporaryDirectory() as folder:
            inside = Path(folder) / "s"
            if backend == "control":
                print(json.dumps({"wall_per_run": control(inside)}))
            else:
                print(json.dumps(measure(backend, int(count), int(jobs), inside)))
        return
    content = json.loads(arguments.json.read_text()) if arguments.json.exists() else {"runs": {}}
    cases = [("control", CONTROL)]
    cases += [(b, count) for count in arguments.counts for b in arguments.backends]
    for backend, count in cases:
        about = machine()
        row = in_a_process(backend, count, arguments.jobs) | {
            "load_before": about["load_average_before"]
        }
        content = {"machine": about, "runs": content["runs"] | {f"{count} {backend}": row}}
        write_json(arguments.json, content)
    Console().print(table(content["runs"]))


if __name__ == "__main__":
    main()
