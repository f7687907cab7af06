import subprocess
import sys

import numpy as np
from matplotlib.image import imread

from ddpg.run.plots import save_learning_curve

EPISODES = [{"step": 200 * i, "return": -1500.0 + 70 * i} for i in range(1, 20)]
EVALUATIONS = [
    {"step": 1000 * i, "mean": -300.0, "std": 9.0, "min": -900.0, "max": -100.0}
    for i in range(1, 5)
]


def test_learning_curve_shows_what_it_is_given(tmp_path):
    drawn = {}
    for name, rows in {
        "both": (EPISODES, EVALUATIONS),
        "episodes": (EPISODES, []),
        "none": ([], []),
    }.items():
        save_learning_curve(tmp_path / f"{name}.png", *rows)
        drawn[name] = imread(tmp_path / f"{name}.png")
    assert drawn["both"].shape[:2] == (520, 910)
    assert not np.array_equal(drawn["both"], drawn["episodes"])
    assert not np.array_equal(drawn["episodes"], drawn["none"])


def test_same_rows_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        save_learning_curve(tmp_path / name, EPISODES, EVALUATIONS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pyplot_and_its_global_state_stay_out():
    program = "import sys, ddpg.run.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
