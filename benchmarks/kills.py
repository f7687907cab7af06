"""Runs that are killed at random moments and go on end as runs that were left alone.

    python benchmarks/kills.py                     # fifty kills of ten runs: some ten minutes
    python benchmarks/kills.py --kills 5 --seed 1  # others

Each run is made twice with `ddpg train`: once left alone, once ended by SIGKILL, at any moment of a
process's life or shortly after a checkpoint began, and continued with `--resume`, as often as it
takes. In between it is told to stop, by SIGINT, SIGTERM or SIGHUP, and must go on from the very
step at which it stopped. Then all files of both folders are compared byte for byte, but for the
lock; model and best agent entry by entry. Writes `results/kills.json`. Exit status 1 if anything
differs.
"""

import argparse
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import tinygrad_rl as tg

SMALL = "--preset none --hidden 32 32 --batch-size 32 --warmup-steps 400 --eval-episodes 2"
PENDULUM = f"--env-id Pendulum-v1 --total-timesteps 6000 {SMALL}"
HOPPER = f"--env-id Hopper-v5 --total-timesteps 4000 {SMALL}"
RUNS = [
    f"{PENDULUM} --seed 1 --eval-every 500",
    f"{PENDULUM} --seed 2 --eval-every 700 --noise ou",
    f"{PENDULUM} --seed 3 --eval-every 1000 --checkpoint-every 150",
    f"{PENDULUM} --seed 4 --eval-every 350 --checkpoint-every 1000 --noise ou --buffer-size 700",
    f"{PENDULUM} --seed 5 --eval-every 0 --checkpoint-every 33 --updates-per-step 2",
    f"{HOPPER} --seed 1 --eval-every 500",
    f"{HOPPER} --seed 2 --eval-every 900 --noise ou",
    f"{HOPPER} --seed 3 --eval-every 400 --checkpoint-every 170",
    f"{HOPPER} --seed 4 --eval-every 600 --checkpoint-every 77 --noise ou",
    f"{HOPPER} --seed 5 --eval-every 250 --checkpoint-every 900 --buffer-size 500",
]
RESULTS = Path(__file__).parent / "results" / "kills.json"


def start(arguments: list[str]) -> subprocess.Popen[str]:
    """`ddpg` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ddpg", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for the process; it must end well, or by SIGKILL."""
    _, said = process.communicate()
    if process.returncode not in (0, -9):
        raise SystemExit(f"exit status {process.returncode}: {said}")


def go_on(command: list[str], run_dir: Path) -> list[str]:
    """How the run goes on, or begins where it was killed before there was anything of it."""
    if (run_dir / "config.json").exists():
        return ["train", "--resume", str(run_dir)]
    return [*command, "--run-dir", str(run_dir)]


def kill(process: subprocess.Popen[str], run_dir: Path, whole: float, rng: random.Random) -> str:
    """End it at a random moment; returns what kind of moment it was, or "" if it was too late."""
    at_a_checkpoint = rng.random() < 0.5
    time.sleep(rng.uniform(0.0, whole / 2))
    growing = run_dir / "checkpoint" / "replay.f32"
    before = growing.stat().st_mtime_ns if growing.exists() else 0
    while at_a_checkpoint and process.poll() is None:
        if growing.exists() and growing.stat().st_mtime_ns != before:
            time.sleep(rng.uniform(0.0, 0.05))
            break
        time.sleep(0.001)
    if process.poll() is not None:
        return ""
    process.kill()
    process.communicate()
    return "at a checkpoint" if at_a_checkpoint else "anywhere"


def stop(process: subprocess.Popen[str], run_dir: Path, whole: float, rng: random.Random) -> str:
    """Tell it to stop at a random moment; returns what was lost by it, in words."""
    time.sleep(rng.uniform(0.0, whole / 2))
    number = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    process.send_signal(number)
    out, said = process.communicate()
    told = re.search(r"stopped after ([\d,]+) steps", out)
    if told is None:
        # Too late, or before it had begun to learn: Python ends then, or says "interrupted".
        early = process.returncode in (0, 130, -number)
        return "" if early else f"exit status {process.returncode}: {said}"
    goes_on = tg.load(run_dir / "checkpoint" / "state.safetensors")["place"]["step"]
    stopped = int(told[1].replace(",", ""))
    right = process.returncode == 128 + number and goes_on == stopped
    return "" if right else f"stopped at step {stopped} by {number}, goes on from {goes_on}"


def differences(a: Path, b: Path) -> list[str]:
    """What is not the same in two run folders."""
    names = {str(p.relative_to(d)) for d in (a, b) for p in d.rglob("*") if p.is_file()}
    wrong = []
    for name in sorted(names - {"checkpoint/lock"}):
        if not ((a / name).exists() and (b / name).exists()):
            wrong.append(f"{name} is in one of them only")
        elif (a / name).read_bytes() != (b / name).read_bytes():
            wrong.append(f"{name} differs")
    for name in ("model.safetensors", "best.safetensors"):
        if (a / name).exists() and (b / name).exists():
            wrong += entries_that_differ(tg.load(a / name), tg.load(b / name), name)
    return wrong


def entries_that_differ(a: Any, b: Any, name: str) -> list[str]:
    """Of two nested states."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return [f"{name}: other entries"]
        return [w for key in a for w in entries_that_differ(a[key], b[key], f"{name}: {key}")]
    if isinstance(a, list) and isinstance(b, list):
        return [w for x, y in zip(a, b, strict=True) for w in entries_that_differ(x, y, name)]
    same = np.asarray(a).tobytes() == np.asarray(b).tobytes()
    return [] if same else [f"{name} differs"]


def main() -> None:
    """Print a table, and write the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=5, help="of each run")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="where the runs are written, and removed")
    options = parser.parse_args()
    rng, rows = random.Random(options.seed), []
    runs = [r for r in RUNS if find_spec("mujoco") is not None or "Hopper" not in r]
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as place,
        Progress(console=Console(stderr=True)) as progress,
    ):
        task = progress.add_task("kills", total=len(runs) * options.kills)
        for number, arguments in enumerate(runs):
            alone, killed = Path(place, f"alone{number}"), Path(place, f"killed{number}")
            command = ["train", *arguments.split()]
            finish(start([*command, "--run-dir", str(alone)]))  # compiles, too
            begun = time.monotonic()
            finish(start([*command, "--run-dir", f"{alone}-again"]))
            whole = time.monotonic() - begun
            moments: list[str] = []
            wrong: list[str] = []
            while len(moments) < options.kills:
                process = start(go_on(command, killed))
                if moment := kill(process, killed, whole, rng):
                    moments.append(moment)
                    progress.advance(task)
                    lost = stop(start(go_on(command, killed)), killed, whole, rng)
                    wrong += [lost] if lost else []
                else:  # it has ended before it was killed often enough: once more from the start
                    finish(process)
                    wrong += differences(alone, killed)
                    shutil.rmtree(killed)
            finish(start(go_on(command, killed)))
            wrong += differences(alone, killed)
            rows.append({"run": arguments, "kills": moments, "different": wrong})
    table = Table("run", "kills", "of them at a checkpoint", "different")
    for row in rows:
        at = row["kills"].count("at a checkpoint")
        cells = (str(len(row["kills"])), str(at), ", ".join(row["different"]) or "nothing")
        table.add_row(row["run"].replace(f" {SMALL}", ""), *cells)
    Console().print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"seed": options.seed, "runs": rows}, indent=2) + "\n")
    sys.exit(any(row["different"] for row in rows))


if __name__ == "__main__":
    main()
