"""A run whose observations have parts: it goes on, and a part that is gone loses nothing."""

import pytest

from ddpg.errors import TrainingError
from ddpg.run import folder
from ddpg.run.checkpoint import load_agent
from tests.ddpg.run import environments
from tests.ddpg.run.runs import (
    assert_same_run,
    begin,
    config,
    go_on,
    killed,
    place_of,
    without_drawing,
)

SETTINGS = config("Parts", normalize_observations=True)


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    monkeypatch.setattr(environments, "steps", 0)
    monkeypatch.setattr(environments, "happens", {})
    monkeypatch.setattr(environments.Parts, "lost", ())
    with without_drawing():
        yield


@pytest.mark.parametrize("at", [50, 93])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, at):
    begin(tmp_path / "undisturbed", SETTINGS)
    killed(tmp_path / "run", SETTINGS, at)
    go_on(tmp_path / "run", SETTINGS)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def lose():
    environments.Parts.lost = ("right",)


def test_a_part_that_is_gone_ends_the_run_by_name_and_loses_nothing(tmp_path):
    settings = config("Parts", eval_every=0)
    environments.happens = {50: lose}
    with pytest.raises(
        TrainingError, match=r"^step 50: the environment's observation lacks 'right'"
    ):
        begin(tmp_path / "run", settings)
    assert place_of(tmp_path / "run")["step"] == 49
    with pytest.raises(TrainingError, match="observation lacks 'right'"):  # it is still gone
        go_on(tmp_path / "run", settings)
    environments.happens, environments.Parts.lost = {}, ()
    go_on(tmp_path / "run", settings)
    begin(tmp_path / "undisturbed", settings)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")


def test_a_loaded_agent_takes_what_the_environment_gives(tmp_path):
    begin(tmp_path, SETTINGS)
    agent, _ = load_agent(tmp_path)
    assert (tmp_path / folder.MODEL).exists()
    obs = {"x": [0.5, -1.0], "right": 2}
    assert agent.flatten(obs).tolist() == [0.0, 1.0, 0.5, -1.0]
    assert (agent.act(obs) == agent.act(agent.flatten(obs))).all()
