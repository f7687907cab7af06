import json
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

import ddpg
from ddpg import cli

SHORT = ["--hidden", "8", "8", "--warmup-steps", "50", "--eval-every", "0", "--no-compile"]


@pytest.fixture
def run(capsys):
    """Run a command in this process: its status, standard output, standard error."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


@pytest.fixture
def run_dir(run, tmp_path):
    status, _, _ = run("train", "--total-timesteps", 100, "--run-dir", tmp_path / "run", *SHORT)
    assert status == 0
    return tmp_path / "run"


def test_train_writes_a_run_and_evaluate_reads_it(run, run_dir):
    status, out, err = run("evaluate", run_dir, "--episodes", 3, "--seed", 7, "--json")
    assert status == 0
    assert err == ""
    result = json.loads(out)
    assert list(result) == ["env_id", "episodes", "mean_return", "std_return", "returns"]
    assert (result["env_id"], result["episodes"]) == ("Pendulum-v1", 3)
    assert len(result["returns"]) == 3
    assert result["mean_return"] == pytest.approx(np.mean(result["returns"]))
    assert run("evaluate", run_dir, "--episodes", 3, "--seed", 7, "--json")[1] == out
    assert run("evaluate", run_dir, "--episodes", 3, "--seed", 8, "--json")[1] != out


def test_evaluate_without_json_is_one_line(run, run_dir):
    status, out, _ = run("evaluate", run_dir, "--episodes", 2)
    assert status == 0
    assert out.startswith("Pendulum-v1: return -")
    assert out.count("\n") == 1


def test_saved_configuration_is_taken_and_flags_win(run, run_dir, tmp_path):
    arguments = ("--config", run_dir / "config.json", "--gamma", "0.5", "--run-dir", tmp_path / "b")
    assert run("train", *arguments)[0] == 0
    first = json.loads((run_dir / "config.json").read_text())
    second = json.loads((tmp_path / "b" / "config.json").read_text())
    assert second == {**first, "gamma": 0.5}


def test_run_folder_without_a_name_is_called_after_the_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, _ = run("train", "--total-timesteps", 20, "--seed", 5, *SHORT)
    assert status == 0
    assert "runs/Pendulum-v1-seed5: finished 20 steps" in out
    assert (tmp_path / "runs" / "Pendulum-v1-seed5" / "config.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--env-id", "Pendulm-v1"), "unknown environment 'Pendulm-v1'; did you mean Pe"),
        (("train", "--env-id", "CartPole-v1"), "finite bounds, found Discrete(2)"),
        (("train", "--config", "nowhere.json"), "nowhere.json does not exist"),
        (("evaluate", "nowhere"), "there is no run folder nowhere"),
        (("evaluate", "nowhere", "--episodes", "0"), "--episodes must be 1 or more, got 0"),
        (("evaluate", "nowhere", "--seed", "-3"), "--seed must be 0 or more, got -3"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_run_is_refused(run, run_dir):
    status, _, err = run("train", "--run-dir", run_dir)
    assert status == 2
    assert "already holds a run" in err


def test_a_failed_run_says_where_it_is_kept(run, tmp_path, monkeypatch):
    def diverge(metrics, step):
        raise cli.TrainingError(f"step {step}: diverged")

    monkeypatch.setattr("ddpg.learn._check_finite", diverge)
    status, _, err = run("train", "--run-dir", tmp_path / "run", *SHORT)
    assert status == 1
    assert err == f"error: step 51: diverged; {tmp_path / 'run'} keeps the run up to there\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--gamma", "2"), "gamma must be a number from 0 to 1, got 2.0"),
        (("train", "--total-timesteps", "0"), "total_timesteps must be an integer of 1 or more"),
        (("train", "--hidden", "8", "x"), "--hidden"),
        (("train", "--noise", "pink"), "'gaussian', 'ou'"),
        (("train", "--gama", "0.9"), "--gamma"),
        (("train", "--config"), "--config"),
        (("evaluate",), "Missing"),
        (("trian",), "Available subcommands: train, evaluate"),
    ],
)
def test_bad_flags_are_refused_with_advice(run, arguments, message):
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert message in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


def test_every_flag_of_the_issue_is_there(run):
    status, out, _ = run("train", "--help")
    assert status == 0
    flags = [
        "env-id",
        "total-timesteps",
        "seed",
        "run-dir",
        "config",
        "hidden",
        "batch-size",
        "gamma",
        "tau",
        "actor-lr",
        "critic-lr",
        "noise",
        "noise-std",
        "warmup-steps",
        "buffer-size",
        "eval-every",
        "eval-episodes",
        "threads",
        "updates-per-step",
    ]
    assert [flag for flag in flags if f"--{flag} " not in out] == []


def test_no_command_shows_help(run):
    status, out, _ = run()
    assert status == 0
    assert "ddpg train --env-id Pendulum-v1" in out
    assert "ddpg --version" in out


def test_version_is_that_of_the_installed_distribution(run):
    assert ddpg.__version__ == metadata.version("tinygrad-rl")
    assert run("--version") == (0, f"ddpg {ddpg.__version__}\n", "")
    assert {"DDPG", "DDPGConfig", "TrainConfig", "__version__"} == set(dir(ddpg))


def test_a_failed_run_and_an_interrupted_one_have_their_own_status(run, monkeypatch, tmp_path):
    def fail(error):
        def run_it(self):
            raise error

        return run_it

    monkeypatch.setattr(cli.Train, "run", fail(cli.TrainingError("step 3: the reward is nan")))
    assert run("train") == (1, "", "error: step 3: the reward is nan\n")
    monkeypatch.setattr(cli.Train, "run", fail(KeyboardInterrupt()))
    assert run("train")[0] == 130


def test_bugs_keep_their_traceback(monkeypatch):
    def run_it(self):
        raise ZeroDivisionError

    monkeypatch.setattr(cli.Train, "run", run_it)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train"])


def test_help_does_not_load_the_engine():
    program = (
        "import sys\n"
        "from ddpg import cli\n"
        "try: cli.main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(m in sys.modules for m in ('numba', 'gymnasium', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_module_and_command_are_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "ddpg", "evaluate", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: there is no run folder nowhere\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--steps", "1499"), "--steps must be 1500 or more, got 1499"),
        (("--seed", "-1"), "--seed must be 0 or more, got -1"),
        (("--threads", "0"), "--threads must be 1 or more, got 0"),
        (("--picture", "no/where.png"), "there is no folder no for the picture"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_at_once(run, arguments, message):
    assert run("compare", *arguments) == (2, "", f"error: {message}\n")


@pytest.mark.slow
def test_compare_prints_one_json_object_and_writes_the_picture(run, tmp_path):
    picture = tmp_path / "c.png"
    status, out, err = run("compare", "--steps", 1500, "--picture", picture, "--json")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert len(result["cases"]) == 8
    assert set(result["training"]["variants"]) == {"frozen", "blocked", "joint"}
    assert picture.read_bytes().startswith(b"\x89PNG")
