import io

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from rich.console import Console

from ddpg import DDPGConfig, TrainConfig
from ddpg.errors import UsageError
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import Checkpoint
from ddpg.run.runs import resume, train


class Target(gymnasium.Env):
    """The nearer an action is to a half, the better: learned in some hundred steps."""

    observation_space, action_space = Box(-1, 1, (1,), np.float32), Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        reward = -abs(float(action[0]) - 0.5)
        return np.zeros(1, np.float32), reward, False, self.steps == 10, {}


@pytest.fixture(autouse=True)
def target(monkeypatch):
    monkeypatch.setattr("ddpg.run.environments.make_env", lambda *_: Target())


SMALL = DDPGConfig(hidden=(8,), batch_size=8, warmup_steps=20, compile=False)


def config(steps, **settings):
    defaults = {"eval_every": 15, "eval_episodes": 1, "checkpoint_every": 60, "seed": 9}
    return TrainConfig(total_timesteps=steps, ddpg=SMALL, **{**defaults, **settings})


def quiet():
    return Console(file=io.StringIO())


def best(run_dir):
    path = run_dir / "best.safetensors"
    return path.read_bytes() if path.exists() else None


def test_a_best_agent_that_came_after_the_checkpoint_is_not_kept(tmp_path, monkeypatch):
    """Whatever was found between the checkpoint and a kill, another end may not find again."""
    train(config(60), tmp_path / "short", quiet())
    train(config(120), tmp_path / "long", quiet())
    save = Checkpoint.save

    def killed_before(self, agent, config, run_dir):
        if self.place.step == 120:
            raise KeyboardInterrupt
        save(self, agent, config, run_dir)

    killed = tmp_path / "killed"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "save", killed_before)
        train(config(120), killed, quiet())
    assert best(killed) != best(tmp_path / "short"), "the example must find a better one"
    folder.copy(killed, tmp_path / "copy")
    resume(killed, config(60), console=quiet())
    assert best(killed) == best(tmp_path / "short")
    resume(tmp_path / "copy", config(120), console=quiet())
    assert best(tmp_path / "copy") == best(tmp_path / "long")


def test_the_last_evaluation_of_a_short_run_is_none_of_a_longer_one(tmp_path):
    train(config(120), tmp_path / "long", quiet())
    for steps in (10, 47, 100):
        run_dir = tmp_path / str(steps)
        train(config(steps), run_dir, quiet())
        assert best(run_dir) is not None
        resume(run_dir, config(120), console=quiet())
        assert best(run_dir) == best(tmp_path / "long"), steps


@pytest.mark.parametrize("how", ["damaged", "gone"])
def test_a_best_agent_that_is_not_the_runs_is_refused(tmp_path, how):
    train(config(60), tmp_path, quiet())
    path = tmp_path / "best.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    if how == "gone":
        path.unlink()
    with pytest.raises(UsageError, match=r"best\.safetensors is damaged or gone"):
        resume(tmp_path, config(120), console=quiet())
