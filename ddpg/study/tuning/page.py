"""A tuning as one page that stands alone: `render(tuning, importance)` is its HTML.

The text is in the template `page.html` beside this file; here are its tables and pictures. Text
that comes from outside goes through `html.escape`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpg.config import in_words, written
from ddpg.errors import counted
from ddpg.run.look.html.parts import fill, table
from ddpg.run.look.html.svg import as_svg
from ddpg.study.outcome.words import of_how_many, percent, what_is_missing, with_interval
from ddpg.study.tuning.journal import QUANTILE, STARTUP, Trial
from ddpg.study.tuning.outcome import BEST, Tuning
from ddpg.study.tuning.pictures import draw_history, draw_importance, draw_slice
from ddpg.study.tuning.rerun import changes
from ddpg.study.tuning.trials import RUNS

_WIDE, _NARROW = (5.4, 2.8), (4.2, 2.4)
"""Sizes of a picture, in inches."""
AT_HAND = "the settings at hand"


def render(tuning: Tuning, importance: Mapping[str, float]) -> str:
    """The whole page.

    Parameters
    ----------
    importance : of each setting, in shares of 1; empty if nobody knows.
    """
    space, trials = tuning.search.space, tuning.trials
    slices = (
        _figure(
            partial(draw_slice, trials=trials, name=n, values=v), f"slice-{n}", f"Scores by {n}"
        )
        for n, v in space.items()
    )
    return fill(
        "ddpg.study.tuning",
        env_id=escape(tuning.search.env_id),
        counted=escape(tuning.counted),
        searched=escape(", ".join(space)),
        steps=f"{tuning.search.base.total_timesteps:,}",
        result=_result(tuning),
        importance=_importance(importance),
        history=_figure(partial(draw_history, trials=trials), "history", "Scores by trial"),
        slices="\n".join(slices),
        trials=_trials(tuning),
        quantile=f"{100 * QUANTILE:.0f}",
        startup=STARTUP,
        lag=tuning.search.lag,
    )


# -- the result ------------------------------------------------------------------------------------


def _result(tuning: Tuning) -> str:
    summary = tuning.rerun
    if summary is None:
        return (
            "<p>Not there yet: the best trials are run again when all trials are at their end.</p>"
        )
    numbers = {setting["trial"]: i for i, setting in enumerate(summary.settings)}
    body = []
    for trial in tuning.run_again:
        outcome = summary.outcomes[tuning.search.env_id, numbers[trial.number]]
        values = _html(with_interval(outcome.iqm)), _html(with_interval(outcome.mean))
        body.append([_name(tuning, trial), of_how_many(outcome), *values])
    head = ("setting", "finished", "IQM", "mean")
    caption = f"On {counted(tuning.search.seeds, 'seed')} that no trial had"
    parts = [_won(tuning), table(head, body, caption)]
    if missing := what_is_missing(summary):
        parts.append(f"<p>{escape(missing)}</p>")
    return "\n".join(parts)


def _won(tuning: Tuning) -> str:
    """In sentences."""
    if tuning.rerun is None or tuning.best_trial is None:
        return "<p>No run came to its end.</p>"
    use = f"<code>ddpg train --config {BEST}</code> takes it."
    if tuning.best_trial == 0:
        return f"<p><strong>None was better than {AT_HAND}.</strong> {BEST} holds those.</p>"
    numbers = [setting["trial"] for setting in tuning.rerun.settings]
    pair = numbers.index(tuning.best_trial), numbers.index(0)
    found = tuning.rerun.improvements.get(pair)
    sure = "" if found is None else f" {_won_by(percent(found))}"
    return f"<p><strong>Trial {tuning.best_trial} came out best.</strong> {use}{sure}</p>"


def _won_by(probability: str) -> str:
    said = f"Its run has a higher score than one with {AT_HAND} with a probability of"
    return f"{said} {escape(probability)}; 50&nbsp;% would say nothing."


def _name(tuning: Tuning, trial: Trial) -> str:
    said = in_words(changes(tuning.search, trial.setting)) or AT_HAND
    return f"trial {trial.number}<small>{escape(said)}</small>"


# -- the search ------------------------------------------------------------------------------------


def _importance(importance: Mapping[str, float]) -> str:
    if not importance:
        return "<p>Too few trials are complete, or all are alike: nothing can be said of it.</p>"
    draw = partial(draw_importance, importance=importance)
    size = _WIDE[0], 0.8 + 0.26 * len(importance)
    return _figure(draw, "importance", "Importance of each setting", size)


def _trials(tuning: Tuning) -> str:
    names = list(tuning.search.space)
    body = [[_link(trial), *_row(trial), *_values(trial, names)] for trial in tuning.trials]
    head = ("trial", "state", "score", "step", *(escape(name) for name in names), "message")
    return table(head, body, "Every trial, in their order")


def _link(trial: Trial) -> str:
    return f'<a href="{RUNS}/trial-{trial.number}/">{trial.number}</a>'


def _row(trial: Trial) -> tuple[str, str, str]:
    score = "" if trial.value is None else _html(f"{trial.value:,.1f}")
    return trial.state, score, f"{trial.step:,}"


def _values(trial: Trial, names: list[str]) -> list[str]:
    return [*(escape(written(trial.setting[name])) for name in names), escape(trial.message)]


def _html(text: str) -> str:
    """Numbers with real minus signs, what is in brackets below them."""
    text = re.sub(r"-(?=\d)", "−", escape(text))
    return re.sub(r" (\(.*\))", r"<small>\1</small>", text)


def _figure(
    draw: Callable[[Axes], None], name: str, title: str, size: tuple[float, float] = _WIDE
) -> str:
    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    return f'<figure class="card">{as_svg(figure, name, escape(title))}</figure>'
