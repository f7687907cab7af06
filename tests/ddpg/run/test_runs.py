import csv
import dataclasses
import io
import json
import os
import signal

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from rich.console import Console

from ddpg import DDPGConfig, TrainConfig
from ddpg.errors import TrainingError, UsageError
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.evaluate import evaluate
from ddpg.run.runs import train
from ddpg.spaces import make_env

FILES = {
    *("config.json", "spaces.json", "metrics.csv", "evaluations.csv", "learning_curve.png"),
    *("model.safetensors", "checkpoint"),
}
SMALL = DDPGConfig(hidden=(8, 8), batch_size=8, warmup_steps=350, compile=False)


def config(**settings):
    defaults = {"total_timesteps": 450, "eval_every": 200, "eval_episodes": 2, "seed": 3}
    return TrainConfig(**{**defaults, "ddpg": SMALL, **settings})


def quiet():
    return Console(file=io.StringIO())


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


class Unreliable(gymnasium.Env):
    """Works for a while; then does as it is told."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Box(-1, 1, (1,), np.float32)
    steps, then = 0, staticmethod(lambda: 1.0)

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        Unreliable.steps += 1
        reward = Unreliable.then() if Unreliable.steps == 70 else 1.0
        return np.ones(2, np.float32), reward, Unreliable.steps % 20 == 0, False, {}


@pytest.fixture
def unreliable(monkeypatch):
    monkeypatch.setattr(Unreliable, "steps", 0)
    monkeypatch.setattr("ddpg.run.environments.make_env", lambda *_: Unreliable())
    return monkeypatch


def test_run_folder_holds_what_it_should(tmp_path):
    log = train(config(), tmp_path, quiet())
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"best.safetensors"}
    assert log.steps == 450
    assert log.stopped_by is None

    episodes = read(tmp_path / "metrics.csv")
    assert [row["step"] for row in episodes] == ["200", "400"]
    assert [row["updates"] for row in episodes] == ["0", "50"]
    assert float(episodes[0]["return"]) < 0
    assert episodes[0]["critic_loss"] == "nan"
    assert float(episodes[1]["critic_loss"]) > 0

    evaluations = read(tmp_path / "evaluations.csv")
    assert list(evaluations[0]) == [
        *("step", "mean", "std", "min", "max", "episodes"),
        *("q_bias", "q_spread", "q_rank", "q_tail", "dead_units"),
    ]
    assert [row["step"] for row in evaluations] == ["200", "400", "450"]
    assert float(evaluations[0]["min"]) <= float(evaluations[0]["mean"])

    values = json.loads((tmp_path / "config.json").read_text())
    assert values["hidden"] == [8, 8]
    assert values["buffer_size"] == 1_000_000
    assert "run_dir" not in values


def test_the_saved_model_is_the_one_that_was_evaluated_last(tmp_path):
    log = train(config(), tmp_path, quiet())
    agent, _ = load_agent(tmp_path)
    returns = evaluate(agent.act, make_env("Pendulum-v1"), 2)
    assert returns.mean() == pytest.approx(log.evaluations[-1]["mean"], rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("compile", [False, True])
def test_same_seed_same_bytes(tmp_path, compile):
    """Every file, in folders of different names."""
    noisy = dataclasses.replace(SMALL, noise="ou", compile=compile)
    for name in ("a", "b"):
        train(config(ddpg=noisy), tmp_path / name, quiet())
    train(config(ddpg=noisy, seed=4), tmp_path / "other", quiet())
    for name in FILES - {"checkpoint"}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
        if name != "spaces.json":  # those of the environment, whatever the seed
            assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


@pytest.mark.slow
def test_evaluation_does_not_disturb_training(tmp_path):
    for name, every in {"often": 100, "never": 0}.items():
        train(config(eval_every=every), tmp_path / name, quiet())
    for name in ("metrics.csv", "model.safetensors"):
        often, never = tmp_path / "often" / name, tmp_path / "never" / name
        assert often.read_bytes() == never.read_bytes()
    assert read(tmp_path / "never" / "evaluations.csv") == []


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    train(config(total_timesteps=5, eval_every=0), tmp_path, quiet())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="already holds a run"):
        train(config(), tmp_path, quiet())
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_an_unsupported_environment_leaves_no_folder(tmp_path):
    for env_id, message in {"CartPole-v1": "Discrete", "Pendulm-v1": "did you mean"}.items():
        with pytest.raises(UsageError, match=message):
            train(config(env_id=env_id), tmp_path / "run", quiet())
    assert list(tmp_path.iterdir()) == []


def test_a_nan_reward_ends_the_run_and_keeps_it(tmp_path, unreliable):
    unreliable.setattr(Unreliable, "then", staticmethod(lambda: float("nan")))
    with pytest.raises(TrainingError, match="step 70: the environment's reward is nan"):
        train(config(eval_every=0), tmp_path, quiet())
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert [row["step"] for row in read(tmp_path / "metrics.csv")] == ["20", "40", "60"]


def test_ctrl_c_ends_the_run_after_the_step_and_keeps_it(tmp_path, unreliable):
    def press():
        os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    unreliable.setattr(Unreliable, "then", staticmethod(press))
    before = signal.getsignal(signal.SIGINT)
    log = train(config(eval_every=0), tmp_path, quiet())
    assert log.stopped_by == signal.SIGINT
    assert log.steps == 70
    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert len(read(tmp_path / "metrics.csv")) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_second_ctrl_c_does_not_wait(tmp_path, unreliable):
    def press_twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return 1.0

    unreliable.setattr(Unreliable, "then", staticmethod(press_twice))
    with pytest.raises(KeyboardInterrupt):
        train(config(eval_every=0), tmp_path, quiet())
    assert len(read(tmp_path / "metrics.csv")) == 3
    assert not (tmp_path / "model.safetensors").exists()


class NotToBeClosed(gymnasium.Wrapper):
    """Says no when everything is done."""

    def close(self):
        super().close()
        raise RuntimeError("it has\ngone")


def test_an_environment_that_fails_when_it_is_closed_takes_no_run_along(tmp_path):
    settings = config(total_timesteps=50, eval_every=0)

    def make():
        return NotToBeClosed(make_env("Pendulum-v1"))

    with pytest.warns(UserWarning, match="^the environment's close raised RuntimeError: it has g"):
        run = train(settings, tmp_path, quiet(), make)
    assert run.steps == 50
