import errno
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import ddpg
from ddpg import cli
from ddpg.cli.train import run_name
from ddpg.config import ALGORITHMS, TrainConfig
from ddpg.run.evaluate import Evaluation
from ddpg.run.q_error import QError

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
    assert list(result) == [
        *("env_id", "episodes", "mean_return", "std_return", "returns"),
        *("q_bias", "q_spread", "q_rank", "q_tail", "dead_units"),
    ]
    assert (result["env_id"], result["episodes"]) == ("Pendulum-v1", 3)
    assert len(result["returns"]) == 3
    assert result["mean_return"] == pytest.approx(np.mean(result["returns"]))
    assert run("evaluate", run_dir, "--episodes", 3, "--seed", 7, "--json")[1] == out
    assert run("evaluate", run_dir, "--episodes", 3, "--seed", 8, "--json")[1] != out


def test_evaluate_without_json_is_said_in_words(run, run_dir):
    """Q was hardly trained: it says nearly 0 where more than -1000 follows."""
    status, out, _ = run("evaluate", run_dir, "--episodes", 2)
    assert status == 0
    returns, q, tail = out.splitlines()
    assert returns.startswith("Pendulum-v1: return -")
    assert re.fullmatch(r"Q along them: \d+ % too high, rank correlation -?0.\d\d, spread \d+ %", q)
    assert tail == "(episodes were cut off: 23 % of what followed is Q's own word for it)"


def test_what_is_not_finite_is_null_in_json(run, run_dir, monkeypatch):
    def evaluate_agent(*_, **__):
        return Evaluation(np.zeros(2), QError(np.inf, np.nan, np.nan, 0.0), 0.5)

    monkeypatch.setattr(ddpg.run.evaluate, "evaluate_agent", evaluate_agent)
    _, out, _ = run("evaluate", run_dir, "--episodes", 2, "--json")
    result = json.loads(out, parse_constant=pytest.fail)
    assert [result[name] for name in QError.__annotations__] == [None, None, None, 0.0]
    assert run("evaluate", run_dir, "--episodes", 2)[1].splitlines()[1:] == [
        "Q along them: not finite, spread nan %"
    ]


@pytest.mark.parametrize("name", ["config.json", "."])
def test_saved_configuration_is_taken_and_flags_win(run, run_dir, tmp_path, name):
    arguments = ("--config", run_dir / name, "--gamma", "0.5", "--run-dir", tmp_path / "b")
    assert run("train", *arguments)[0] == 0
    first = json.loads((run_dir / "config.json").read_text())
    second = json.loads((tmp_path / "b" / "config.json").read_text())
    assert first.pop("checksum") != second.pop("checksum")
    assert second == {**first, "gamma": 0.5}


def resolved(run, folder, *arguments):
    """The settings of a run that these flags begin."""
    short = ("--total-timesteps", 60, "--run-dir", folder, *SHORT)
    assert run("train", *arguments, *short)[0] == 0
    return json.loads((folder / "config.json").read_text())


def test_an_algorithm_is_a_set_of_settings_and_other_flags_win(run, tmp_path):
    td3 = resolved(run, tmp_path / "a", "--algorithm", "td3")
    assert ALGORITHMS["td3"].items() <= td3.items()
    assert "algorithm" not in td3
    for n, order in enumerate(
        (("--algorithm", "td3", "--critics", 3), ("--critics", 3, "--algorithm", "td3"))
    ):
        changed = resolved(run, tmp_path / f"b{n}", *order)
        assert changed | {"critics": 2, "checksum": td3["checksum"]} == td3
        assert changed["critics"] == 3
    # The settings of a file come first, then the set, then the flags.
    file = ("--config", tmp_path / "a", "--gamma", "0.5")
    assert ALGORITHMS["td3"].items() <= resolved(run, tmp_path / "c", *file).items()
    back = resolved(run, tmp_path / "d", *file, "--algorithm", "ddpg", "--actor-every", 4)
    assert (ALGORITHMS["ddpg"] | {"actor_every": 4, "gamma": 0.5}).items() <= back.items()


def test_a_run_goes_on_with_the_remedies_it_has(run, tmp_path):
    resolved(run, tmp_path / "a", "--algorithm", "td3")
    more = ("train", "--resume", tmp_path / "a", "--total-timesteps", 80)
    assert run(*more, "--algorithm", "td3")[0] == 0
    status, _, err = run(*more, "--algorithm", "ddpg")
    assert status == 2
    assert "--critics is 2 there" in err


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
        (("evaluate", "nowhere"), "there is no run folder /"),
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
    def diverge(metrics, where):
        raise cli.TrainingError(f"{where}diverged")

    monkeypatch.setattr("ddpg.learn._check_finite", diverge)
    status, _, err = run("train", "--run-dir", tmp_path / "run", *SHORT)
    assert status == 1
    said = f"error: step 51: diverged; {tmp_path / 'run'} keeps the run up to there"
    assert err.splitlines()[1:] == [said]  # after the preset


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
        "algorithm",
        "critics",
        "target-noise",
        "target-noise-clip",
        "actor-every",
        "n-step",
        "critic-layer-norm",
        "critic-weight-decay",
        "grad-clip",
    ]
    assert [flag for flag in flags if f"--{flag} " not in out] == []


def test_no_command_shows_help(run):
    status, out, _ = run()
    assert status == 0
    assert [name for name in cli.COMMANDS if f"  ddpg {name}" not in out] == []
    assert "ddpg --version" in out


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_fits_the_terminal_and_shows_nothing_of_the_program(run, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    status, out, _ = run(command, "--seed", "abc", "--help")
    assert status == 0
    assert max(map(len, out.splitlines())) <= width
    assert out.isascii()
    for internal in ("settings.", "None", "SUPPRESS", "==", "PosixPath", "dataclass", "%"):
        assert internal not in out


def test_version_is_that_of_the_installed_distribution(run):
    assert ddpg.__version__ == metadata.version("tinygrad-rl")
    assert run("--version") == (0, f"ddpg {ddpg.__version__}\n", "")
    public = {"DDPG", "DDPGConfig", "TrainConfig", "load", "resume"}
    public |= {"run_study", "train", "tune", "__version__"}
    assert public == set(dir(ddpg))


def test_a_failed_run_and_an_interrupted_one_have_their_own_status(run, monkeypatch, tmp_path):
    def fail(error):
        def run_it(self):
            raise error

        return run_it

    monkeypatch.setattr(cli.Train, "run", fail(cli.TrainingError("step 3: the reward is nan")))
    assert run("train") == (1, "", "error: step 3: the reward is nan\n")
    monkeypatch.setattr(cli.Train, "run", fail(KeyboardInterrupt()))
    assert run("train")[0] == 130


def test_a_full_disk_is_said_in_one_line_with_the_way_back(run, monkeypatch, tmp_path):
    def fill(config, run_dir, **_):
        run_dir.mkdir()
        (run_dir / "config.json").touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(run_dir / "metrics.csv"))

    monkeypatch.setattr("ddpg.run.runs.train", fill)
    run_dir = tmp_path / "my run"
    status, out, err = run("train", "--run-dir", run_dir)
    assert (status, out) == (1, "")
    assert err == (
        f"error: {run_dir}/metrics.csv: No space left on device; the run can go on from its last "
        f"checkpoint: ddpg train --resume '{run_dir}'\n"
    )


def test_nothing_is_promised_where_there_is_no_checkpoint(run, monkeypatch, tmp_path):
    def fill(config, run_dir, **_):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("ddpg.run.runs.train", fill)
    run_dir = tmp_path / "run"
    assert run("train", "--run-dir", run_dir)[2] == f"error: {run_dir}: Disk quota exceeded\n"


@pytest.mark.parametrize(
    ("env_id", "name"),
    [
        ("Pendulum-v1", "Pendulum-v1-seed0"),
        ("ALE/Pong-v5", "ALE-Pong-v5-seed0"),
        ("my.module:Env-v0", "my.module-Env-v0-seed0"),
        ("../../etc:Env-v0", "etc-Env-v0-seed0"),
        ("..", "run-seed0"),
        ("x" * 300, "x" * 100 + "-seed0"),
    ],
)
def test_a_run_has_a_name_that_is_one_folder(env_id, name):
    assert run_name(TrainConfig(env_id=env_id)) == name


def test_bugs_keep_their_traceback(monkeypatch):
    def run_it(self):
        raise ZeroDivisionError

    monkeypatch.setattr(cli.Train, "run", run_it)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train"])


def test_module_and_command_are_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "ddpg", "evaluate", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"error: there is no run folder {Path('nowhere').absolute()}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--steps", "1499"), "--steps must be 1500 or more, got 1499"),
        (("--seed", "-1"), "--seed must be 0 or more, got -1"),
        (("--threads", "0"), "--threads must be 1 or more, got 0"),
        (("--threads", "1e4"), "--threads 10000 is more than this machine's "),
        (("--picture", "no/where.png"), "there is no folder "),
        (("--picture", "."), "is a folder; --picture takes a file"),
        (("--picture", "a.svg"), "the picture is a PNG: call it a.png, not a.svg"),
        (("--picture", "/proc/a.png"), "nothing can be written in /proc: "),
        (("--report", "/proc/out"), "nothing can be written in /proc: "),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_at_once(
    run, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    status, out, err = run("compare", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_destinations_do_not_move_with_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    compare = cli.Compare.from_flags({})
    train = cli.Train.from_flags({"env_id": "ALE/Pong-v5", "seed": 3})
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert compare.picture == tmp_path / "compare.png"
    assert train.run_dir == tmp_path / "runs" / "ALE-Pong-v5-seed3"


@pytest.mark.slow
def test_compare_prints_one_json_object_and_writes_the_picture(run, tmp_path):
    picture = tmp_path / "c.png"
    status, out, err = run("compare", "--steps", 1500, "--picture", picture, "--json")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert len(result["cases"]) == 8
    assert set(result["training"]["variants"]) == {"frozen", "blocked", "joint"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_overview_fits_80_columns(run):
    _, out, _ = run("--help")
    assert max(map(len, out.splitlines())) <= 80
