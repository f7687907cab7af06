"""A study as one page that stands alone: `render(summary, command, versions)` is its HTML.

The text is in the template `page.html` beside this file; here are its tables and pictures. Text
that comes from outside goes through `html.escape`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from html import escape
from urllib.parse import quote

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpg.errors import counted
from ddpg.run.look.html.parts import fill, table
from ddpg.run.look.html.svg import as_svg
from ddpg.run.look.interval import RESAMPLES
from ddpg.run.look.picture import COLORS
from ddpg.study.outcome.panels import (
    draw_environment,
    draw_improvements,
    draw_profiles,
    drawn,
    is_compared,
    said_of_curves,
    shown_pairs,
)
from ddpg.study.outcome.scores import LAST, score
from ddpg.study.outcome.statistics import Estimate
from ddpg.study.outcome.summary import Outcome, Pair, Summary
from ddpg.study.outcome.words import (
    counted_states,
    letter,
    numbers,
    of_how_many,
    percent,
    what_is_missing,
    with_interval,
)
from ddpg.study.results import Result, State

PAGE = "study.html"
MOST_LISTED = 2000
"""Runs in the page's table; study.csv has all of them."""
_SHORT = 30
"""Letters of a label that stands in a table."""
_HEIGHT = 3.6
"""Of a picture, in inches."""
_WORST_FIRST: tuple[State, ...] = ("failed", "diverged", "unfinished", "not begun", "finished")


def render(summary: Summary, command: str, versions: Mapping[str, str]) -> str:
    """The whole page.

    Parameters
    ----------
    command : that made the study; "" if nobody knows.
    versions : of what it was made with, by name.
    """
    return fill(
        "ddpg.study.outcome",
        title=escape(_title(summary)),
        counted=escape(counted_states(summary.results)),
        made=_made(command, versions),
        key=_key(summary),
        scores=scores(summary),
        missing=f"<p>{escape(missing)}</p>" if (missing := what_is_missing(summary)) else "",
        curves=escape(said_of_curves(summary)),
        environments="\n".join(_environments(summary)),
        comparison=_comparison(summary) if is_compared(summary) else "",
        runs=_runs(summary),
        last=LAST,
        resamples=f"{RESAMPLES:,}",
    )


def _title(summary: Summary) -> str:
    count = len(summary.settings)
    what = f"of {counted(count, 'setting')} on" if count > 1 else "on"
    *others, last = summary.env_ids
    return f"A study {what} {', '.join(others)} and {last}" if others else f"A study {what} {last}"


def _made(command: str, versions: Mapping[str, str]) -> str:
    said = f'<pre class="command">{escape(command)}</pre>' if command else ""
    listed = ", ".join(f"{escape(name)} {escape(version)}" for name, version in versions.items())
    return f"{said}\n<p>With {listed}.</p>" if versions else said


def _key(summary: Summary) -> str:
    """What the settings' letters and colors stand for."""
    if len(summary.settings) == 1:
        return ""
    places = {setting: place for place, setting in enumerate(drawn(summary))}
    lines = []
    for i, label in enumerate(summary.labels):
        color = COLORS[places[i]] if i in places else "transparent"
        swatch = f'<span style="background: {color}"></span>'
        lines.append(f"<li>{swatch}<strong>{letter(i)}</strong> {escape(label)}</li>")
    return f'<ul class="key">\n{chr(10).join(lines)}\n</ul>'


# -- tables ----------------------------------------------------------------------------------------


def scores(summary: Summary) -> str:
    """The scores of each setting, a table for each environment where there are several."""
    head = ("finished", "IQM", "mean")
    if len(summary.settings) == 1:
        body = [[escape(e), *_cells(summary.outcomes[e, 0])] for e in summary.env_ids]
        tables = [table(("environment", *head), body, "Scores by environment")]
    else:
        names = list(_names(summary))
        tables = [
            table(
                ("setting", *head),
                [[name, *_cells(summary.outcomes[e, i])] for i, name in enumerate(names)],
                escape(e),
            )
            for e in summary.env_ids
        ]
    if len(summary.settings) > 1 and summary.overall:
        body = [
            [name, _html(with_interval(overall))]
            for name, overall in zip(_names(summary), summary.overall, strict=True)
        ]
        tables.append(table(("setting", "IQM"), body, "All, on one scale"))
    return "\n".join(tables)


def _names(summary: Summary) -> Iterator[str]:
    """Their letters, and their labels where a table does not become too wide by them."""
    short = max(map(len, summary.labels)) <= _SHORT
    for i, label in enumerate(summary.labels):
        yield f"{letter(i)} {escape(label)}" if short else letter(i)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    estimates = outcome.iqm, outcome.mean
    return of_how_many(outcome), *(_html(with_interval(estimate)) for estimate in estimates)


def _html(text: str) -> str:
    """Numbers with real minus signs, what is in brackets below them."""
    text = re.sub(r"-(?=\d)", "−", escape(text))
    return re.sub(r" (\(.*\))", r" <small>\1</small>", text)


def _pairs(found: Mapping[Pair, Estimate], summary: Summary, caption: str) -> str:
    head = ("", *(f"over {letter(opponent)}" for opponent in summary.opponents))
    body = [
        [
            f"{letter(i)}",
            *(
                "" if i == opponent else _html(percent(found.get((i, opponent))))
                for opponent in summary.opponents
            ),
        ]
        for i in range(len(summary.settings))
    ]
    return table(head, body, caption)


def _runs(summary: Summary) -> str:
    """Those that went wrong first."""
    runs = [
        (run, f"{escape(env_id)}{f', {letter(i)}' if len(summary.settings) > 1 else ''}")
        for (env_id, i), outcome in summary.outcomes.items()
        for run in outcome.runs
    ]
    runs.sort(key=lambda row: _WORST_FIRST.index(row[0].state))
    body = [_run(*row) for row in runs[:MOST_LISTED]]
    columns = 5 if any(run.message for run, _ in runs) else 4
    head = ("run", "state", "steps", "score", "why")[:columns]
    text = table(
        head, [cells[:columns] for cells in body], "Every run, those that went wrong first"
    )
    more = len(runs) - len(body)
    return f"{text}\n<p>And {more:,} more, in study.csv.</p>" if more else text


def _run(run: Result, what: str) -> list[str]:
    name = f"{what}, seed {run.seed}"
    reached = score(run)
    return [
        f'<a href="{escape(quote(run.run))}/">{name}</a>' if run.steps else name,
        run.state,
        f"{run.steps:,} of {run.total_timesteps:,}",
        "" if reached is None else _html(*numbers(reached)),
        f'<div class="said">{escape(run.message)}</div>' if run.message else "",
    ]


# -- pictures --------------------------------------------------------------------------------------


def _environments(summary: Summary) -> Iterator[str]:
    for i, env_id in enumerate(summary.env_ids):
        draw = partial(draw_environment, summary=summary, env_id=env_id)
        yield _figure(draw, f"environment-{i}", f"Learning curves on {env_id}")


def _comparison(summary: Summary) -> str:
    profiles = partial(draw_profiles, summary=summary)
    pairs = partial(draw_improvements, summary=summary)
    height = max(_HEIGHT, 1.0 + 0.2 * len(shown_pairs(summary)))
    several = len(summary.env_ids) > 1
    caption = "All environments" if several else summary.env_ids[0]
    return f"""<h2>Which setting is better</h2>
{_key(summary)}
<div class="curves">
{_figure(profiles, "profiles", "Performance profiles")}
{_figure(pairs, "pairs", "Probabilities of improvement", height)}
</div>
<p>How probable it is that a run of the row’s setting has a higher score than one of the
column’s:</p>
{_pairs(summary.improvements, summary, escape(caption))}
{_in_each_environment(summary) if several else ""}"""


def _in_each_environment(summary: Summary) -> str:
    tables = (
        _pairs(found, summary, escape(env_id)) for env_id, found in summary.improvements_in.items()
    )
    head = "<details><summary>The same in each environment</summary>"
    return f"{head}\n{chr(10).join(tables)}\n</details>"


def _figure(draw: Callable[[Axes], None], name: str, title: str, height: float = _HEIGHT) -> str:
    figure = Figure(figsize=(5.4, height), layout="constrained")
    draw(figure.subplots())
    return f'<figure class="card">{as_svg(figure, name, escape(title))}</figure>'
