import inspect
from dataclasses import fields
from typing import get_type_hints

import pytest

from ddpg import cli
from ddpg.cli.flags import flag, help_text, read_flags
from ddpg.config import DDPGConfig, TrainConfig
from ddpg.config.elsewhere import ELSEWHERE, REMARKS
from ddpg.errors import UsageError


@pytest.fixture
def refuse(capsys, tmp_path, monkeypatch):
    """Run what must be refused in one line before anything is written; gives the message."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        out, err = capsys.readouterr()
        assert end.value.code == 2
        assert out == ""
        assert err.startswith("error: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        assert list(tmp_path.iterdir()) == []
        return err.removeprefix("error: ").removesuffix("\n")

    return call


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10000", 10_000),
        ("10_000", 10_000),
        ("1e4", 10_000),
        ("1E4", 10_000),
        ("1.5e3", 1500),
        ("1e+2", 100),
        ("100000000000000000000000001", 100_000_000_000_000_000_000_000_001),
    ],
)
def test_integers_are_taken_as_people_write_them(text, value):
    given = read_flags(cli.Train, "ddpg train", ["--total-timesteps", text, "--hidden", text, "8"])
    assert given == {"total_timesteps": value, "hidden": [value, 8]}
    assert type(given["total_timesteps"]) is int


def test_arguments_of_the_environment_are_json_or_text():
    words = [
        "g=9.8",
        "max_episode_steps=50",
        "render_mode=rgb_array",
        "flag=True",
        "none=null",
        "a=b=c",
    ]
    given = read_flags(cli.Train, "ddpg train", ["--env-kwargs", *words])["env_kwargs"]
    assert given == {
        "g": 9.8,
        "max_episode_steps": 50,
        "render_mode": "rgb_array",
        "flag": True,
        "none": None,
        "a": "b=c",
    }
    assert type(given["max_episode_steps"]) is int


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["g"], "--env-kwargs must be NAME=VALUE, got 'g'"),
        (["=1"], "--env-kwargs must be NAME=VALUE, got '=1'"),
        (["g=1", "g=2"], "--env-kwargs names 'g' twice"),
        ([], "--env-kwargs needs one value or more"),
        (["g=NaN"], "--env-kwargs must be named values that JSON can hold, got {'g': nan}"),
        (["h=3"], "environment 'Pendulum-v1' cannot be made: TypeError: "),
    ],
)
def test_other_arguments_are_refused(refuse, words, said):
    assert refuse("train", "--env-kwargs", *words).startswith(said)


@pytest.mark.parametrize(
    "text", ["1.5", "abc", "", "1e-1", "nan", "inf", "1e999999999", "9" * 5000]
)
def test_what_is_no_integer_is_refused_at_once(refuse, text):
    message = refuse("train", "--total-timesteps", text)
    assert message.startswith("--total-timesteps must be an integer, got '")
    assert len(message) < 200


def test_the_largest_integers_end_in_a_message_not_in_a_traceback(refuse):
    assert refuse("train", "--seed", "1e19").startswith("--seed must be below 2**63, got 1000")
    assert refuse("train", "--hidden", "-5") == (
        "--hidden must be one or more positive integers, got [-5]"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "--gamma", "2"), "--gamma must be a number from 0 to 1, got 2.0"),
        (("train", "--gamma", "x"), "--gamma must be a number, got 'x'"),
        (("train", "--seed", "-1"), "--seed must be an integer of 0 or more, got -1"),
        (("train", "--hidden", "8", "x"), "--hidden must be an integer, got 'x'"),
        (("train", "--hidden"), "--hidden needs one value or more"),
        (("train", "--noise", "pink"), "--noise must be gaussian or ou, got 'pink'"),
        (("train", "--noise", "a\nb"), r"--noise must be gaussian or ou, got 'a\nb'"),
        (("train", "--config"), "--config needs a value"),
        (("train", "--run-dir", ""), "--run-dir must be a path, got ''"),
        (("train", "--run-dir", "a\0b"), r"--run-dir must be a path, got 'a\x00b'"),
        (("train", "stray"), "'stray' is one word too many"),
        (("train", "--resume", "nowhere"), "there is no run folder"),
        (("train", "--env-id", ""), "--env-id must be the id of a gymnasium environment, got ''"),
        (("train", "--env-id", "\0"), r"unknown environment '\x00'"),
        (("evaluate",), "RUN_DIR is missing"),
        (("evaluate", "a", "b"), "'b' is one word too many"),
        (("evaluate", "a\0b"), r"RUN_DIR must be a path, got 'a\x00b'"),
        (("evaluate", "a", "--json=1"), "--json ignored explicit argument '1'"),
        (("trian",), "there is no command 'trian'; did you mean train?"),
        (("\x1b[31m",), r"there is no command '\x1b[31m'; there are train, evaluate, "),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_flag(refuse, arguments, message):
    assert refuse(*arguments).startswith(message)


@pytest.mark.parametrize("flag", ["--run-dir", "--config", "--resume"])
def test_a_path_that_no_system_takes_is_refused(refuse, flag):
    assert refuse("train", flag, "x" * 300).startswith(f"{flag} 'xxx")


def test_a_name_as_long_as_a_book_is_shortened(refuse):
    assert len(refuse("train", "--env-id", "x" * 100_000)) < 200
    assert len(refuse("train", "--" + "x" * 100_000)) < 1100


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--learning-rate", "did you mean --actor-lr or --critic-lr?"),
        ("--learning_rate", "did you mean --actor-lr or --critic-lr?"),
        ("--learning-starts", "did you mean --warmup-steps?"),
        ("--learning-starts=1000", "did you mean --warmup-steps?"),
        ("--n-timesteps", "did you mean --total-timesteps?"),
        ("-n", "did you mean --total-timesteps?"),
        ("--env", "did you mean --env-id?"),
        ("--polyak", "did you mean --tau? tau is 1 - polyak"),
        ("--n-envs", "did you mean --num-envs?"),
        ("--device", "everything runs on the CPU"),
        ("--gama", "did you mean --gamma?"),
        ("--batch_size", "did you mean --batch-size?"),
        ("--frobnicate", "ddpg train --help lists those that there are"),
    ],
)
def test_an_unknown_flag_is_answered_with_the_one_that_is_meant(refuse, flag, message):
    word = flag.partition("=")[0]
    assert refuse("train", flag, "1e-3") == f"there is no flag {word}; {message}"


def test_advice_is_only_of_flags_that_the_command_has(refuse):
    assert refuse("evaluate", "r", "--n-eval-episodes", "3").endswith("did you mean --episodes?")
    assert refuse("evaluate", "r", "--lr", "3").endswith("--help lists those that there are")


def test_names_elsewhere_stand_for_flags_and_are_none_themselves():
    train = {f.name for c in (cli.Train, TrainConfig, DDPGConfig) for f in fields(c)}
    known = train | {f.name for f in fields(cli.Evaluate)}
    assert {ours for several in ELSEWHERE.values() for ours in several.split()} <= known
    assert not (set(ELSEWHERE) | set(REMARKS)) & train


@pytest.mark.parametrize("command", cli.COMMANDS.values())
def test_every_flag_has_a_kind_that_is_read_and_a_line_of_help(command):
    text = help_text(command, "ddpg x")
    for field in fields(command):
        if get_type_hints(command)[field.name] is not TrainConfig:
            assert flag(field.name) in text or field.name.upper() in text
            after = inspect.getsource(command).split(f"    {field.name}: ")[1].split("\n")[1]
            assert after.strip().startswith('"""'), field.name


def test_help_breaks_no_flag_in_two():
    """Into `--total-` at the end of one line and `timesteps` in the next."""
    for name, command in cli.COMMANDS.items():
        lines = help_text(command, f"ddpg {name}").splitlines()
        assert not [line for line in lines if line.endswith("-")]


def test_python_sees_the_same_error_as_the_command_line():
    with pytest.raises(UsageError, match="there is no flag --lr"):
        read_flags(cli.Train, "ddpg train", ["--lr", "1"])
