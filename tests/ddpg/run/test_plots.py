import subprocess
import sys

import numpy as np
from matplotlib.image import imread

from ddpg.run.plots import save_learning_curve

EPISODES = [{"step": 200 * i, "return": -1500.0 + 70 * i} for i in range(1, 20)]
EVALUATIONS = [
    {"step": 1000 * i, "mean": -300.0, "std": 9.0, "min": -900.0, "max": -100.0}
    | {"q_bias": 1.0 / i, "q_spread": 0.5, "q_rank": 0.2 * i}
    for i in range(1, 5)
]


def test_learning_curve_shows_what_it_is_given(tmp_path):
    drawn = {}
    worse = [row | {"q_bias": 50.0 * row["q_bias"]} for row in EVALUATIONS]
    for name, rows in {
        "both": (EPISODES, EVALUATIONS),
        "Q is worse": (EPISODES, worse),
        "episodes": (EPISODES, []),
        "none": ([], []),
    }.items():
        save_learning_curve(tmp_path / f"{name}.png", *rows)
        drawn[name] = imread(tmp_path / f"{name}.png")
    assert drawn["both"].shape[:2] == drawn["Q is worse"].shape[:2] == (845, 910)
    assert drawn["episodes"].shape[:2] == drawn["none"].shape[:2] == (520, 910)
    assert not np.array_equal(drawn["both"], drawn["Q is worse"])
    assert not np.array_equal(drawn["episodes"], drawn["none"])


def test_a_q_that_is_not_finite_is_left_out(tmp_path):
    broken = {"q_bias": np.inf, "q_spread": np.nan, "q_rank": np.nan}
    for name, rows in {
        "some": [*EVALUATIONS, EVALUATIONS[-1] | {"step": 5000} | broken],
        "all": [row | broken for row in EVALUATIONS],
    }.items():
        save_learning_curve(tmp_path / f"{name}.png", EPISODES, rows)
        assert imread(tmp_path / f"{name}.png").shape[:2] == (845, 910)


def test_same_rows_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_learning_curve(tmp_path / name, EPISODES, EVALUATIONS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pyplot_and_its_global_state_stay_out():
    program = "import sys, ddpg.run.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
