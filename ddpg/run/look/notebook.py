"""What a run shows of itself in a notebook: its key figures, and its learning curve."""

import base64
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from ddpg.run.look.html.parts import number, table
from ddpg.run.plots import as_png, learning_curve

if TYPE_CHECKING:
    from ddpg.run.runs import Run


def run_html(run: "Run") -> str:
    """A table with one line, and the picture that is in the run's folder too."""
    head, cells = zip(*_figures(run), strict=True)
    shown = table(head, [cells], "A run")
    if not run.episodes and not run.evaluations:
        return shown
    return shown + as_image(learning_curve(run.episodes, run.evaluations), "Learning curve")


def as_image(figure: Figure, said: str) -> str:
    """The picture as an element that needs no file; `said` is for those who do not see it."""
    data = base64.b64encode(as_png(figure)).decode()
    width = round(80 * figure.get_figwidth())  # less than it has: sharp on a fine screen
    return f'<img src="data:image/png;base64,{data}" alt="{escape(said)}" width="{width}">'


def _figures(run: "Run") -> Iterator[tuple[str, str]]:
    """What a figure is called, and the figure, as HTML."""
    folder = "not kept" if run.run_dir is None else f"<code>{escape(str(run.run_dir))}</code>"
    yield "folder", folder
    ended = f", ended by {run.stopped_by.name}" if run.stopped_by else ""
    yield "steps", f"{run.steps:,}{ended}"
    yield "episodes", f"{len(run.episodes):,}"
    if run.evaluations:
        last = run.evaluations[-1]
        best = max(run.evaluations, key=lambda row: row["mean"])
        yield "last evaluation", _evaluation(last)
        yield "best", f"{_evaluation(best)} at step {best['step']:,.0f}"
        yield "Q too high by", f"{number(100 * last['q_bias'])} %"


def _evaluation(row: Mapping[str, float]) -> str:
    return f"{number(row['mean'])} ± {number(row['std'])}"
