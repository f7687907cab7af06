"""A run that normalises observations: its statistics are saved, and count each observation once."""

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg.errors import TrainingError, UsageError
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from tests.ddpg.run import environments
from tests.ddpg.run.runs import assert_same_run, begin, config, go_on, killed

SETTINGS = config(normalize_observations=True)


pytestmark = pytest.mark.usefixtures("no_drawing", "happens")


@pytest.fixture
def undisturbed(tmp_path):
    begin(tmp_path / "undisturbed", SETTINGS)
    return tmp_path / "undisturbed"


def statistics(run_dir):
    return tg.load(run_dir / folder.MODEL)["normalizer"]


def stored(run_dir, count):
    """The observations before each step: 2 numbers of 8."""
    rows = np.fromfile(run_dir / folder.TRANSITIONS, "<f4").reshape(-1, 2 + 1 + 1 + 2 + 1 + 1)
    return rows[:count, :2].astype(np.float64)


def test_statistics_are_those_of_each_observation_once(undisturbed):
    seen, saved = stored(undisturbed, 100), statistics(undisturbed)
    assert saved["count"] == 100
    np.testing.assert_allclose(saved["mean"].numpy(), seen.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(saved["m2"].numpy(), 100 * seen.var(axis=0), rtol=1e-12)


@pytest.mark.parametrize("at", [30, 55, 93])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, undisturbed, at):
    killed(tmp_path / "run", SETTINGS, at)
    go_on(tmp_path / "run", SETTINGS)
    assert_same_run(tmp_path / "run", undisturbed)


def test_an_action_that_waits_was_explored_already(tmp_path, undisturbed):
    """The environment fails in the step: its observation was counted, and is not again."""

    def fails():
        raise ValueError("away")

    environments.steps, environments.happens = 0, {50: fails}
    with pytest.raises(TrainingError, match="away"):
        begin(tmp_path / "run", config(normalize_observations=True, eval_every=0))
    assert statistics(tmp_path / "run")["count"] == 50
    environments.happens = {}
    go_on(tmp_path / "run", config(normalize_observations=True, eval_every=0))
    assert statistics(tmp_path / "run")["count"] == 100


def test_a_loaded_agent_acts_with_the_saved_statistics(undisturbed):
    agent, _ = load_agent(undisturbed)
    saved = statistics(undisturbed)
    mean, std = saved["mean"].numpy(), np.sqrt(saved["m2"].numpy() / 100 + 1e-8)
    np.testing.assert_allclose(agent.normalizer.mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(agent.normalizer.inverse_std.numpy(), 1 / std, rtol=1e-6)
    agent.act(np.ones(2))
    assert agent.normalizer.state_dict()["count"] == 100


def test_statistics_that_do_not_fit_are_refused_by_name(undisturbed):
    state = tg.load(undisturbed / folder.MODEL)
    state["normalizer"]["m2"] = -state["normalizer"]["m2"].numpy()
    tg.save(undisturbed / folder.MODEL, state)
    with pytest.raises(UsageError, match=r"model.safetensors does not fit .* normalizer.m2 holds"):
        load_agent(undisturbed)
