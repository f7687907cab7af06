import io
from dataclasses import replace

import pytest
from rich.console import Console

from ddpg.study.outcome.summary import make_summary
from ddpg.study.outcome.terminal import MOST_NAMED, print_summary
from tests.ddpg.study.made import made_result, made_results


def printed(results, width=80):
    console = Console(width=width, file=io.StringIO())
    print_summary(make_summary(results), console)
    return console.file.getvalue()


def cells(text, start):
    """Of the first line that begins so."""
    (line, *_) = (line for line in text.splitlines() if line.strip().startswith(start))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_one_run_is_one_line_without_an_interval():
    text = printed([made_result(-150.25)])
    assert text.startswith("1 run: 1 finished\n")
    assert cells(text, "Pendulum-v1") == ["Pendulum-v1", "1 of 1", "-150 (-)", "-150 (-)"]
    assert '"(-)": one run with a score, and an interval takes two.' in text
    assert "Probability" not in text


def test_the_iqm_stands_before_the_mean():
    _, _, iqm, mean = cells(printed(made_results({"A-v0": [[0.0, 1.0, 2.0, 97.0]]})), "A-v0")
    assert (iqm.split()[0], mean.split()[0]) == ("1.5", "25.0")


def test_each_environment_has_a_table_of_its_settings_and_all_have_one():
    rows = {"A-v0": [[1.0, 3.0], [2.0, 2.0]], "B-v0": [[50.0, 150.0], [50.0, 150.0]]}
    text = printed(made_results(rows))
    lines = [line.strip() for line in text.splitlines()]
    overall = "All environments, on a scale from 0 (lowest run) to 1 (highest)"
    places = [lines.index(name) for name in ("A-v0", "B-v0", overall)]
    assert places == sorted(places)
    for place in places:
        assert [line.split()[0] for line in lines[place + 4 : place + 6]] == ["A", "B"]
    interval = "2.00 (1.00 to 3.00)"
    assert cells(text, "A  critic_lr")[2:] == ["2 of 2", interval, interval]
    assert lines[places[2] + 4].endswith("0.50 (0.00 to 1.00)")
    assert "beats one of the column's, over all" in text


def test_how_settings_compare():
    text = printed(made_results({"A-v0": [[1.0, 3.0, 5.0], [2.0, 4.0, 4.0]]}))
    table = text[text.index("Probability") :].splitlines()
    assert table[0].endswith("beats one of the column's, A-v0")
    assert [line.split() for line in table[4:6]] == [["A", "-", "44", "%"], table[5].split()]
    assert table[6].split() == ["B", "56", "%", "-"]
    low, high = table[7].split()[0].split("-")
    assert 0 <= int(low) < 56 < int(high) <= 100


def test_what_went_wrong_is_named_but_not_all_of_it():
    results = [made_result(1.0, seed=i, state="failed", message=f"why {i}") for i in range(14)]
    results[0] = replace(results[0], state="finished")
    results[1] = replace(results[1], state="unfinished")
    text = printed(results)
    assert text.startswith("14 runs: 1 finished, 12 failed, 1 unfinished\n")
    assert "runs/Pendulum-v1/seed-2 failed: why 2\n" in text
    assert text.count(" failed: ") == MOST_NAMED
    assert f"and {12 - MOST_NAMED} more, in study.csv" in text
    assert cells(text, "Pendulum-v1")[1] == "1 of 14"


def test_what_is_missing_is_said():
    text = printed([made_result(1.0, state="not begun")])
    assert cells(text, "Pendulum-v1") == ["Pendulum-v1", "0 of 1", "-", "-"]
    assert '"-": no run with a score.' in text
    text = printed([replace(made_result(1.0), evaluations=[]), made_result(1.0)])
    assert "1 finished without an evaluation, and so without a score." in text


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("size", [1.0, 1e3, 1e5, 1e12])
def test_nothing_is_wider_than_the_terminal_or_cut_off(width, size):
    rows = [[-size * (i + seed + 1) for seed in range(3)] for i in range(8)]
    text = printed(made_results({"InvertedDoublePendulum-v5": rows}, axis="a" * 60), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "H" in text
