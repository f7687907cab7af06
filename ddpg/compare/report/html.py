"""A `Report` as HTML: what is measured, put into the page.

The page itself is the template `page.html`; the parts that repeat are written in the files beside
this one. Text that comes from outside goes through `html.escape`; what is written here and the SVG
pictures do not.
"""

import re
from html import escape

from ddpg.compare.cases import CASES, TRAINED
from ddpg.compare.lesson import QUESTIONS, conclusion, equality, formula_rows, jacobian
from ddpg.compare.report import code
from ddpg.compare.report.curves import (
    Band,
    bootstrap,
    draw_returns,
    draw_values,
    interval,
    last,
    mean_curve,
)
from ddpg.compare.report.each import anchor, case_section, mistake_section, picture, sign
from ddpg.compare.report.each import code as code_of
from ddpg.compare.report.folder import MARK
from ddpg.compare.report.gather import Report
from ddpg.compare.report.mistakes import read_mistakes
from ddpg.compare.source import GROUPS, merge_code
from ddpg.compare.training import ENV_ID
from ddpg.compare.verdict import HEADINGS, NOTES, Cell, Verdict, verdicts, worst
from ddpg.errors import counted
from ddpg.run.look.html.parts import fill, number, table


def render(report: Report) -> str:
    """The whole page."""
    return fill(
        "ddpg.compare.report",
        mark=MARK,
        size=report.size,
        seed=report.seeds[0],
        seeds=counted(len(report.seeds), "seed"),
        steps=f"{report.runs['frozen'][0].steps[-1]:,}",
        env=ENV_ID,
        **_lesson(report),
        **_answers(report),
        **_ways(report),
        table=_table(report),
        returns=draw_returns(report.runs),
        values=draw_values(report.runs),
        groups="\n".join(code.group(report.steps, name) for name in GROUPS),
        costs=code.costs(report.steps),
        code=code.marked(merge_code(report.steps), report.steps),
        sources="\n".join(code.source(step) for step in report.steps),
        cases=_cases(report),
        mistakes="\n".join(map(mistake_section, read_mistakes())),
    )


def _lesson(report: Report) -> dict[str, str]:
    """What the screen says as well."""
    verdict, text = equality(report.formula)
    legend = " &emsp; ".join(f"{sign(verdict)} {verdict.meaning}" for verdict in Verdict)
    return {
        "questions": "\n".join(
            f"<div><h2>{_greek(asked)}</h2>\n<p>{_greek(answer)}</p></div>"
            for asked, answer in QUESTIONS
        ),
        "formula": _formula(report),
        "jacobian": _greek(jacobian(report.formula)),
        "equality": f"{sign(verdict)} {_greek(text)}",
        "notes": escape(NOTES),
        "legend": legend,
        "conclusion": _greek(conclusion({n: mean_curve(r) for n, r in report.runs.items()})),
    }


def _formula(report: Report) -> str:
    lines = [
        f"<tr><th>{name}</th>{''.join(f'<td>{_greek(c)}</td>' for c in cells)}</tr>"
        for name, *cells in formula_rows(report.formula)
    ]
    return f'<table class="formula"><tbody>\n{chr(10).join(lines)}\n</tbody></table>'


def _greek(text: str) -> str:
    """As HTML, with the signs that a terminal may not have."""
    signs = {"theta": "θ", "dmu": "dμ", " x ": " × ", "-dQ": "−dQ", "-Q": "−Q"}
    for plain, sign_ in signs.items():
        text = text.replace(plain, sign_)
    return escape(re.sub(r"-(?=\d)", "−", text))


def _answers(report: Report) -> dict[str, str]:
    """The numbers in the text."""
    row, runs = {row.name: row for row in report.rows}, report.runs
    frozen, loose = row["frozen"].backward_flops, row["separate optimizers"].backward_flops
    return {
        "frozen_flops": f"{frozen / 1e6:.2f}",
        "loose_flops": f"{loose / 1e6:.2f}",
        "blocked_flops": f"{row['blocked action'].backward_flops / 1e6:.2f}",
        "saved": f"{100 * (1 - frozen / loose):.0f}",
        "blocked_start": interval(bootstrap([[c.returns[0]] for c in runs["blocked"]])),
        "actor_norm": f"{report.formula.dl_dtheta:.3g}",
        "updates": f"{runs['joint'][0].updates[-1]:,}",
        **{f"{name}_q": interval(last(runs[name], "mean_q")) for name in runs},
        **{f"{name}_return": interval(last(runs[name], "returns")) for name in runs},
        "verdict": _verdict(last(runs["joint"], "mean_q")),
    }


def _verdict(q: Band) -> str:
    if q.low[0] > 0:
        return "No policy can earn that."
    if q.mean[0] > 0:
        return "On average that is more than any policy can earn."
    return "In these runs it is not above 0 yet; train longer to see it rise."


def _ways(report: Report) -> dict[str, str]:
    """The three that are trained: a table with a column for each, their pictures and their code."""
    rows, parts = {row.name: row for row in report.rows}, {}
    columns = []
    for name, case in TRAINED.items():
        q = last(report.runs[name], "mean_q")
        promised = Verdict.GOOD if q.mean[0] <= 0 else Verdict.WRONG
        columns.append(
            [
                *(_cell(cell) for cell in verdicts(rows[case.name], report.rows[0])),
                _interval(last(report.runs[name], "returns")),
                _interval(q, f" {sign(promised)}"),
            ]
        )
        parts[f"{name}_picture"] = picture(report.explanations[case.name], "module")
        parts[f"{name}_code"] = code_of(case)
    names = (*map(escape, HEADINGS), "return after training", "mean Q, the promise")
    body = [[name, *cells] for name, *cells in zip(names, *columns, strict=True)]
    return {"side_by_side": table(("", *TRAINED), body, "The three ways"), **parts}


def _table(report: Report) -> str:
    frozen, *_ = report.rows
    body = []
    for row in report.rows:
        cells = verdicts(row, frozen)
        link = f'<a href="#{anchor(row.name)}">{escape(row.name)}</a>'
        body.append([f"{sign(worst(cells))} {link}", *map(_cell, cells)])
    head = ("how the critic is handled", *map(escape, HEADINGS))
    return table(head, body, "One actor update in eight ways")


def _cases(report: Report) -> str:
    frozen, *_ = report.rows
    return "\n".join(
        case_section(
            case,
            row,
            worst(verdicts(row, frozen)),
            report.explanations[case.name],
            report.explanations[frozen.name],
        )
        for case, row in zip(CASES, report.rows, strict=True)
    )


def _cell(cell: Cell) -> str:
    return cell.text if cell.verdict is None else f"{escape(cell.text)} {sign(cell.verdict)}"


def _interval(band: Band, mark: str = "") -> str:
    """With the interval below."""
    low, high = number(band.low[0]), number(band.high[0])
    return f"{number(band.mean[0])}{mark}<small>{low} to {high}</small>"
