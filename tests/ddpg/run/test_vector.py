"""Several environments side by side: every transition right, every run exact, whoever fails."""

import io
import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete
from rich.console import Console

import ddpg
from ddpg import DDPG, DDPGConfig, TrainConfig
from ddpg.errors import DivergedError, TrainingError, UsageError
from ddpg.learn import learn
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.environments.vector import Vector
from tests.ddpg.run import environments
from tests.ddpg.run.runs import (
    assert_can_be_read,
    assert_lines_are_whole,
    assert_same_run,
    begin,
    config,
    files_of,
    go_on,
    killed,
    place_of,
    rows,
    without_drawing,
)

MODES = ("sync", "async")


class Telling(gymnasium.Env):
    """Observes the seed of its episode, which of its episodes it is, and the step in it."""

    observation_space = Box(-np.inf, np.inf, (3,), np.float64)
    action_space = Box(-1, 1, (1,), np.float32)
    episode = 0

    def reset(self, *, seed=None, options=None):
        self.seed, self.step_number, self.episode = seed % 1000, 0, self.episode + 1
        return self.seen(), {}

    def step(self, action):
        self.step_number += 1
        over = self.step_number == 2 + self.seed % 4
        truncates = self.seed % 2 == 0
        return self.seen(), float(self.step_number), over and not truncates, over and truncates, {}

    def seen(self):
        return np.array([self.seed, self.episode, self.step_number], float)


class Failing(Telling):
    """Does what it is told to in the third step of its second episode, in one of the processes."""

    def __init__(self, what=None, flag=None):
        self.what, self.flag = what, flag

    def step(self, action):
        if (self.episode, self.step_number) == (2, 1) and self.what and os.path.exists(self.flag):
            if self.what == "kill":
                os.remove(self.flag)
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.what == "raise":
                raise ValueError("no\nmore")
        obs, reward, *rest = super().step(action)
        if (self.episode, self.step_number) == (2, 2) and self.what == "nan":
            reward = np.nan
        return obs, reward, *rest

    def seen(self):  # what can be replayed: not how many episodes this one has made
        return super().seen() * [1, 0, 1]


pytestmark = pytest.mark.usefixtures("no_drawing", "happens")


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    assert multiprocessing.active_children() == []


def agent_for(num_envs, **settings):
    quick = {"hidden": (4,), "batch_size": 4, "buffer_size": 200, "compile": False}
    space = Telling.observation_space, Telling.action_space
    return DDPG(*space, DDPGConfig(**quick | settings), seed=0, num_envs=num_envs)


@pytest.mark.parametrize("mode", MODES)
def test_every_transition_is_of_one_episode_and_no_reset_is_stored(mode):
    agent = agent_for(3, warmup_steps=1000)
    with closing(Vector(Telling, 3, mode)) as envs:
        steps = list(learn(agent, envs, 60, seed=5))
    assert [step.number for step in steps] == list(range(3, 61, 3))
    stored = list(agent.replay.transitions(agent.replay.last_rows(60)))
    seeds, finished = set(), 0
    for i in range(3):
        episode, number = 1, 0
        for t in stored[i::3]:
            seed = int(t.obs[0])
            assert t.obs.tolist() == [seed, episode, number]
            assert t.next_obs.tolist() == [seed, episode, number + 1]
            assert (t.reward, t.first) == (number + 1, number == 0)
            over = number + 1 == 2 + seed % 4
            assert t.terminated == (over and seed % 2 == 1)
            episode, number = (episode + 1, 0) if over else (episode, number + 1)
            finished += over
            seeds.add((i, episode, seed))
    lengths = [episode.length for step in steps for episode in step.episodes]
    assert len(lengths) == finished and {*lengths} <= {2, 3, 4, 5}
    firsts = [int(t.obs[0]) for t in stored if t.first]
    assert len({*firsts}) == len(firsts)  # each episode has a seed of its own


@pytest.mark.parametrize("mode", MODES)
def test_observations_of_parts_come_side_by_side_as_alone(mode):
    """Flattened where they come from, whatever the part; one that is wrong is named."""

    class Parts(Telling):
        observation_space = Dict({"b": Discrete(9, start=-1), "a": Box(-9, 9, (2, 1), np.float32)})

        def seen(self):
            column = np.array([[self.seed % 7], [self.episode]], np.float32)
            return {"a": column, "b": self.step_number - 1 + 90 * (self.episode > 3)}

    agent = DDPG(Parts.observation_space, Parts.action_space, seed=0, num_envs=2)
    with closing(Vector(Parts, 2, mode)) as envs:
        said = r"step \d+: environment [01]'s observation 'b' must be whole numbers from -1 to 7"
        with pytest.raises(TrainingError, match=said):
            list(learn(agent, envs, 60, seed=5))
    stored = list(agent.replay.transitions(agent.replay.last_rows(len(agent.replay))))
    assert len(stored) >= 12
    for t in stored:
        assert t.next_obs[:2].tolist() == t.obs[:2].tolist()
        assert (t.obs[2:].sum(), t.obs[2:].argmax() + 1) == (1, t.next_obs[2:].argmax())


def test_there_are_as_many_updates_as_transitions_beyond_the_warmup():
    agent = agent_for(3, warmup_steps=4, updates_per_step=2)
    with closing(Vector(Telling, 3, "sync")) as envs:
        steps = list(learn(agent, envs, 10, seed=0))
    assert [(step.number, len(step.updates)) for step in steps] == [(3, 0), (6, 4), (9, 6), (12, 6)]


def test_the_first_actions_are_random_one_by_one():
    """With a warm-up of 4 and 3 environments, the second step has one random action."""
    agent = agent_for(3, warmup_steps=4, noise_std=0.0)
    obs = np.ones((3, 3))
    mu = agent.act(obs)
    first, second, third = (agent.explore(obs) for _ in range(3))
    assert not np.isclose(first, mu).any()
    np.testing.assert_allclose(second[1:], mu[1:], rtol=1e-6)
    assert not np.isclose(second[0], mu[0]).any()
    np.testing.assert_allclose(third, mu, rtol=1e-6)


def test_an_agent_is_made_for_a_number_of_environments():
    said = r"made for 3 environments, not for 2: DDPG\(.*"
    with closing(Vector(Telling, 2, "sync")) as envs, pytest.raises(UsageError, match=said):
        next(learn(agent_for(3), envs, 10, seed=0))
    with pytest.raises(UsageError, match=r"obs must have shape \(3, 3\), got \(3,\)"):
        agent_for(3).explore(np.zeros(3))
    with pytest.raises(UsageError, match="transition of each environment: 2 is less than 3"):
        agent_for(3, buffer_size=2)


def settings(**changes) -> TrainConfig:
    """Nothing divides by 3: neither warm-up, evaluations, checkpoints, replay nor the whole."""
    return config(**{"num_envs": 3, "n_step": 3, "seed": 2} | changes)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    with without_drawing():
        run = begin(run_dir, settings())
    assert run.steps == 102
    assert [row["step"] for row in run.evaluations] == [30, 60, 90, 102]
    return run_dir


def without(run_dir: Path, *names: str) -> dict[str, bytes]:
    return {k: v for k, v in files_of(run_dir).items() if k not in names}


def test_processes_change_no_bit(undisturbed, tmp_path):
    begin(tmp_path / "run", settings(vectorization="async"))
    named = folder.CONFIG, folder.STATE  # which say how it was run
    assert without(tmp_path / "run", *named) == without(undisturbed, *named)


def test_one_environment_is_one_however_it_is_run(tmp_path):
    for mode in MODES:
        begin(tmp_path / mode, settings(num_envs=1, vectorization=mode))
    named = folder.CONFIG, folder.STATE
    assert without(tmp_path / "sync", *named) == without(tmp_path / "async", *named)


@pytest.mark.parametrize("at", [3, 45, 60, 81, 96])
def test_a_killed_run_goes_on_bit_for_bit(undisturbed, tmp_path, at):
    """Environments whose episodes are of different ages come back to their places."""
    killed(tmp_path / "run", settings(), at)
    assert_can_be_read(tmp_path / "run", whole=False)
    go_on(tmp_path / "run", settings())
    assert_same_run(undisturbed, tmp_path / "run")


@pytest.mark.parametrize("first", [1, 40, 85, 100])
def test_a_run_can_be_made_longer(undisturbed, tmp_path, first):
    begin(tmp_path / "run", settings(total_timesteps=first))
    go_on(tmp_path / "run", settings())
    assert_same_run(undisturbed, tmp_path / "run")
    with pytest.raises(UsageError, match="at step 102 already, beyond --total-timesteps 99"):
        go_on(tmp_path / "run", settings(total_timesteps=99))


def test_only_the_environment_that_cannot_be_replayed_begins_again(tmp_path, monkeypatch):
    run_dir, said = tmp_path / "run", io.StringIO()
    begin(run_dir, settings(total_timesteps=50))
    lengths = place_of(run_dir)["length"]
    which = next(i for i, length in enumerate(lengths) if length > 0)
    assert sum(length > 0 for length in lengths) >= 2
    numbers, step = itertools.count(), environments.Small.step

    def changed(self, action):
        obs, reward, *rest = step(self, action)
        return obs, reward + (self.number == which), *rest

    def numbered(self):
        self.number = next(numbers)

    monkeypatch.setattr(environments.Small, "__init__", numbered)
    monkeypatch.setattr(environments.Small, "step", changed)
    go_on(run_dir, settings(), Console(file=said, width=300))
    told = [line for line in said.getvalue().splitlines() if "cannot be replayed" in line]
    assert len(told) == 1
    assert f"environment {which} cannot be replayed (the reward of step 1 of episode" in told[0]
    assert "this environment" not in told[0]


WAYS = {
    "raise": r"step 1[25]: environment 1's step raised ValueError: no more",
    "nan": r"step 1[25]: the environment's reward of environment 1 is nan",
    "kill": r"step 1[25]: the process of environment 1 ended by SIGKILL",
}


@pytest.mark.parametrize(
    ("mode", "what"), [("sync", "raise"), ("async", "raise"), ("async", "nan"), ("async", "kill")]
)
def test_an_environment_that_fails_is_named_and_nothing_is_lost(tmp_path, mode, what):
    """The run goes on where the failure was mended, as if there had been none."""
    flag = tmp_path / "flag"
    flag.touch()
    numbers_made = itertools.count()

    def make():
        name = multiprocessing.current_process().name
        second = name.endswith("-1") if mode == "async" else next(numbers_made) == 1
        return Failing(what if second else None, flag)

    numbers = {"num_envs": 3, "vectorization": mode, "hidden": (4,), "compile": False}
    numbers |= {"total_timesteps": 60, "warmup_steps": 6, "batch_size": 4, "eval_every": 0}
    whole = ddpg.train(Failing, run_dir=tmp_path / "whole", progress=False, **numbers)
    with pytest.raises(TrainingError, match=WAYS[what]):
        ddpg.train(make, run_dir=tmp_path / "run", progress=False, **numbers)
    assert_lines_are_whole(tmp_path / "run")
    assert place_of(tmp_path / "run")["step"] in (9, 12)
    run = ddpg.resume(tmp_path / "run", Failing, progress=False)
    assert run.episodes == whole.episodes
    named = folder.CONFIG, folder.STATE  # of two functions
    assert without(tmp_path / "run", *named) == without(tmp_path / "whole", *named)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_the_last_finite_model_is_kept(tmp_path):
    broken = settings(warmup_steps=45, critic_lr=1e20, eval_every=0)
    with pytest.raises(DivergedError, match=r"step (\d+):") as error:
        begin(tmp_path / "run", broken)
    step = int(re.match(r"step (\d+):", str(error.value))[1])
    agent, _ = load_agent(tmp_path / "run")
    assert step in (48, 51)
    assert all(np.isfinite(p.numpy()).all() for p in agent.critics[0].parameters())
    assert place_of(tmp_path / "run")["step"] <= 42


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_envs": 0}, "num_envs must be an integer of 1 or more, got 0"),
        ({"num_envs": 2.0}, "num_envs must be an integer"),
        ({"num_envs": 1025}, "num_envs must be at most 1,024, got 1025"),
        (
            {"num_envs": 71, "buffer_size": 70},
            "num_envs must be at most 70, got 71",
        ),  # all of the replay
        ({"vectorization": "fast"}, "vectorization must be 'sync' or 'async', got 'fast'"),
    ],
)
def test_what_is_not_allowed_is_said_before_anything_is_made(changes, said):
    with pytest.raises(UsageError, match=said):
        config(**{"buffer_size": 2000} | changes)


def test_environments_must_be_alike_and_new_at_each_call():
    same, sizes = Telling(), itertools.count()
    with pytest.raises(UsageError, match="must make a new environment at each call"):
        ddpg.train(lambda: same, num_envs=2, progress=False)
    with pytest.raises(UsageError, match="must make a new environment at each call"):
        ddpg.train(lambda: same, progress=False)
    with pytest.raises(UsageError, match="give a function that makes one"):
        ddpg.train(same, num_envs=2, progress=False)

    def growing():
        env = Telling()
        env.action_space = Box(-1, 1 + next(sizes), (1,), np.float32)
        return env

    with pytest.raises(UsageError, match=r"2 environments side by side cannot be made: .*action"):
        ddpg.train(growing, num_envs=2, progress=False)


def test_a_process_that_cannot_make_its_environment_is_told(capfd):
    home = os.getpid()

    def make():
        if os.getpid() != home:
            raise SystemExit(3)
        return Telling()

    with pytest.raises(UsageError, match="3 environments side by side cannot be made: one of"):
        ddpg.train(make, num_envs=3, vectorization="async", progress=False)


PROGRAM = """
import sys
import ddpg
import tests.ddpg.run.environments

ddpg.train(
    "tests.ddpg.run.environments:Small-v0", run_dir=sys.argv[1], total_timesteps=10**8,
    num_envs=3, vectorization="async", hidden=(4,), batch_size=4, buffer_size=1000, eval_every=0,
    compile=False,
)
"""


def running(run_dir: Path) -> subprocess.Popen[bytes]:
    """A run in a group of processes, which has made some steps."""
    command = [sys.executable, "-c", PROGRAM, str(run_dir)]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    table = run_dir / folder.METRICS_TABLE
    limit = time.monotonic() + 60
    while not (table.exists() and len(table.read_text().splitlines()) > 3):
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_the_run_after_the_step(tmp_path, number):
    """As Ctrl-C in a terminal; the processes of the environments hear it as well."""
    process = running(tmp_path / "run")
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    last = rows(tmp_path / "run" / folder.METRICS_TABLE)[-1]["step"]
    assert place_of(tmp_path / "run")["step"] >= last
    assert_can_be_read(tmp_path / "run")


def test_no_process_outlives_a_killed_run(tmp_path):
    process = running(tmp_path / "run")
    process.kill()
    process.communicate(timeout=60)
    limit = time.monotonic() + 30
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < limit:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
