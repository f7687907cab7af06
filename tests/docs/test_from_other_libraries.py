"""The tables of docs/from-other-libraries.md: what they say to type here is typed here."""

import re
import shlex
import types
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import ddpg
import tinygrad_rl as tg
from ddpg import TrainConfig, cli
from ddpg.cli.flags import flag, read_flags
from ddpg.config import changed, config_to_dict, hint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/from-other-libraries.md").read_text("utf-8")
SHORT = {"total_timesteps": 60, "eval_every": 30, "eval_episodes": 1, "compile": False}


def rows(title):
    """(there, here) as lists of what stands in code."""
    table = PAGE.partition(f"## {title}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()]
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


# -- PyTorch and JAX -------------------------------------------------------------------------------

TYPED = re.compile(r"[(=.]")


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the tables take for granted."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    net, target, qf = (tg.nn.Linear(3, 1, rng=rng) for _ in range(3))
    x = tg.Tensor([[1.0, 2.0, 4.0], [3.0, 5.0, 9.0]], requires_grad=True)
    w = tg.Tensor(rng.normal(size=(2, 3)), requires_grad=True)
    given = {"tg": tg, "np": np, "rng": rng, "net": net, "target": target, "qf": qf}
    given |= {"x": x, "w": w, "v": tg.ones_like(x), "a": w.numpy(), "mask": x > 2, "inputs": [w]}
    given |= {"f": lambda x: tg.square(x).sum(), "step": tg.jit(lambda x: x * 2)}
    given["optimizer"] = tg.optim.Adam(net)
    given["step"](x)
    return given


@pytest.mark.parametrize("title", ["From PyTorch", "From JAX"])
def test_what_to_type_here_runs(names, title):
    table = rows(title)
    assert len(table) >= 15
    for _, here in table:
        names["loss"] = (names["net"](names["x"]) * names["w"]).sum()
        names["loss"].backward(retain_graph=True)
        for span in here:
            if TYPED.search(span):
                exec(span, names)


def test_what_is_the_same_is_the_same(names):
    """The one row of PyTorch's table that says no more than that."""
    (row,) = [
        there for there, here in rows("From PyTorch") if not here and "optimizer" in str(there)
    ]
    names["loss"] = names["net"](names["x"]).sum()
    before = names["net"].weight.tolist()
    for span in row:
        exec(span, names)
    assert names["net"].weight.tolist() != before


def silent_there():
    """The situations of the second table under "From PyTorch", in its order."""
    table = PAGE.partition("would be silent:\n")[2].partition("\n## ")[0]
    return [line.strip("| ").split(" | ")[0] for line in table.splitlines() if line[:1] == "|"][2:]


def stale_gradient(net, x):
    net(x).sum().backward()
    net.requires_grad_(False)
    before = net.weight.tolist()
    tg.optim.SGD(net, lr=1.0, weight_decay=0.1).step()
    assert net.weight.tolist() == before


def loss_without_history(net, x):
    for forced in (False, True):
        loss = net(x.detach()).detach().sum()
        with pytest.raises(RuntimeError, match="detached"):
            loss.requires_grad_(forced).backward()


def frozen_between(net, x):
    loss = net(x).sum()
    with tg.frozen(net), pytest.warns(match="frozen between forward and backward"):
        loss.backward()


def misspelt_flag(net, x):
    with pytest.raises(AttributeError, match="requires_grad"):
        net.weight.required_grad = False


def operand_changed(net, x):
    scale = np.array([1.0, 2.0, 3.0])
    loss = (x * scale).sum()
    scale[:] = 9.0
    assert tg.grad(loss, [x])[0].tolist() == [[1.0, 2.0, 3.0]] * 2


def hook_that_writes(net, x):
    a, b = tg.ones(1).requires_grad_(), tg.ones(1).requires_grad_()
    a.register_hook(lambda g: g.mul_(10))
    (a + b).backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([10.0], [1.0])


def shapes_differ(net, x):
    with pytest.raises(ValueError, match="differ in shape"):
        tg.mse_loss(tg.zeros(4, 1), tg.zeros(4))


def no_data(net, x):
    with pytest.raises(AttributeError, match="data"):
        print(net.weight.data)


SITUATIONS = {
    "frozen parameter with an old": stale_gradient,
    "a loss without history": loss_without_history,
    "freeze between": frozen_between,
    "required_grad": misspelt_flag,
    "NumPy operand": operand_changed,
    "a hook sees": hook_that_writes,
    "mse_loss": shapes_differ,
    ".data": no_data,
}


@pytest.mark.parametrize("words", SITUATIONS)
def test_what_is_silent_there_is_not_here(names, words):
    assert any(words in situation for situation in silent_there())
    SITUATIONS[words](names["net"], names["x"])


def test_each_situation_is_tried():
    assert len(silent_there()) == len(SITUATIONS)
