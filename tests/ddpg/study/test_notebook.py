"""What a study shows of itself in a notebook."""

from pathlib import Path

from ddpg.study.api import Study
from ddpg.study.outcome.summary import make_summary
from tests.ddpg.pages import Page
from tests.ddpg.study.made import made_result, made_results


def test_study_shows_its_scores_and_its_picture():
    results = made_results({"A<b>-v0": [[1.0, 3.0], [4.0, 9.0]]})
    results.append(made_result(2.0, seed=9, env_id="B-v0", state="failed"))
    study = Study(Path("studies/s1"), results, make_summary(results), None)
    html = study._repr_html_()
    page = Page(html)
    text = "".join(page.text)
    assert text.startswith('5 runs: 4 finished, 1 failed"-": no run with a score.')
    assert "A<b>-v0" in text
    assert ["B critic_lr 0.0001", "2 of 2", "6.50 (4.00 to 9.00)"] in [r[:3] for r in page.rows]
    assert html.count('<img src="data:image/png;base64,') == 1
    assert repr(study) == "Study(5 runs: 4 finished, 1 failed)"
