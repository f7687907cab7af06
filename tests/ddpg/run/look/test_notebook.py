"""What a run shows of itself in a notebook."""

import base64
import io
import re
from pathlib import Path
from signal import SIGINT

from matplotlib.image import imread

from ddpg.run.runs import Run
from tests.ddpg.pages import Page
from tests.ddpg.run.test_plots import EPISODES, EVALUATIONS

AGENT = None  # it takes no part


def shown(run):
    html = run._repr_html_()
    return html, Page(html)


def test_run_shows_its_figures_and_its_learning_curve():
    best = {**EVALUATIONS[0], "mean": -150.5, "step": 2500}
    run = Run(Path("runs/<p1>"), AGENT, EPISODES, [best, *EVALUATIONS], 4000, None)
    html, page = shown(run)
    head, figures = page.rows
    assert dict(zip(head, figures, strict=True)) == {
        "folder": "runs/<p1>",
        "steps": "4,000",
        "episodes": "19",
        "last evaluation": "−300 ± 9.0",
        "best": "−150 ± 9.0 at step 2,500",
        "Q too high by": "25 %",
    }
    data = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="Learning curve"', html)
    assert data is not None
    assert imread(io.BytesIO(base64.b64decode(data[1]))).shape[:2] == (845, 910)
    assert repr(run) == "Run(4,000 steps, 19 episodes)"


def test_run_that_was_ended_early_and_not_kept_says_so():
    html, page = shown(Run(None, AGENT, [], [], 12, SIGINT))
    assert page.rows[1] == ["not kept", "12, ended by SIGINT", "0"]
    assert "<img" not in html
