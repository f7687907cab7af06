"""Trials without training: what they come to is a formula, and how fast they are a matter of luck.

search = made_search(trials=20)
trials = searched(tmp_path, search, Pretended(jobs=2, seed=1))
"""

import math
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console

import ddpg
from ddpg.config import config_from_dict
from ddpg.errors import DivergedError, in_one_line
from ddpg.run.process import Stop
from ddpg.study.plan import Asked
from ddpg.study.tuning import api as tune_api
from ddpg.study.tuning.journal import Journal, Trial, quiet
from ddpg.study.tuning.outcome import Tuning
from ddpg.study.tuning.search import Search, Wanted, new_search
from ddpg.study.tuning.trials import Trials
from ddpg.study.work.schedule import carry_out
from ddpg.study.work.task import Ending, Task
from tests.ddpg.run.runs import go_on, without_drawing

STEPS, EVERY, WARMUP = 1000, 100, 200


class Killed(BaseException):
    """The process that tunes has ended, for all that its files know."""


def made_search(trials=20, space=None, seed=0, **fixed):
    run = {"total_timesteps": STEPS, "eval_every": EVERY, "warmup_steps": WARMUP}
    fixed = {**run, "seed": seed, **fixed}
    return new_search(Wanted(Asked(["Pendulum-v1"], fixed=fixed), trials, 2, space))


def height(config, step):
    """The return after some steps: best at critic_lr 1e-3 and tau 0.01, and with normalisation."""
    far = abs(config["critic_lr"] / 1e-3 - 1) + abs(config["tau"] / 0.01 - 1)
    return step / STEPS * (100.0 * math.exp(-far / 5) + 20 * config["normalize_observations"])


class Pretended:
    """A backend whose runs write rows in an order, and at a speed, that a seed decides.

    Parameters
    ----------
    jobs : at a time.
    seed : of the luck.
    ends : how a run ends that is at its last row, from its configuration.
    dies_after : calls of `wait` until `Killed`.
    """

    def __init__(
        self,
        jobs: int,
        seed: int,
        ends: Callable[[dict], Ending] = lambda config: Ending("finished"),
        dies_after: int | None = None,
    ) -> None:
        self._jobs, self._luck, self._ends, self._left = jobs, random.Random(seed), ends, dies_after
        self.running: dict[str, tuple[Task, int]] = {}
        self.begun: list[str] = []
        self._told: set[str] = set()

    def capacity(self) -> int:
        return self._jobs

    def start(self, name: str, task: Task) -> None:
        assert len(self.running) < self._jobs
        # As a run that goes on from a checkpoint: it may be before what the table holds.
        rows = rows_of(task)
        self.running[name] = task, self._luck.randint(0, rows)
        self.begun.append(name)

    def stop(self, name: str) -> None:
        self._told.add(name)

    def close(self) -> None:
        pass

    def wait(self, seconds: float) -> list[tuple[str, Ending]]:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Killed
        ended = []
        for name, (task, rows) in [*self.running.items()]:
            if name in self._told and self._luck.random() < 0.7:
                ended.append((name, Ending("stopped")))
            elif self._luck.random() < 0.6:
                rows = min(rows + self._luck.randint(1, 5), STEPS // EVERY)
                write_rows(task, rows)
                self.running[name] = task, rows
                if rows == STEPS // EVERY:
                    ended.append((name, self._ends(task.config)))
        for name, _ in ended:
            del self.running[name]
            self._told.discard(name)
        return ended


def table_of(task: Task) -> Path:
    return Path(task.run_dir) / "evaluations.csv"


def rows_of(task: Task) -> int:
    path = table_of(task)
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def write_rows(task: Task, count: int) -> None:
    lines = [f"{i * EVERY},{height(task.config, i * EVERY):.8g}" for i in range(1, count + 1)]
    table_of(task).parent.mkdir(parents=True, exist_ok=True)
    table_of(task).write_text("\n".join(["step,mean", *lines]) + "\n")


def searched(tune_dir: Path, search: Search, backend: Pretended) -> list[Trial]:
    """All trials, or as far as the backend lives."""
    tune_dir.mkdir(exist_ok=True)
    with quiet():
        journal = Journal(tune_dir / "journal.log", search)
        work = Trials(tune_dir, search, journal, Console(quiet=True))
        carry_out(work, backend, Stop(), lambda text: None)
        assert not work.failure, work.failure
        return journal.trials()


def killed_and_finished(tune_dir: Path, search: Search, jobs: int, seed: int) -> list[Trial]:
    """The same, by a process that is killed again and again."""
    luck = random.Random(seed)
    for _ in range(100):
        backend = Pretended(jobs, luck.randrange(1000), dies_after=luck.randint(0, 8))
        try:
            return searched(tune_dir, search, backend)
        except Killed:
            tear(tune_dir / "journal.log", luck)
    raise AssertionError("it never ended")


def tear(journal: Path, luck: random.Random) -> None:
    """As if the process had been killed as it wrote."""
    if luck.random() < 0.5:
        with journal.open("a") as file:
            file.write('{"op_code":7,"wor')


def with_lag(search: Search, lag: int) -> Search:
    return replace(search, lag=lag)


class Inline:
    """A backend that carries out runs in this process, one after the other, each to its end."""

    def __init__(self, jobs: int = 1) -> None:
        self._jobs = jobs
        self._waiting: list[tuple[str, Task]] = []

    def capacity(self) -> int:
        return self._jobs

    def start(self, name: str, task: Task) -> None:
        self._waiting.append((name, task))

    def stop(self, name: str) -> None:
        pass

    def close(self) -> None:
        pass

    def wait(self, seconds: float) -> list[tuple[str, Ending]]:
        name, task = self._waiting.pop()  # the latest one: an order that no processes have
        try:
            with without_drawing(), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # an overflow, if it diverges
                go_on(Path(task.run_dir), config_from_dict(task.config))
        except DivergedError as error:
            return [(name, Ending("diverged", in_one_line(error)))]
        return [(name, Ending("finished"))]


def tuned(tune_dir: Path, monkeypatch, jobs: int = 1, **asked) -> Tuning:
    """A tuning of short runs, all of them in this process."""
    monkeypatch.setattr(tune_api, "new_backend", lambda *how: Inline(jobs))
    return ddpg.tune(tune_dir=tune_dir, jobs=jobs, progress=False, **asked)
