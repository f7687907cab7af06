import json
import re
from pathlib import Path

import gymnasium
import pytest

import ddpg
from ddpg import cli
from ddpg.config import (
    ALGORITHMS,
    PRESETS,
    TrainConfig,
    changed,
    config_to_dict,
    preset_for,
)
from ddpg.errors import UsageError

CONTINUOUS = {
    *("Pendulum-v1", "MountainCarContinuous-v0"),
    *("LunarLanderContinuous-v3", "BipedalWalker-v3", "BipedalWalkerHardcore-v3"),
}
SHORT = {
    "hidden": (8,),
    "batch_size": 8,
    "total_timesteps": 60,
    "warmup_steps": 50,
    "eval_every": 0,
    "compile": False,
}
FLAGS = [
    *("--hidden", "8", "--batch-size", "8", "--total-timesteps", "60", "--warmup-steps", "50"),
    *("--eval-every", "0", "--no-compile"),
]
CAR = "MountainCarContinuous-v0"


@pytest.fixture(autouse=True)
def apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def train(capsys):
    """`ddpg train` of a short run: its settings, and what was said before it began."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["train", *arguments, *FLAGS, "--run-dir", "run"])
        err = capsys.readouterr().err
        if end.value.code:
            return None, err
        return json.loads(Path("run/config.json").read_text()), err

    return call


def test_every_continuous_task_that_gymnasium_has_has_a_row():
    mujoco = {
        name
        for name, spec in gymnasium.registry.items()
        if "mujoco" in str(spec.entry_point) and name.endswith("-v5")
    }
    assert set(PRESETS) == mujoco | CONTINUOUS
    assert len(mujoco) == 11
    for name in PRESETS:
        assert name in gymnasium.registry


@pytest.mark.parametrize("row", PRESETS.values(), ids=PRESETS)
def test_a_row_is_a_configuration_with_a_source_and_a_budget(row):
    config = changed(TrainConfig(), row.settings)
    assert row.source
    assert config.env_id == TrainConfig.env_id  # rows choose no environment, and no seed
    assert {"seed", "threads", "env_kwargs", "compile"}.isdisjoint(row.settings)
    assert config.total_timesteps % config.eval_every == 0
    assert config.total_timesteps // config.eval_every <= 400
    assert config.ddpg.warmup_steps < config.total_timesteps


def test_rows_by_id_and_by_other_ids():
    assert preset_for("Hopper-v5") is preset_for("Hopper-v4") is PRESETS["Hopper-v5"]
    assert preset_for("LunarLander-v3") is PRESETS["LunarLanderContinuous-v3"]
    assert preset_for("MyHopper-v0", "Hopper-v4") is PRESETS["Hopper-v5"]
    assert preset_for("MyHopper-v0") is preset_for("Hopper-v5", "none") is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hoper-v5", "did you mean Hopper-v5"),
        ("Pendulum", "did you mean Pendulum-v1"),
        ("non", "did you mean none?"),
        ("", "there are Pendulum-v1, MountainCarContinuous-v0, "),
    ],
)
def test_what_is_no_preset_is_answered_with_one(train, tmp_path, name, said):
    settings, err = train("--preset", name)
    assert settings is None
    assert err.startswith(f"error: --preset must be none or an id with a preset, got {name!r}; ")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"^preset must be none or"):
        ddpg.train("Pendulum-v1", preset=name)


def test_defaults_then_the_preset_then_the_algorithm_then_flags(train, tmp_path):
    row = PRESETS[CAR].settings
    settings, err = train("--env-id", CAR, "--algorithm", "ddpg", "--noise-std", "0.7")
    assert settings.pop("checksum")
    expected = config_to_dict(TrainConfig(env_id=CAR)) | dict(row) | ALGORITHMS["ddpg"]
    expected |= SHORT | {"hidden": [8], "noise_std": 0.7}
    assert settings == expected
    assert err == "preset MountainCarContinuous-v0 (measured here): noise ou\n"


def test_what_a_preset_replaced_is_said_once_in_one_line(train):
    _, err = train("--env-id", "Pendulum-v1", "--preset", "Hopper-v5", "--gamma", "0.95")
    assert err == (
        "preset Hopper-v5 (rl-baselines3-zoo, TD3): algorithm td3, tau 0.005, critic_lr 0.001\n"
    )
    words = PRESETS["Humanoid-v5"].in_words(changed(TrainConfig(), PRESETS["Humanoid-v5"].settings))
    assert "hidden 400 300" in words
    assert "total_timesteps 2_000_000" in words
    assert "gamma" not in words  # it is the default


def test_none_takes_the_defaults_and_says_nothing(train):
    settings, err = train("--env-id", CAR, "--preset", "none")
    assert (settings["noise"], settings["critics"], err) == ("gaussian", 1, "")


def test_an_environment_without_a_row_takes_the_defaults_and_says_nothing(train):
    settings, err = train("--env-id", "tests.ddpg.run.environments:Small-v0")
    assert (settings["critics"], err) == (1, "")


def test_a_file_and_a_run_have_every_setting(train, tmp_path):
    settings, _ = train("--env-id", CAR, "--preset", "none")
    (tmp_path / "run").rename(tmp_path / "first")
    again, err = train("--config", "first")
    assert (again, err) == (settings, "")
    for flag, why in (
        ("--config", "--config has every setting"),
        ("--resume", "--resume takes the run's own settings"),
    ):
        _, err = train(flag, "first", "--preset", CAR)
        assert err == f"error: {why}: leave out --preset\n"


def test_a_run_goes_on_without_a_preset(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--env-id", CAR, *FLAGS, "--run-dir", "run"])
    before = (tmp_path / "run/config.json").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--resume", "run", "--total-timesteps", "70"])
    assert (end.value.code, capsys.readouterr().err) == (0, "")
    after = json.loads((tmp_path / "run/config.json").read_text())
    assert after | {"total_timesteps": 60, "checksum": 0} == json.loads(before) | {"checksum": 0}


def test_python_takes_the_same_presets(capsys):
    def settings_of(*arguments, **settings):
        run = ddpg.train(*arguments, **SHORT | settings, run_dir=f"runs/{len(seen)}")
        seen.append(json.loads((run.run_dir / "config.json").read_text()))
        return seen[-1], capsys.readouterr().err

    seen = []
    row, said = settings_of(CAR, noise_std=0.7)
    assert (row["noise"], row["critics"], row["noise_std"]) == ("ou", 2, 0.7)
    assert re.fullmatch("preset MountainCarContinuous-v0 .*: .*noise ou.*\n", said)
    assert settings_of(CAR, preset="none")[0]["noise"] == "gaussian"
    assert settings_of(CAR, config=TrainConfig())[0]["noise"] == "gaussian"
    assert settings_of(preset=CAR, progress=False) == (row | changes(seen[-1]), "")
    made = gymnasium.make(CAR)
    assert settings_of(made)[0]["noise"] == "gaussian"  # it may be any environment by now
    assert settings_of(made, preset=CAR)[0]["noise"] == "ou"
    with pytest.raises(UsageError, match="config has every setting: leave out preset"):
        ddpg.train(CAR, config=TrainConfig(), preset="none")


def changes(found):
    return {name: found[name] for name in ("env_id", "noise_std", "checksum")}
