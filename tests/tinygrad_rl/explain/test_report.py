"""An explanation as text and as plain data."""

import inspect
import json

import numpy as np
import pytest

import tinygrad_rl as tg


def mlp(*sizes, seed=0):
    return tg.nn.MLP(sizes, rng=np.random.default_rng(seed))


ACTOR, CRITIC = mlp(3, 8, 1), mlp(4, 8, 1)
OBS = tg.Tensor(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))


def q(action):
    return CRITIC(tg.concatenate([OBS, action], axis=1))


def line_of(function, code):
    """The number of the line of a function that holds this code."""
    lines, start = inspect.getsourcelines(function)
    (number,) = [start + i for i, line in enumerate(lines) if code in line]
    return number


def frozen():
    action = ACTOR(OBS)
    with tg.frozen(CRITIC):
        return -q(action).mean()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_text_fits(width):
    text = tg.explain(frozen).text(width)
    assert max(map(len, text.splitlines())) <= width
    assert "frozen" in text


def test_text_has_the_line_and_its_code():
    text = str(tg.explain(frozen))
    assert f"test_report.py:{line_of(frozen, 'with tg.frozen')}  with tg.frozen(CRITIC):" in text
    assert "reaches ACTOR (4 tensors); it passes through the frozen CRITIC (4 tensors)" in " ".join(
        text.split()
    )


def test_dict_is_json_and_says_the_same():
    e = tg.explain(frozen)
    data = json.loads(json.dumps(e.to_dict()))
    weight = next(leaf for leaf in data["leaves"] if leaf["name"] == "CRITIC.0.weight")
    assert weight["status"] == "frozen"
    assert weight["causes"][0]["code"] == "with tg.frozen(CRITIC):"
    assert weight["causes"][0]["file"] == __file__
    assert data["value"] == pytest.approx(frozen().item())


def test_line_below_the_one_that_all_gradients_share():
    def inner():
        action = ACTOR(OBS)
        return -q(action).mean()

    def outer():
        return inner()

    e = tg.explain(outer)
    assert e["ACTOR.0.weight"].uses[0].line.number == line_of(inner, "ACTOR(OBS)")
    assert e["CRITIC.0.weight"].uses[0].line.number == line_of(inner, "-q(action)")


def test_a_frozen_network_before_all_others_is_not_passed_through():
    def loss():
        with tg.frozen(ACTOR):
            action = ACTOR(OBS)
        return -q(action).mean()

    assert tg.explain(loss).to_dict()["headline"] == (
        "The gradient reaches CRITIC (4 tensors); it is not computed for the frozen ACTOR "
        "(4 tensors)."
    )


def test_everything_frozen():
    def loss():
        with tg.frozen(ACTOR):
            return ACTOR(OBS).mean()

    headline = tg.explain(loss).to_dict()["headline"]
    assert headline == "The gradient is not computed: everything is frozen."
