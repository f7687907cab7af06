import signal
from types import SimpleNamespace

import pytest

from ddpg import cli
from ddpg.config import DDPGConfig, TrainConfig, config_from_dict, config_text, config_to_dict
from ddpg.errors import TrainingError

SAVED = TrainConfig(total_timesteps=100, seed=3, ddpg=DDPGConfig(hidden=(8, 8), gamma=0.9))


@pytest.fixture
def run_dir(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(config_text(SAVED))
    return folder


@pytest.fixture
def resume(monkeypatch, capsys):
    """Run `ddpg train --resume ...`: status, output, error output, and what was to be resumed."""
    log = SimpleNamespace(steps=100, evaluations=[], stopped_by=None)
    calls = []

    def call(*arguments, stopped_by=None, fails=None):
        def pretend(run_dir, config, copy_to, **_):
            calls.append((run_dir, config, copy_to))
            if fails is not None:
                raise fails
            log.stopped_by = stopped_by
            return log

        monkeypatch.setattr("ddpg.run.runs.resume", pretend)
        with pytest.raises(SystemExit) as end:
            cli.main(["train", "--resume", *map(str, arguments)])
        return end.value.code, *capsys.readouterr(), calls

    return call


def with_settings(**changes):
    return config_from_dict({**config_to_dict(SAVED), **changes})


def test_a_run_goes_on_with_its_own_settings(resume, run_dir):
    status, out, err, calls = resume(run_dir)
    assert (status, err) == (0, "")
    assert out == f"{run_dir}: finished 100 steps\n"
    assert calls == [(run_dir, SAVED, None)]


def test_it_can_be_prolonged_and_copied(resume, run_dir, tmp_path):
    changes = "--total-timesteps", "1e4", "--threads", 2, "--checkpoint-every", 50
    copy = tmp_path / "copy"
    status, out, _, calls = resume(run_dir, *changes, "--run-dir", copy)
    assert status == 0
    assert out.startswith(f"{copy}: finished")
    expected = with_settings(total_timesteps=10_000, threads=2, checkpoint_every=50)
    assert calls == [(run_dir, expected, copy)]


def test_settings_that_are_its_own_may_be_repeated(resume, run_dir):
    status, _, _, calls = resume(run_dir, "--gamma", "0.9", "--hidden", 8, 8, "--seed", 3)
    assert (status, calls[0][1]) == (0, SAVED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--gamma", "0.5"),
            "--gamma is 0.9 there, and only --total-timesteps, --threads, --vector",
        ),
        (("--hidden", "8"), "--hidden is [8, 8] there"),
        (("--no-compile",), "--compile is True there"),
        (("--config", "x"), "--resume takes the run's own settings: leave out --config"),
        (("--total-timesteps", "0"), "--total-timesteps must be an integer of 1 or more, got 0"),
    ],
)
def test_what_would_make_it_another_run_is_refused(resume, run_dir, arguments, message):
    status, out, err, calls = resume(run_dir, *arguments)
    assert (status, out, calls, err.count("\n")) == (2, "", [], 1)
    assert message in err


@pytest.mark.parametrize(("old", "new"), [("0.9", "0.8"), ('"checksum"', '"checksun"')])
def test_settings_that_were_damaged_are_not_gone_on_with(resume, run_dir, old, new):
    path = run_dir / "config.json"
    path.write_text(path.read_text().replace(old, new))
    status, _, err, calls = resume(run_dir)
    assert (status, calls) == (2, [])
    assert err.startswith(f"error: {path}: its ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_in_the_status_and_the_way_to_go_on_is_said(resume, run_dir, number):
    status, out, _, _ = resume(run_dir, stopped_by=number)
    assert status == 128 + number
    assert out == f"{run_dir}: stopped after 100 steps; to go on: ddpg train --resume {run_dir}\n"


def test_a_run_that_fails_again_fails_in_one_line(resume, run_dir):
    status, _, err, _ = resume(run_dir, fails=TrainingError("step 3: the reward is nan"))
    assert status == 1
    assert err == f"error: step 3: the reward is nan; {run_dir} keeps the run up to there\n"


def test_a_run_on_disk_goes_on_in_place_and_as_a_copy(tmp_path, capsys):
    """The command, without stand-ins: prolonged, both equal a run that was as long at once."""
    small = ("--hidden", "8", "--batch-size", "8", "--no-compile", "--eval-episodes", "1")
    runs = {name: tmp_path / name for name in ("long", "short", "copy")}
    every = ("--warmup-steps", "100", "--eval-every", "100")
    commands = (
        ("--run-dir", runs["long"], "--total-timesteps", "260", *small, *every),
        ("--run-dir", runs["short"], "--total-timesteps", "130", *small, *every),
        ("--resume", runs["short"], "--total-timesteps", "260", "--run-dir", runs["copy"]),
        ("--resume", runs["short"], "--total-timesteps", "260"),
    )
    for command in commands:
        with pytest.raises(SystemExit) as end:
            cli.main(["train", *map(str, command)])
        assert end.value.code == 0, capsys.readouterr().err
        assert "finished" in capsys.readouterr().out
    for name in ("config.json", "metrics.csv", "evaluations.csv", "model.safetensors"):
        expected = (runs["long"] / name).read_bytes()
        assert (runs["copy"] / name).read_bytes() == expected, name
        assert (runs["short"] / name).read_bytes() == expected, name


def test_the_best_model_is_asked_for_by_its_name(monkeypatch, capsys):
    def load(run_dir, best=False):
        raise cli.UsageError(f"{run_dir.name} {best}")

    monkeypatch.setattr("ddpg.run.disk.checkpoint.load_agent", load)
    for arguments, message in ((("r",), "r False"), (("r", "--best"), "r True")):
        with pytest.raises(SystemExit):
            cli.main(["evaluate", *arguments])
        assert capsys.readouterr().err == f"error: {message}\n"
