"""Messages read as sentences, for one and for several, for names with and without a vowel.

tests/house/messages.py sees to it that articles and plurals come from a few helpers; these are
tested here, and messages in which they once were wrong.
"""

import re

import numpy as np
import pytest

import tinygrad_rl as tg
from ddpg import errors
from ddpg.state import check_state
from tinygrad_rl import spelling

WRONG = re.compile(
    r"(?<!`)\b[Aa] (?!uint)[aeiouAEIOU]|\ba ndarray|\b[Aa]n (?!ndarray)[^aeiouAEIOU\W]"
    r"|\b1 (?!axis)\w+s\b"
)


@pytest.mark.parametrize("helpers", [spelling, errors])
def test_helpers(helpers):
    counted = helpers.counted
    said = [counted(n, noun) for noun in ("entry", "run") for n in (0, 1, 2, 1000)]
    assert said[:4] == ["0 entries", "1 entry", "2 entries", "1,000 entries"]
    assert said[4:] == ["0 runs", "1 run", "2 runs", "1,000 runs"]
    assert [helpers.kind(x) for x in (1, 1.0, None)] == ["an int", "a float", "None"]
    nouns = ["array", "picture", "ndarray", "uint8"]
    said = ["an array", "a picture", "an ndarray", "a uint8"]
    assert [helpers.with_article(noun) for noun in nouns] == said
    assert spelling.counted(3, "axis") == "3 axes"
    assert spelling.counted(2, "day") == "2 days"


def no_number():
    return 3


def one_frozen():
    w = tg.Tensor([1.0], requires_grad=True)
    return tg.relu(w - 5.0).sum()


@tg.no_grad()
def statement_if():
    @tg.elementwise
    def step(x):
        if x > 0:
            y = x
        else:
            y = 0
        return y

    return step


ONE = tg.Tensor([1.0, 2.0])
PROVOKED = {
    lambda: tg.explain(no_number): "returned an int",
    lambda: tg.explain(lambda: np.ones(2)): "returned an ndarray",
    statement_if: "If",
    lambda: tg.nn.Sequential(3): "an int",
    lambda: tg.sum(ONE, axis=4): "1 axis",
    lambda: tg.sum(ONE * tg.ones((2, 2)), axis=4): "2 axes",
    lambda: tg.reshape(tg.Tensor([1.0]), (3,)): "1 element",
    lambda: tg.einsum("i->", ONE, ONE): "1 tensor",
    lambda: tg.einsum("i,i->", ONE): "2 tensors",
    lambda: ONE.astype(np.int64).__array__(np.float32, copy=False): "an int64 tensor",
    lambda: tg.grad([ONE.sum()], [ONE], grad_outputs=[1.0, 2.0]): "1 output ",
    lambda: check_state({"a": 1}, [1], "x"): "1 entry",
    lambda: check_state(1, {"a": 1}, "x"): "an int",
}


@pytest.mark.parametrize("provoke", PROVOKED, ids=PROVOKED.values())
def test_provoked(provoke):
    with pytest.raises((TypeError, ValueError, RuntimeError)) as error:
        provoke()
    said = str(error.value)
    assert re.search(PROVOKED[provoke], said), said
    assert not WRONG.search(said.partition("\n")[0]), said


def test_rows_and_chips_of_an_explanation():
    e = tg.explain(one_frozen)
    assert "1 of 1 row (100%)" in e["w"].causes[0].detail
