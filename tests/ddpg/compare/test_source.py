import io
import re

import pytest
from rich.console import Console

from ddpg.compare.cases import COMPILED
from ddpg.compare.listing import print_source
from ddpg.compare.measure import Size
from ddpg.compare.source import GROUPS, MergedLine, compile_case, merge


@pytest.fixture(scope="module")
def steps():
    return {name: compile_case(case, Size(), repetitions=1) for name, case in COMPILED.items()}


def lines(step, group):
    return [operation.text for operation in step.operations if operation.group == group]


def test_the_backward_pass_costs_what_its_lines_say(steps):
    recorded = {name: round(step.recorded_flops / 1e6, 2) for name, step in steps.items()}
    assert recorded == {"frozen": 107.61, "unfrozen": 144.31, "blocked": 70.39}
    # The compiler also drops the derivative of Q in the observations.
    compiled = {name: round(step.flops / 1e6, 2) for name, step in steps.items()}
    assert compiled == {"frozen": 105.38, "unfrozen": 142.08, "blocked": 70.39}
    for step in steps.values():
        assert sum(step.cost(group)[0] for group in GROUPS) == step.flops
        assert step.milliseconds > 0


def test_freezing_takes_lines_away_and_blocking_a_path(steps):
    frozen, unfrozen, blocked = steps.values()
    assert lines(frozen, "critic") == []
    assert lines(unfrozen, "critic") == lines(blocked, "critic")
    assert lines(frozen, "path") == lines(unfrozen, "path")
    assert lines(frozen, "actor") == lines(unfrozen, "actor")
    assert lines(blocked, "actor") == []
    assert set(lines(frozen, "path")) - set(lines(blocked, "path")) == {
        "d_action = d_critic_z1 @ critic_W1[:, 17:23]"
    }


def test_a_line_says_what_it_computes(steps):
    assert lines(steps["unfrozen"], "path")[:3] == [
        "d_critic_h2 = mul(-0.003906, critic_W3)",
        "d_critic_z2 = relu.vjp_x(d_critic_h2, critic_h2)",
        "d_critic_h1 = d_critic_z2 @ critic_W2",
    ]
    assert "d_critic_W2 = d_critic_z2.T @ critic_h1" in lines(steps["unfrozen"], "critic")
    assert "d_actor_b1 = sum(d_actor_z1, axis=0)" in lines(steps["frozen"], "actor")


def test_every_parameter_gets_its_gradient_in_one_line(steps):
    for network, case in (("actor", "frozen"), ("critic", "blocked")):
        made = [text.split(" = ")[0] for text in lines(steps[case], network)]
        for kind in "Wb":
            for layer in (1, 2, 3):
                assert made.count(f"d_{network}_{kind}{layer}") == 1


def without_names(line):
    return re.sub(r"[A-Za-z_]\w*(\.T|\[:, \d+:\d+\])?", "x", line).strip()


def test_the_code_is_the_generated_one_in_other_names(steps):
    for step in steps.values():
        places = re.compile(r"  \(\w+\.py:\d+\)$")
        given = iter(without_names(places.sub("", line)) for line in step.source.splitlines())
        # `in` takes from the iterator what it passes, so the order counts as well.
        assert all(without_names(line) in given for line in step.code)
    frozen, unfrozen = steps["frozen"].code, steps["unfrozen"].code
    mine = "first_256, last_256"  # this step is large enough to be divided among threads
    assert f"matmul_rows(d_critic_h1, d_critic_z2, critic_W2, {mine})" in frozen
    assert f"matmul_tn_rows(d_critic_W2, d_critic_z2, critic_h1, {mine})" in unfrozen
    assert not any("d_critic_W2" in line for line in frozen)
    assert not any(re.search(r"\bt\d+", line) for step in steps.values() for line in step.code)


def test_merging_holds_each_text_in_order():
    texts = [list("abcd"), list("abxcd"), list("xd")]
    rows = merge(texts)
    for n, text in enumerate(texts):
        assert [row.text for row in rows if row.found_in[n]] == text
    assert [row.text for row in rows] == list("abxcd")
    assert rows[0] == MergedLine("a", (True, True, False))


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_groups_with_their_costs(steps, width):
    stream = io.StringIO()
    print_source(list(steps.values()), Console(file=stream, width=width))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for title in GROUPS.values():
        assert f"The gradient runs {title}" in text
    for number in ("107.61", "144.31", "70.39", "105.38", "142.08"):
        assert number in text
    assert "frozen: 34.47 MFLOP, 2.90 MB" in text
    assert "blocked: nothing" in text
    operations = text.partition("The gradient runs through")[2]
    merged = " ■ ■ ·  d_action = d_critic_z1 @ critic_W1[:, 17:23]" in operations
    assert merged == (width == 80)
    assert operations.count("d_critic_h1 = d_critic_z2 @ critic_W2") == (1 if merged else 3)


def test_another_depth_has_names_too():
    """Names follow the layers, however many there are."""
    step = compile_case(COMPILED["unfrozen"], Size(3, 2, (8,), 16))
    assert "d_action = d_critic_z1 @ critic_W1[:, 3:5]" in lines(step, "path")
    assert "d_critic_W2 = sum(d_critic_W2_b, axis=0)" in lines(step, "critic")
