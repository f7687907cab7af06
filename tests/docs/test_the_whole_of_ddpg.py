"""What the page quotes is the source, and each mistake that it names has the symptom it names."""

import ast
import importlib
import inspect
import re
import textwrap
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg import DDPGConfig, losses
from ddpg.config import ALGORITHMS
from tests.docs.pages import as_script, fenced_blocks

PAGE = (Path(__file__).parents[2] / "docs" / "the-whole-of-ddpg.md").read_text("utf-8")
PROGRAM = as_script(PAGE.partition("## 5.")[0])
QUOTES = [lines for info, _, lines in fenced_blocks(PAGE) if info == "python no-run"]
ROW = re.compile(r"^\|.*\| `([^`]+)` \| \[(\w+)\.py\]\(\.\./ddpg/\w+\.py\) `([\w.]+)` \|$", re.M)
"""A line of code, the module and the function that the page says it is in."""


def body(function) -> str:
    """The source of a function's body, without its docstring and its comments."""
    text = textwrap.dedent(inspect.getsource(function))
    statements = ast.parse(text).body[0].body
    assert ast.get_docstring(ast.parse(text).body[0])
    lines = text.splitlines()[statements[1].lineno - 1 :]
    return textwrap.dedent("\n".join(x for x in lines if not x.lstrip().startswith("#")))


def test_the_losses_are_those_of_the_source():
    names = [lines[0].removeprefix("# ") for lines in QUOTES]
    assert names == ["td_target", "critic_loss", "actor_loss"]
    for name, lines in zip(names, QUOTES, strict=True):
        # A comment may stand between the docstring and the first statement.
        assert "\n".join(lines[1:]) == body(getattr(losses, name))


def source(module: str, path: str) -> str:
    found = importlib.import_module(f"ddpg.{module}")
    for name in path.split("."):
        found = getattr(found, name)
    return " ".join(inspect.getsource(found).split())


@pytest.mark.parametrize(("code", "module", "path"), ROW.findall(PAGE))
def test_a_row_of_the_tables_shows_a_line_of_the_function_that_it_names(code, module, path):
    assert code in source(module, path)


def test_every_row_of_the_algorithm_and_of_the_remedies_is_looked_at():
    assert len(re.findall(r"\]\(\.\./ddpg/\w+\.py\) `", PAGE)) == len(ROW.findall(PAGE)) == 12 + 5


def test_remedies_are_settings_and_the_first_three_are_td3():
    section = PAGE.partition("## 6.")[2]
    named = re.findall(r"^\| `(\w+)=([\w.]+)` \|", section, re.M)
    assert {name for name, _ in named} <= {field.name for field in fields(DDPGConfig)}
    given = {name: ast.literal_eval(value) for name, value in named}
    DDPGConfig(**given)
    assert {name: given[name] for name in list(given)[:3]}.items() <= ALGORITHMS["td3"].items()


def learn(*changes: tuple[str, str]) -> dict:
    """Run the page's program with some of its lines changed, its own assertions left out."""
    program = re.sub(r"^assert .*$", "", PROGRAM, flags=re.M)
    for old, new in changes:
        assert old in program, f"the page has no {old!r}"
        program = program.replace(old, new)
    namespace = {}
    exec(compile(program, "the-whole-of-ddpg", "exec"), namespace)
    return namespace


def value_in_the_middle(agent: dict) -> float:
    obs = tg.zeros((1, 2), dtype=np.float32)
    return agent["q"](agent["critic"], obs, agent["mu"](agent["actor"], obs)).item()


def values(agent: dict) -> np.ndarray:
    obs, action = np.split(agent["replay"][:, :3], [2], axis=1)
    return agent["q"](agent["critic"], tg.Tensor(obs), tg.Tensor(action)).numpy()


def share_at_a_limit(agent: dict) -> float:
    action = agent["mu"](agent["actor"], tg.Tensor(agent["replay"][:, :2])).numpy()
    return (np.abs(action) > 0.99).mean()


UNCLEARED = (
    "    critic_optimizer.zero_grad()\n    critic_loss.backward()\n    critic_optimizer.step()",
    "    critic_loss.backward()\n    critic_optimizer.step()\n    critic_optimizer.zero_grad()",
)
UNFROZEN = ("    with tg.frozen(critic):\n        actor_loss", "    actor_loss")


@pytest.fixture(scope="module")
def right() -> dict:
    return learn()


def test_the_program_is_right(right):
    assert right["after"] > 40
    assert values(right).std() > 1
    assert share_at_a_limit(right) < 0.9


def test_a_time_limit_taken_for_terminal_leaves_q_with_the_rewards_up_to_it():
    short = ("LIMIT = 50", "LIMIT = 5")
    wrong = learn(short, ("*next_obs, terminated]", "*next_obs, terminated or truncated]"))
    assert value_in_the_middle(wrong) < 7
    assert value_in_the_middle(learn(short)) > 9


def test_broadcast_labels_make_q_the_same_everywhere():
    loss = "F.mse_loss(q(critic, obs, action), y)"
    wrong = learn((loss, "((q(critic, obs, action)[:, 0] - y) ** 2).mean()"))
    assert values(wrong).std() < 0.5
    assert wrong["after"] < 10


def test_a_target_of_the_critic_itself_that_is_not_stopped_keeps_q_low(right):
    stopped = "    with tg.no_grad():\n        next_q = q(target_critic, next_obs, "
    wrong = learn((stopped, "    if True:\n        next_q = q(critic, next_obs, "))
    assert values(wrong).mean() < values(right).mean() / 2


def test_a_target_of_the_copies_that_is_not_stopped_leaves_gradients_in_them(right):
    assert right["target_critic"][0].weight.grad is None
    unstopped = ("    with tg.no_grad():\n        next_q", "    if True:\n        next_q")
    wrong = learn(unstopped, ("= 1000, 200", "= 210, 200"))
    assert wrong["target_critic"][0].weight.grad is not None


def test_a_leaked_gradient_sends_all_actions_to_a_limit():
    wrong = learn(UNFROZEN, UNCLEARED)
    assert share_at_a_limit(wrong) > 0.95
    assert wrong["after"] < 10


@pytest.mark.parametrize("change", [UNFROZEN, UNCLEARED])
def test_either_remedy_is_enough(change):
    assert learn(change)["after"] > 40


def test_a_detached_action_leaves_the_actor_where_it_was():
    short = ("STEPS, WARMUP, BATCH = 1000, ", "STEPS, WARMUP, BATCH = 250, ")
    start = ("before = np.mean", "start = deepcopy(actor)\nbefore = np.mean")
    way = ("mu(actor, obs)).mean()", "mu(actor, obs).detach()).mean()")
    wrong, fine = learn(short, start, way, UNFROZEN), learn(short, start)
    assert not moved(wrong) and moved(fine)


def moved(agent: dict) -> bool:
    pairs = zip(agent["start"].parameters(), agent["actor"].parameters(), strict=True)
    return any((a.numpy() != b.numpy()).any() for a, b in pairs)


def test_copies_that_never_move_leave_q_with_the_next_reward():
    assert 0.8 < value_in_the_middle(learn(("0.95, 0.02, ", "0.95, 0.0, "))) < 1.2


def test_copies_that_move_at_once_are_the_networks():
    agent = learn(("0.95, 0.02, ", "0.95, 1.0, "), ("= 1000, 200", "= 210, 200"))
    for name in ("actor", "critic"):
        pairs = zip(agent[f"target_{name}"].parameters(), agent[name].parameters(), strict=True)
        assert all((a.numpy() == b.numpy()).all() for a, b in pairs)


def test_large_last_weights_start_at_the_limits_of_tanh():
    agent = learn(
        ("LAST = 0.95, 0.02, 3e-3", "LAST = 0.95, 0.02, 10"), ("= 1000, 200", "= 200, 200")
    )
    assert share_at_a_limit(agent) > 0.5


def test_wide_observations_make_everything_wide(right):
    wide = tg.Tensor(np.zeros((1, 2)))
    assert right["actor"](wide).dtype == np.float64
    assert right["actor"](wide.astype(np.float32)).dtype == np.float32
