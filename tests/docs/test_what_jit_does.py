"""What the page quotes of a listing and of generated source is what the engine writes."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rl as tg
from tests.docs.pages import as_script, fenced_blocks

PAGE = (Path(__file__).parents[2] / "docs" / "what-jit-does.md").read_text("utf-8")
QUOTED = [lines for info, _, lines in fenced_blocks(PAGE) if not info]


@pytest.fixture(scope="module")
def step(tmp_path_factory):
    """The page's step, called as the page calls it."""
    path = tmp_path_factory.mktemp("page") / "page.py"
    script, _, _ = as_script(PAGE).partition("simple = [")
    path.write_text(script, "utf-8")
    names = {"__name__": "__main__"}
    exec(compile(script, str(path), "exec"), names)
    return names["step"]


def without_places(text):
    """The lines without the place in the user's code, which differs from reader to reader."""
    return [re.sub(r"  \(?\S+\.py:\d+\)?$", "", line) for line in text.splitlines()]


def stands_in(lines, text):
    """Whether some lines stand in a text, one after the other."""
    return "\n".join(lines) in "\n".join(text)


def test_the_listing_is_the_one_on_the_page(step):
    assert QUOTED[0] == without_places(step.program().listing())


@pytest.mark.parametrize("lines", QUOTED[1:], ids=lambda lines: lines[0].strip())
def test_quoted_loops_stand_in_the_source(step, lines):
    assert stands_in(lines, without_places(step.source()))


def test_each_line_of_the_table_stands_in_the_loop_above_it():
    explained = re.findall(r"^\| `([^`]+ = [^`]+)` \|", PAGE, re.MULTILINE)
    assert len(explained) == 6
    assert stands_in([" " * 8 + line for line in explained], QUOTED[1])


@pytest.fixture
def two_threads():
    before = tg.get_num_threads()
    tg.set_num_threads(2)
    yield
    tg.set_num_threads(before)


def compiled(freeze):
    """The source of a step that sends a gradient through a layer to its input."""
    rng = np.random.default_rng(0)
    net = tg.nn.Linear(256, 256, rng=rng)
    x = tg.randn(256, 256, generator=rng, requires_grad=True)

    @tg.jit
    def large(x):
        with tg.frozen(net) if freeze else tg.enable_grad():
            loss = tg.square(net(x)).mean()
        loss.backward()
        return loss

    large(x)
    return large.source()


@pytest.mark.usefixtures("two_threads")
def test_rows_are_divided_and_a_frozen_layers_gradient_is_missing():
    source, frozen = compiled(freeze=False), compiled(freeze=True)
    for words in re.findall(r"`(first_256|last_256|if phase == 1:)`", PAGE):
        assert words in source
    assert "grad_net_weight" in source
    assert "grad_net_weight" not in frozen
    assert "grad_x" in source and "grad_x" in frozen
