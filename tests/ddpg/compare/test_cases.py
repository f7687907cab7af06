import inspect

import numpy as np
import pytest

from ddpg.compare import cases
from ddpg.compare import measure as measuring
from ddpg.compare.cases import CASES, COMPILED, TRAINED, Case
from ddpg.compare.measure import Size, make_lab, measure
from ddpg.compare.show import LOOKS

ALL = {f"mlp.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")}
SMALL = Size(3, 2, (8, 8), 16)


@pytest.fixture(scope="module")
def rows():
    """The table of `ddpg compare`, at its own size."""
    return {row.name: row for row in measure(Size(), repetitions=1)}


def test_the_table_has_the_eight_cases(rows):
    assert list(rows) == [case.name for case in CASES]
    assert len(rows) == 8
    assert all(row.meaning.endswith(".") for row in rows.values())


def test_each_case_is_written_once():
    """What is trained, compiled and reported are cases of the one list, each with its own code."""
    assert len({case.name for case in CASES}) == len({case.code for case in CASES}) == len(CASES)
    assert len({case.update.__code__.co_firstlineno for case in CASES}) == len(CASES)
    assert {case.update.__module__ for case in CASES} == {cases.__name__}
    assert {*TRAINED.values(), *COMPILED.values()} <= set(CASES)
    assert list(TRAINED) == list(LOOKS) == ["frozen", "blocked", "joint"]
    assert list(COMPILED) == ["frozen", "unfrozen", "blocked"]
    for case in CASES:
        assert case.meaning.endswith(".") and case.seen.endswith(".")
        assert case.code.startswith("def ") and '"""' not in case.code


def test_ways_that_are_right_give_the_same_gradient(rows):
    assert rows["separate optimizers"].difference == 0.0
    assert rows["chain rule by hand"].difference == 0.0
    assert rows["grad w.r.t. actor"].difference == 0.0
    assert rows["frozen too late"].difference == 0.0
    assert rows["frozen"].actor_gradient_norm > 0


def test_blocked_ways_give_the_actor_nothing(rows):
    for name in ("blocked action", "blocked Q"):
        assert rows[name].actor_gradient_norm is None
        assert rows[name].difference is None


def test_only_the_unfrozen_ways_leave_the_critic_gradients(rows):
    got = {name for name, row in rows.items() if set(row.critic_tensors) == ALL}
    assert got == {"separate optimizers", "blocked action", "one joint optimizer"}
    assert all(row.critic_tensors == [] for name, row in rows.items() if name not in got)


def test_only_the_joint_optimizer_moves_the_critic(rows):
    assert {name for name, row in rows.items() if row.critic_moved} == {"one joint optimizer"}
    # Adam's first step is as long as its learning rate.
    assert rows["one joint optimizer"].critic_moved == pytest.approx(1e-3, rel=0.01)


def test_backward_costs_what_the_rules_that_run_cost(rows):
    mega = {name: round(row.backward_flops / 1e6, 2) for name, row in rows.items()}
    assert mega == {
        "frozen": 107.61,
        "separate optimizers": 144.31,
        "chain rule by hand": 107.61,
        "grad w.r.t. actor": 107.61,
        "blocked action": 70.39,
        "blocked Q": 0.0,
        "one joint optimizer": 144.31,
        "frozen too late": 144.31,
    }


def test_what_the_user_is_told_is_reported(rows):
    said = {name: row.warning for name, row in rows.items() if row.warning}
    assert set(said) == {"blocked Q", "frozen too late"}
    assert said["blocked Q"].startswith("error: no gradient")
    assert said["frozen too late"].startswith("warning: ")
    assert "frozen between forward and backward" in said["frozen too late"]


def test_time_is_measured(rows):
    assert all(row.milliseconds > 0 for row in rows.values())


def test_a_different_gradient_is_seen(monkeypatch):
    """The comparison must be able to fail."""

    def doubled(lab):
        """Wrong by a factor."""
        loss = -2.0 * lab.critic(lab.obs, lab.actor(lab.obs)).mean()
        with lab.backward():
            loss.backward()

    monkeypatch.setattr(measuring, "CASES", [CASES[0], Case("doubled", doubled)])
    assert [row.difference for row in measure(SMALL, repetitions=1)] == pytest.approx([0, 1])


def test_every_case_starts_from_the_same_place():
    first, second, other = make_lab(SMALL, 1), make_lab(SMALL, 1), make_lab(SMALL, 2)
    for mine, same, different in (
        (first.obs, second.obs, other.obs),
        (first.actor.mlp[0].weight, second.actor.mlp[0].weight, other.actor.mlp[0].weight),
        (first.critic.mlp[0].weight, second.critic.mlp[0].weight, other.critic.mlp[0].weight),
    ):
        np.testing.assert_array_equal(mine.numpy(), same.numpy())
        assert not np.array_equal(mine.numpy(), different.numpy())


def test_every_row_says_where_the_gradient_went_and_which_line_stopped_it(rows):
    lines = inspect.getsource(cases).splitlines()

    def line_of(code):
        return next(n for n, line in enumerate(lines, 1) if code in line)

    said = {name: row.explanation for name, row in rows.items()}
    assert said["separate optimizers"] == said["one joint optimizer"] == "reaches everything"
    frozen = line_of("with tg.frozen(lab.critic):")
    assert said["frozen"] == (
        f"reaches actor and passes through critic, whose 6 tensors are frozen "
        f"[frozen, cases.py:{frozen}]"
    )
    by_hand = line_of("a = action.detach()") + 1
    assert said["chain rule by hand"] == (
        f"reaches actor and passes through critic, whose 6 tensors are frozen "
        f"[frozen, cases.py:{by_hand}]"
    )
    detached = line_of("lab.actor(lab.obs).detach()")
    assert said["blocked action"] == (
        f"reaches critic and is cut off from actor [detached, cases.py:{detached}]"
    )
    stopped = line_of("tg.stop_gradient(q)")
    assert said["blocked Q"] == f"is cut off from everything [detached, cases.py:{stopped}]"
