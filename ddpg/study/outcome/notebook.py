"""What a study shows of itself in a notebook: its scores, and its picture."""

from html import escape

from ddpg.run.look.notebook import as_image
from ddpg.study.outcome.page import scores
from ddpg.study.outcome.picture import picture
from ddpg.study.outcome.summary import Summary
from ddpg.study.outcome.words import counted_states, what_is_missing


def study_html(summary: Summary) -> str:
    """How the runs ended, the tables of scores, and the picture that is in the folder too."""
    said = [counted_states(summary.results), what_is_missing(summary)]
    lines = "".join(f"<div>{escape(line)}</div>" for line in said if line)
    return lines + scores(summary) + as_image(picture(summary), "Learning curves")
