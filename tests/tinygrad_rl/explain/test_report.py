"""An explanation as text and as plain data."""

import json

import pytest

import tinygrad_rl as tg
from tests.tinygrad_rl.explain.made import ACTOR, CRITIC, OBS, line_of, q


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
    assert "passes through CRITIC, whose 4 tensors are frozen" in " ".join(text.split())


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


def test_calls_of_one_line_are_told_apart_by_the_part_that_is_each():
    def loss():
        return -q(ACTOR(OBS)).mean()

    e = tg.explain(loss)
    uses = {leaf.name: leaf.uses[0] for leaf in e.leaves}
    number = line_of(loss, "-q(ACTOR(OBS))")
    assert uses["ACTOR.0.weight"].line.number == uses["CRITIC.0.weight"].line.number == number
    assert uses["ACTOR.0.weight"].line.part == "ACTOR(OBS)"
    assert uses["CRITIC.0.weight"].line.part == "q(ACTOR(OBS))"
    text = e.text(80).splitlines()
    (code,) = [i for i, line in enumerate(text) if "return -q" in line]
    assert text[code + 1].strip() == "^" * len("q(ACTOR(OBS))")
    assert text[code + 3].index("^") == text[code].index("ACTOR(OBS)")
    assert text[code + 4].strip() == "to ACTOR (4 tensors)"


def test_the_functions_own_line_comes_before_the_one_below_at_which_gradients_part():
    def both():
        return CRITIC(tg.concatenate([OBS, ACTOR(OBS)], axis=1))

    def loss():
        return -both().mean()

    e = tg.explain(loss)
    for name, part in (("ACTOR.0.weight", "ACTOR(OBS)"), ("CRITIC.0.weight", None)):
        (use,) = e[name].uses
        assert use.line.number == line_of(loss, "-both()")
        assert use.parting.number == line_of(both, "CRITIC(")
        assert part is None or use.parting.part == part
    text = e.text(100)
    assert text.index("return -both()") < text.index("return CRITIC(")
    assert text.count("return -both()") == text.count("return CRITIC(") == 1


def test_a_long_line_is_shortened_around_the_culprit():
    def loss():
        penalty = tg.square(ACTOR[0].weight).sum() + tg.square(ACTOR[2].weight).sum()
        return (-q(ACTOR(OBS).detach()).mean() + 0.0 * penalty + 0.0 * tg.exp(-penalty)).sum()

    e = tg.explain(loss)
    (cause,) = e["ACTOR.0.bias"].causes
    assert cause.line.part == "ACTOR(OBS).detach()"
    for width in (50, 60, 80):
        assert "ACTOR(OBS).detach()" in e.text(width)
