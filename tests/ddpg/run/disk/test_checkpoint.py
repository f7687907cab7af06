import os

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_rl as tg
from ddpg import DDPG, DDPGConfig, TrainConfig
from ddpg.config import config_text
from ddpg.errors import UsageError
from ddpg.run.disk.checkpoint import load_agent
from ddpg.run.disk.folder import BEST, CONFIG, MODEL, create
from ddpg.run.disk.saved_spaces import spaces_of
from ddpg.spaces import make_env

SPACES = spaces_of(make_env("Pendulum-v1"))
CONFIGURATION = TrainConfig(ddpg=DDPGConfig(hidden=(8, 4), buffer_size=100, compile=False))


@pytest.fixture
def agent():
    env = make_env("Pendulum-v1")
    agent = DDPG(env.observation_space, env.action_space, CONFIGURATION.ddpg, seed=11)
    for _ in range(10):
        agent.replay.add(np.ones(3), np.ones(1), -1.0, np.zeros(3), False, False)
    agent.update()
    return agent


@pytest.fixture
def run_dir(tmp_path, agent):
    (tmp_path / "run").mkdir()
    create(tmp_path / "run", CONFIGURATION, SPACES)
    tg.save(tmp_path / "run" / MODEL, agent.state_dict())
    return tmp_path / "run"


def flat(state, prefix=""):
    """Every value of a nested state, by its dotted name."""
    if isinstance(state, list):
        state = dict(enumerate(state))
    if not isinstance(state, dict):
        return {prefix: np.asarray(state)}
    return {k: v for name in state for k, v in flat(state[name], f"{prefix}.{name}").items()}


def test_a_loaded_agent_acts_and_goes_on_as_the_saved_one(agent, run_dir):
    loaded, config = load_agent(run_dir)
    assert config == CONFIGURATION
    saved, restored = flat(agent.state_dict()), flat(loaded.state_dict())
    assert saved.keys() == restored.keys()
    for name, array in saved.items():
        np.testing.assert_array_equal(restored[name], array, err_msg=name)
    obs = np.array([0.1, 0.9, -3.0])
    np.testing.assert_array_equal(loaded.act(obs), agent.act(obs))


def test_other_programs_can_read_the_networks(run_dir):
    arrays = safetensors.numpy.load_file(run_dir / MODEL)
    assert arrays["actor.mlp.0.weight"].shape == (8, 3)
    assert arrays["critics.0.mlp.0.weight"].shape == (8, 4)


def test_files_have_the_usual_permissions(run_dir):
    modes = {path.name: path.stat().st_mode for path in run_dir.iterdir()}
    assert modes[MODEL] == modes[CONFIG]


def test_same_state_same_bytes(agent, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        tg.save(tmp_path / name / MODEL, agent.state_dict())
    assert (tmp_path / "a" / MODEL).read_bytes() == (tmp_path / "b" / MODEL).read_bytes()


def test_a_failed_save_leaves_the_old_model_and_nothing_beside_it(agent, run_dir, monkeypatch):
    def fail(source, target):
        raise OSError("disk full")

    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        tg.save(run_dir / MODEL, agent.state_dict())
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


def test_missing_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no run folder"):
        load_agent(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"config\.json does not exist"):
        load_agent(tmp_path)


def test_run_that_saved_nothing_is_refused(tmp_path):
    create(tmp_path, CONFIGURATION, SPACES)
    with pytest.raises(UsageError, match=r"ended before its first save.*--resume"):
        load_agent(tmp_path)
    with pytest.raises(UsageError, match=f"{BEST} does not exist: no evaluation"):
        load_agent(tmp_path, best=True)


def damage(path, how):
    state = tg.load(path)
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "no safetensors":
        path.write_bytes(b"not a model at all, not even nearly")
    elif how == "a number changed":
        arrays, metadata = safetensors.numpy.load_file(path), safetensors.safe_open(path, "np")
        arrays["critics.0.mlp.2.bias"][0] += 1.0
        safetensors.numpy.save_file(arrays, path, metadata.metadata())
    elif how == "foreign":
        safetensors.numpy.save_file({"layer.weight": np.ones((2, 2))}, path)
    elif how == "odd":
        tg.save(path, {**state, "noise": 3})
    elif how == "missing":
        del state["critics"][0]["mlp.2.bias"]
        tg.save(path, state)
    elif how == "reshaped":
        state["actor"]["mlp.0.weight"] = state["actor"]["mlp.0.weight"].T
        tg.save(path, state)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "no safetensors file, or its header is damaged or cut off|is cut off"),
        ("no safetensors", "is no safetensors file"),
        ("a number changed", "the entry 'critics.0.mlp.2.bias'"),
        ("foreign", r"entries missing or unknown in the state: \['actor'"),
        ("odd", "does not fit config.json: noise must be a dict"),
        ("missing", r"entries missing or unknown in critics.0: \['mlp\.2\.bias'\]"),
        ("reshaped", r"actor\.mlp\.0\.weight is float32 of shape \(3, 8\)"),
    ],
)
def test_a_damaged_model_is_refused_by_file_and_entry(run_dir, how, message):
    damage(run_dir / MODEL, how)
    with pytest.raises(UsageError, match=message) as error:
        load_agent(run_dir)
    assert str(error.value).count(str(run_dir / MODEL)) == 1
    assert "\n" not in str(error.value)


def test_a_model_of_other_networks_is_refused(run_dir):
    (run_dir / CONFIG).write_text(config_text(TrainConfig(ddpg=DDPGConfig(hidden=(8, 5)))))
    with pytest.raises(UsageError, match=r"of shape \(4, 8\), expected float32 of shape \(5, 8\)"):
        load_agent(run_dir)
