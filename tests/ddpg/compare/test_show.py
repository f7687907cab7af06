import io
import json

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from ddpg.compare.measure import Measurement, Size
from ddpg.compare.show import as_json, print_table, print_training, save_picture
from ddpg.compare.training import Curve

BOTH = ["a.weight", "a.bias"]
ROWS = [
    Measurement("frozen", "As it is meant.", 3.682e-3, 0.0, [], 0.0, 107_610_112, 5.678, ""),
    Measurement("by hand", "Another way.", 3.682e-3, 3.2e-8, [], 0.0, 107_610_112, 5.7, ""),
    Measurement("blocked", "Cut.", None, None, BOTH, 0.0, 0, 1.2, "error: [no] path"),
    Measurement("joint", "All.", 3.682e-3, 0.0, BOTH, 1e-3, 144_310_272, 9.9, ""),
]
CURVES = {
    "frozen": Curve([500, 1000], [-1300.0, -160.0], [250, 500], [-10.0, -70.0]),
    "blocked": Curve([500, 1000], [-1300.0, -1310.0], [250, 500], [-10.0, -120.0]),
    "joint": Curve([500, 1000], [-1300.0, -1400.0], [250, 500], [0.5, 180.25]),
}


def shown(print_it, *arguments, width=80):
    stream = io.StringIO()
    print_it(*arguments, Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_table_has_every_number_uncut(width):
    text = shown(print_table, ROWS, Size(), width=width)
    assert "…" not in text
    cells = {line.split("  ")[0].strip(): line.split() for line in text.splitlines() if line}
    assert cells["frozen"][1:] == ["3.68e-03", "same", "bits", "none", "no", "107.6", "5.7"]
    assert cells["by hand"][3:5] == ["3e-08", "none"]
    assert cells["blocked"][1:] == ["none", "-", "2", "no", "0.0", "1.2"]
    assert cells["joint"][4:] == ["2", "1e-03", "144.3", "9.9"]


def test_remarks_are_shown_as_they_were_said():
    """Square brackets are rich's markup; an error message has them too."""
    assert "→ error: [no] path" in shown(print_table, ROWS, Size())


def test_training_table_says_what_cannot_be_true():
    lines = shown(print_training, CURVES).splitlines()
    last = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert last["frozen"] == ["1,000", "-160", "500", "-70.0", "yes"]
    assert last["joint"] == ["1,000", "-1,400", "500", "180.2", "no"]


def test_json_holds_every_number(tmp_path):
    path = tmp_path / "c.png"
    values = json.loads(json.dumps(as_json(ROWS, CURVES, Size(), 3, path)))
    assert values["seed"] == 3
    assert values["size"] == {
        "obs_dim": 17,
        "act_dim": 6,
        "hidden": [256, 256],
        "batch_size": 256,
    }
    assert values["cases"][2]["critic_tensors"] == ["a.weight", "a.bias"]
    assert values["cases"][0]["backward_flops"] == 107_610_112
    assert values["training"]["variants"]["joint"]["mean_q"] == [0.5, 180.25]
    assert values["picture"] == str(path)


def test_picture_shows_the_curves(tmp_path):
    save_picture(CURVES, tmp_path / "all.png")
    save_picture({"frozen": CURVES["frozen"]}, tmp_path / "one.png")
    everything, one = imread(tmp_path / "all.png"), imread(tmp_path / "one.png")
    assert everything.shape == one.shape
    assert not np.array_equal(everything, one)
