"""The two tables of docs/from-other-libraries.md: what they say to type here is typed here."""

import re
import shlex
import types
from functools import partial
from pathlib import Path

import gymnasium
import pytest

import ddpg
from ddpg import TrainConfig, cli
from ddpg.cli.flags import flag, read_flags
from ddpg.config import changed, config_to_dict, hint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/from-other-libraries.md").read_text("utf-8")
SHORT = {"total_timesteps": 60, "eval_every": 30, "eval_episodes": 1, "compile": False}


def rows(title):
    """(there, here) as lists of what stands in code."""
    table = PAGE.partition(f"## {title}")[2].partition("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if line[:1] == "|"]
    return [tuple(re.findall(r"`([^`]+)`", cell) for cell in row) for row in cells[2:]]


SB3, CLEANRL = rows("From Stable-Baselines3"), rows("From CleanRL")
HERE = [span for _, here in (*SB3, *CLEANRL) for span in here]
SETTING = re.compile(r"\w+=[^=]")
KINDS = {
    "a command": [s for s in HERE if s.startswith(("ddpg train", "ddpg evaluate", "--"))],
    "a call": [s for s in HERE if re.match(r"(run = )?(ddpg|agent)\.[\w.]+\(", s)],
    "settings": [s for s in HERE if SETTING.match(s)],
    "a file": [s for s in HERE if s.endswith(".py")],
}
REST = [
    '"ou"',
    "(action, None)",
    "evaluate_policy(agent, env)",
    "for step in learn(agent, env, ...)",
]
"""Parts of what stands beside them; the last two are run in tests of their own."""


def test_each_table_has_ten_rows_and_everything_in_them_is_tried_below():
    assert len(SB3) >= 10 and len(CLEANRL) >= 10
    tried = {span for spans in KINDS.values() for span in spans}
    assert tried | {*REST} == {*HERE}


@pytest.mark.parametrize("span", KINDS["a command"])
def test_commands_are_understood(span):
    words = shlex.split(span if span.startswith("ddpg") else f"ddpg train {span}")
    command = cli.COMMANDS[words[1]]
    assert command.from_flags(read_flags(command, "ddpg", words[2:]))


@pytest.mark.parametrize("span", KINDS["settings"])
def test_settings_exist_and_take_these_values(span):
    settings = eval(f"dict({span})")
    config = config_to_dict(changed(TrainConfig(), settings))
    assert settings == {
        k: tuple(v) if k == "hidden" else v for k, v in config.items() if k in settings
    }


@pytest.mark.parametrize("span", KINDS["a file"])
def test_files_are_there(span):
    assert (ROOT / span).is_file()


@pytest.mark.filterwarnings("ignore:.*did not end within")
@pytest.mark.parametrize("span", KINDS["a call"])
def test_calls_do_what_they_say(tmp_path, monkeypatch, span):
    """In shorter runs."""
    monkeypatch.chdir(tmp_path)
    shorter = partial(ddpg.train, **SHORT, progress=False)
    here = types.SimpleNamespace(
        train=shorter, resume=partial(ddpg.resume, progress=False), load=ddpg.load, run=ddpg.run
    )
    names = {"ddpg": here, "env": gymnasium.make("Pendulum-v1")}
    names["agent"] = shorter("Pendulum-v1", run_dir="runs/p1").agent
    names["obs"], _ = names["env"].reset(seed=0)
    exec(re.sub(r"total_timesteps=[\d_]+", "total_timesteps=90", span), names)


FLAGS = [
    (there, here)
    for there, here in CLEANRL
    if all(span.startswith("--") for span in (*there, *here)) and there and here
]


@pytest.mark.parametrize(("there", "here"), FLAGS)
def test_their_flags_are_answered_with_ours(there, here):
    known = [*config_to_dict(TrainConfig()), "video_every_eval"]
    theirs = re.findall(r"--[\w-]+", " ".join(there))
    ours = {*re.findall(r"--[\w-]+", " ".join(here))} - {"--every-eval"}
    assert len(FLAGS) >= 6
    answers = " ".join(hint(name, known, flag) for name in theirs)
    assert ours <= {*re.findall(r"--[\w-]+", answers)}, answers
