"""A run whose observations have parts: it goes on, and a part that is gone loses nothing."""

import pytest
from gymnasium.spaces import Dict, Discrete

import tinygrad_rl as tg
from ddpg import cli
from ddpg.errors import TrainingError
from ddpg.run.disk import folder
from ddpg.run.disk.checkpoint import load_agent
from tests.ddpg.run import environments
from tests.ddpg.run.runs import (
    assert_same_run,
    begin,
    config,
    files_of,
    go_on,
    killed,
    place_of,
)

SETTINGS = config("Parts", normalize_observations=True)


pytestmark = pytest.mark.usefixtures("no_drawing", "happens")


@pytest.fixture(autouse=True)
def nothing_is_lost(monkeypatch):
    monkeypatch.setattr(environments.Parts, "lost", ())


@pytest.mark.parametrize(("num_envs", "at"), [(1, 50), (1, 93), (2, 92)])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, num_envs, at):
    settings = config("Parts", normalize_observations=True, num_envs=num_envs)
    begin(tmp_path / "undisturbed", settings)
    killed(tmp_path / "run", settings, at)
    go_on(tmp_path / "run", settings)
    assert_same_run(tmp_path / "run", tmp_path / "undisturbed")
    assert tg.load(tmp_path / "run" / folder.MODEL)["normalizer"]["count"] == 100


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


def test_an_environment_that_has_changed_is_refused_by_all_who_step_it(
    tmp_path, monkeypatch, capsys
):
    begin(tmp_path, SETTINGS)
    before = files_of(tmp_path)
    now = Dict({"x": environments.Parts.observation_space["x"], "left": Discrete(2)})
    monkeypatch.setattr(environments.Parts, "observation_space", now)
    for command in ("evaluate", "train --resume"):
        with pytest.raises(SystemExit) as end:
            cli.main([*command.split(), str(tmp_path)])
        assert end.value.code == 2
        said = capsys.readouterr().err
        assert (
            f"is not that of {tmp_path}: observation 'right' was Discrete(2, start=1), and" in said
        )
        assert said.count("\n") == 1
    assert files_of(tmp_path) == before


def test_a_loaded_agent_takes_what_the_environment_gives(tmp_path):
    begin(tmp_path, SETTINGS)
    agent, _ = load_agent(tmp_path)
    assert (tmp_path / folder.MODEL).exists()
    obs = {"x": [0.5, -1.0], "right": 2}
    assert agent.flatten(obs).tolist() == [0.0, 1.0, 0.5, -1.0]
    assert (agent.act(obs) == agent.act(agent.flatten(obs))).all()
