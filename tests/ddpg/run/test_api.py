import inspect
import json
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import PendulumEnv
from gymnasium.wrappers import TimeLimit

import ddpg
from ddpg.errors import UsageError
from ddpg.run.evaluate import evaluate

SMALL = {
    "hidden": (8, 8),
    "batch_size": 8,
    "warmup_steps": 150,
    "compile": False,
    "total_timesteps": 250,
    "eval_every": 100,
    "eval_episodes": 1,
}
train = partial(ddpg.train, progress=False, **SMALL)


def make(g=10.0):
    return TimeLimit(PendulumEnv(g=g), 50)


def same(a, b):
    return all(np.array_equal(a.act(obs), b.act(obs)) for obs in np.eye(3))


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    """In an empty folder, which tests may look into."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_gives_its_agent_its_tables_and_its_folder(tmp_path):
    run = train("Pendulum-v1", seed=3, run_dir="runs/p1")
    assert (tmp_path / "runs/p1/config.json").exists()
    assert run.run_dir.samefile(tmp_path / "runs/p1")
    assert run.steps == 250
    assert run.stopped_by is None
    assert [row["step"] for row in run.episodes] == [200]
    assert [row["step"] for row in run.evaluations] == [100, 200, 250]
    assert len(run.agent.replay) == 250
    assert same(run.agent, ddpg.load("runs/p1"))
    best = max(run.evaluations, key=lambda row: row["mean"])
    loaded = ddpg.load("runs/p1", best=True)
    assert evaluate(loaded.act, make_pendulum(), 1).mean() == pytest.approx(best["mean"], rel=1e-7)


def make_pendulum():
    return gymnasium.make("Pendulum-v1")


def test_without_a_folder_none_is_left(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    run = train("Pendulum-v1", seed=3)
    assert run.run_dir is None
    assert list(tmp_path.iterdir()) == []
    assert same(run.agent, train("Pendulum-v1", seed=3, run_dir="kept").agent)


def test_progress_is_said_or_not(capsys):
    train("Pendulum-v1")
    assert capsys.readouterr() == ("", "")
    ddpg.train("Pendulum-v1", **SMALL)
    assert "step 100: return" in capsys.readouterr().err


def test_settings_win_over_the_algorithm_and_both_over_the_config():
    config = ddpg.TrainConfig(seed=7, ddpg=ddpg.DDPGConfig(gamma=0.5, critics=3))
    run = train("Pendulum-v1", config=config, algorithm="td3", actor_every=3, run_dir="a")
    values = json.loads(inspect.cleandoc((run.run_dir / "config.json").read_text()))
    found = {name: values[name] for name in ("seed", "gamma", "critics", "actor_every")}
    assert found == {"seed": 7, "gamma": 0.5, "critics": 2, "actor_every": 3}


def test_arguments_of_the_environment_are_kept():
    heavy = train("Pendulum-v1", env_kwargs={"g": 1.0, "max_episode_steps": 50}, run_dir="heavy")
    assert [row["length"] for row in heavy.episodes] == [50] * 5
    assert json.loads((heavy.run_dir / "config.json").read_text())["env_kwargs"]["g"] == 1.0
    by_function = train(make, env_kwargs={"g": 1.0}, run_dir="function")
    assert by_function.episodes[0]["return"] == heavy.episodes[0]["return"]
    assert train(make).episodes[0]["return"] != heavy.episodes[0]["return"]
    longer = ddpg.resume("heavy", total_timesteps=300, progress=False)
    assert [row["length"] for row in longer.episodes] == [50] * 6


def test_an_environment_of_a_function_goes_on_with_it_and_not_without():
    run = train(make, run_dir="made")
    assert [row["length"] for row in run.episodes] == [50] * 5
    assert same(run.agent, ddpg.load("made"))  # which needs no environment
    whole = train(make, total_timesteps=300, run_dir="whole")
    longer = ddpg.resume("made", make, total_timesteps=300, progress=False)
    assert same(longer.agent, whole.agent)
    said = r"this run's environment was made in Python, by .*make: give it to ddpg.resume as env="
    with pytest.raises(UsageError, match=said):
        ddpg.resume("made")


def test_an_environment_is_learned_in_and_another_one_like_it_evaluates():
    env = gymnasium.make("Pendulum-v1", g=1.0, max_episode_steps=50)
    run = train(env)
    assert [row["length"] for row in run.episodes] == [50] * 5
    env.reset(seed=0)  # still open
    again = train("Pendulum-v1", env_kwargs={"g": 1.0, "max_episode_steps": 50})
    assert run.evaluations == again.evaluations
    with pytest.raises(UsageError, match="does not know how this one was made: give a function"):
        train(make())
    with pytest.raises(UsageError, match="not with what is made already"):
        train(env, env_kwargs={"g": 2.0})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"env": "Pendulum-v1", "critic_learning_rate": 1}, "unknown setting"),
        ({"env": "Pendulum-v1", "gamma": 2}, "gamma must be a number from 0 to 1, got 2"),
        (
            {"env": "Pendulum-v1", "algorithm": "sac"},
            "algorithm must be 'ddpg' or 'td3', got 'sac'",
        ),
        ({"env": "Pendulun-v1"}, "unknown environment 'Pendulun-v1'; did you mean Pendulum-v1"),
        ({"env": 3}, "env must be an environment's id, a gymnasium.Env or a function"),
        ({"env": lambda: 3}, "env must make a gymnasium.Env, got an int"),
        ({"env": lambda: 1 / 0}, "env cannot be made: ZeroDivisionError: division by zero"),
        ({"env": "Pendulum-v1", "env_kwargs": {"h": 1}}, "cannot be made: TypeError"),
        ({"env": "Pendulum-v1", "env_kwargs": {"g": object()}}, "env_kwargs must be named values"),
        ({"env": "Pendulum-v1", "env_kwargs": [1]}, "env_kwargs must be named values"),
        ({"env": "Pendulum-v1", "run_dir": ""}, "run_dir must be a path, got ''"),
        ({"env": "CartPole-v1"}, "actions must come from a flat Box"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(tmp_path, arguments, said):
    with pytest.raises(UsageError, match=said):
        train(**{"run_dir": "runs/p1"} | arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_a_run_is_refused():
    train("Pendulum-v1", run_dir="a")
    with pytest.raises(UsageError, match="already holds a run"):
        train("Pendulum-v1", run_dir="a")
    with pytest.raises(UsageError, match="there is no run folder"):
        ddpg.load("b")
    with pytest.raises(UsageError, match="gamma, which can't be changed"):
        ddpg.resume("a", gamma=0.5)


def test_stable_baselines3_evaluates_our_agent():
    evaluation = pytest.importorskip("stable_baselines3.common.evaluation")
    run = train("Pendulum-v1")
    with pytest.warns(UserWarning, match="Monitor"):
        mean, _ = evaluation.evaluate_policy(run.agent, make_pendulum(), n_eval_episodes=2)
    assert -2000 < mean < 0
