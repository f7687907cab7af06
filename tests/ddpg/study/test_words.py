import pytest

from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.words import letter, percent, with_interval


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((-152.14, -170.3, -140.2), "-152 (-170 to -140)"),
        ((1234.5, 1000.4, 2000.6), "1,234 (1,000 to 2,001)"),
        ((-3.94, -4.124, -3.7), "-3.94 (-4.12 to -3.70)"),
        ((-3.94, -12.124, -3.7), "-3.9 (-12.1 to -3.7)"),
        ((0.45678, 0.1, 0.9), "0.46 (0.10 to 0.90)"),
        ((0.045678, 0.01, 0.09), "0.046 (0.010 to 0.090)"),
        ((-0.0001, -0.2, 0.3), "0.00 (-0.20 to 0.30)"),
        ((-1.5e9, -2e9, 12.0), "-1.5e+09 (-2e+09 to 12)"),
        ((7.0, None, None), "7.00 (-)"),
    ],
)
def test_an_estimate_as_text(numbers, text):
    assert with_interval(Estimate(*numbers)) == text


def test_a_probability_as_text():
    assert percent(Estimate(0.846, 0.7, 1.0)) == "85 % (70 to 100)"
    assert percent(Estimate(0.5, None, None)) == "50 % (-)"
    assert with_interval(None) == percent(None) == "-"


def test_letters_go_on_as_the_columns_of_a_spreadsheet():
    names = [letter(i) for i in range(26 + 26**2 + 1)]
    assert names[:3] + names[25:28] == ["A", "B", "C", "Z", "AA", "AB"]
    assert names[-2:] == ["ZZ", "AAA"]
    assert len(set(names)) == len(names)
