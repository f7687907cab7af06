"""The notebook is run, and shows what is stored in it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "docs" / "tour.ipynb"
PICTURE = re.compile(r"data:image/png;base64,[\w+/=]+")


def outputs(path: Path) -> list[dict]:
    """What each code cell shows, one after the other."""
    cells = [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    return [output for cell in cells for output in cell["outputs"]]


def comparable(output: dict) -> dict:
    """Text as it is; of tables all but the numbers, which another processor may round otherwise.

    Of pictures only that they are there.
    """
    if output["output_type"] == "stream":
        return {"stream": "".join(output["text"])}
    shown = {kind: "".join(content) for kind, content in output["data"].items()}
    if "image/svg+xml" in shown:
        assert shown["image/svg+xml"].startswith("<svg")
        shown["image/svg+xml"] = "a picture"
    if PICTURE.search(shown.get("text/html", "")):
        without = PICTURE.sub("a picture", shown["text/html"])
        shown["text/html"] = re.sub(r"−?\d[\d,.]*", "0", without)
    return shown


@pytest.mark.slow
def test_it_runs_and_shows_what_is_stored(tmp_path):
    program, again = ROOT / "docs" / "run_tour.py", tmp_path / "tour.ipynb"
    command = [sys.executable, str(program), str(again)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stored, new = outputs(TOUR), outputs(again)
    assert [comparable(output) for output in new] == [comparable(output) for output in stored]


def test_what_is_stored_is_whole_and_says_nothing_of_where_it_ran():
    stored = outputs(TOUR)
    assert {output["output_type"] for output in stored} == {"execute_result", "stream"}
    shown = [comparable(output) for output in stored]
    assert sum("image/svg+xml" in s for s in shown) == 2
    assert sum("a picture" in s.get("text/html", "") for s in shown) == 2
    text = PICTURE.sub("", TOUR.read_text("utf-8"))
    assert not re.search(r"/tmp|/home|/root|0x[0-9a-f]{6}", text)


def test_numbers_of_tables_may_differ_and_words_may_not():
    def table(cell):
        html = f'<td>{cell}</td><img src="data:image/png;base64,a+1/=">'
        return comparable({"output_type": "execute_result", "data": {"text/html": [html]}})

    assert table("−1,571 ± 52") == table("−98.3 ± 7")
    assert table("not kept") != table("kept")
