"""A `Report` as HTML: one function for each part of the page.

The page itself, with its style sheet, is the template `page.html`. Text that comes from outside
goes through `html.escape`; what is written here and the SVG pictures do not.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import tinygrad_rl as tg
from ddpg.compare.cases import CASES, Case
from ddpg.compare.measure import Measurement
from ddpg.compare.report.curves import (
    Band,
    bootstrap,
    draw_returns,
    draw_values,
    interval,
    last,
)
from ddpg.compare.report.folder import MARK
from ddpg.compare.report.gather import Report
from ddpg.compare.show import cost_text
from ddpg.compare.source import GROUPS, CompiledCase, MergedLine, merge_code, merge_group
from ddpg.compare.training import ENV_ID
from ddpg.run.look.html.parts import counted, fill, prose, scroll, table

ELSEWHERE = (
    ("leaked_gradient.py", "The actor's gradient is left in the critic and used by its next step."),
    ("target_not_stopped.py", "The TD target is no constant: the critic chases its own target."),
    ("step_before_backward.py", "Parameters change between a forward pass and its backward."),
    ("path_exactly_zero.py", "The path is there and carries zeros: saturated tanh, clipped Q."),
    ("misspelt_flag.py", "`required_grad = False`: accepted in PyTorch, refused here."),
    ("exhausted_generator.py", "An iterator over the parameters is used twice."),
    ("flag_on_the_loss.py", "`loss.requires_grad_(True)` on a loss without a path."),
)
"""Related mistakes, each a program in docs/cases with the symptom, the diagnosis and the fix."""

_PROJECT = str(Path(__file__).parents[3]) + "/"


def render(report: Report) -> str:
    """The whole page."""
    return fill(
        "ddpg.compare.report",
        mark=MARK,
        size=report.size.in_words,
        seed=report.seeds[0],
        seeds=counted(len(report.seeds), "seed"),
        steps=f"{report.runs['frozen'][0].steps[-1]:,}",
        env=ENV_ID,
        **_answers(report),
        table=_table(report.rows),
        frozen_picture=_picture(report.explanations["frozen"], "module"),
        blocked_picture=_picture(report.explanations["blocked action"], "module"),
        outcomes=_outcomes(report),
        returns=draw_returns(report.runs),
        values=draw_values(report.runs),
        cases="\n".join(map(_case, CASES, report.rows, report.explanations.values())),
        groups="\n".join(_group(report.steps, group) for group in GROUPS),
        costs=_costs(report.steps),
        code=_marked(merge_code(report.steps), report.steps),
        sources="\n".join(_source(step) for step in report.steps),
        elsewhere="\n".join(
            f"<li><code>docs/cases/{escape(name)}</code>: {prose(text)}</li>"
            for name, text in ELSEWHERE
        ),
    )


def _answers(report: Report) -> dict[str, str]:
    """The numbers in the short answers at the top."""
    row, runs = {row.name: row for row in report.rows}, report.runs
    *_, frozen_flops, frozen_ms = row["frozen"].cells(decimals=2)
    _, same, *_, loose_flops, loose_ms = row["separate optimizers"].cells(decimals=2)
    saved = 1 - row["frozen"].backward_flops / row["separate optimizers"].backward_flops
    return {
        "frozen_flops": frozen_flops,
        "loose_flops": loose_flops,
        "blocked_flops": row["blocked action"].cells(decimals=2)[-2],
        "saved": f"{100 * saved:.0f}",
        "frozen_ms": frozen_ms,
        "loose_ms": loose_ms,
        "joint_ms": row["one joint optimizer"].cells()[-1],
        "compiled_ms": ", ".join(f"{s.milliseconds:.2f} ms {s.name}" for s in report.steps),
        "blocked_start": interval(bootstrap([[c.returns[0]] for c in runs["blocked"]])),
        "actor_norm": row["frozen"].cells()[0],
        "same": same,
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


def _table(rows: Sequence[Measurement]) -> str:
    gradients = ("actor’s gradient", "against frozen", "critic’s tensors with a gradient")
    head = ("case", *gradients, "critic moved by", "backward, MFLOP", "update, ms")
    body = [
        [f'<a href="#{_anchor(row.name)}">{escape(row.name)}</a>', *row.cells(decimals=2)]
        for row in rows
    ]
    return table(head, body, "One actor update in eight ways")


def _outcomes(report: Report) -> str:
    head = ("variant", "return at the end", "mean Q at the end")
    body = [
        [escape(name), *(interval(last(curves, what)) for what in ("returns", "mean_q"))]
        for name, curves in report.runs.items()
    ]
    return table(head, body, "Mean over seeds and its 95 % interval")


def _case(case: Case, row: Measurement, explanation: tg.Explanation) -> str:
    said = f'<p class="said">{escape(_without_paths(row.warning))}</p>' if row.warning else ""
    text = _without_paths(explanation.text(88))
    return f"""<section class="case" id="{_anchor(row.name)}">
<h3>{escape(row.name[:1].upper() + row.name[1:])}</h3>
<p><strong>What is done.</strong> {prose(row.meaning)}</p>
{scroll(f"<pre><code>{escape(case.code)}</code></pre>", f"Code of the case {row.name}")}
{said}
<p><strong>Where the gradient goes.</strong> {escape(explanation.to_dict()["headline"])}</p>
{_picture(explanation, "layer" if row.name == "frozen" else "module")}
<details><summary>All that <code>explain</code> says</summary>
{scroll(f"<pre>{escape(text)}</pre>", f"Explanation of the case {row.name}")}
</details>
<p><strong>What it costs.</strong> {row.backward_flops / 1e6:.2f} MFLOP in the backward pass;
{row.milliseconds:.1f} ms for the whole update, op by op, without compiling.</p>
<p><strong>Where it happened.</strong> {prose(case.seen)}</p>
</section>"""


def _anchor(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-").lower()


def _without_paths(text: str) -> str:
    """Messages name files by their full path; the page is read elsewhere."""
    return text.replace(_PROJECT, "")


def _picture(explanation: tg.Explanation, detail: str) -> str:
    """The drawing, not smaller than can be read: on a phone it is scrolled instead."""
    svg = explanation.svg(detail)
    width = min(0.8 * int(re.search(r'width="(\d+)', svg)[1]), 560)  # type: ignore[index]
    svg = svg.replace("<svg ", f'<svg style="min-width:{width:.0f}px" ', 1)
    return f'<div class="card">{scroll(svg, f"Picture of the case {explanation.title}")}</div>'


def _group(steps: Sequence[CompiledCase], group: str) -> str:
    head = "".join(
        f"<li><strong>{step.name}</strong>: {cost_text(step, group)}</li>" for step in steps
    )
    return (
        f"<h3>The gradient runs {GROUPS[group]}</h3>\n"
        f'<ul class="costs">{head}</ul>\n{_marked(merge_group(steps, group), steps)}'
    )


def _marked(merged: Iterable[MergedLine | None], steps: Sequence[CompiledCase]) -> str:
    """A merged text, with a column that says for each case whether it has the line."""
    head = "".join(f'<th scope="col">{escape(step.name)}</th>' for step in steps)
    lines = []
    for line in merged:
        if line is None:
            lines.append(f'<tr class="gap"><td colspan="{len(steps) + 1}"></td></tr>')
            continue
        marks = "".join(f"<td>{'■' if found else '·'}</td>" for found in line.found_in)
        lines.append(
            f'<tr class="{_kind(line)}">{marks}<td class="line">{escape(line.text)}</td></tr>'
        )
    table = (
        f'<table class="diff"><thead><tr>{head}<th scope="col">line</th></tr></thead>'
        f"<tbody>\n{chr(10).join(lines)}\n</tbody></table>"
    )
    return scroll(table, "Lines of the backward pass, and which case has them")


def _kind(line: MergedLine) -> str:
    """Style of a line: `saved` by freezing, `lost` by blocking, or common to all."""
    if all(line.found_in):
        return "common"
    return "lost" if line.found_in[0] else "saved"


def _costs(steps: Sequence[CompiledCase]) -> str:
    body = [
        ["as autograd runs it, MFLOP", *(f"{step.recorded_flops / 1e6:.2f}" for step in steps)],
        ["compiled, MFLOP", *(f"{step.flops / 1e6:.2f}" for step in steps)],
        ["compiled, forward and backward, ms", *(f"{step.milliseconds:.2f}" for step in steps)],
    ]
    return table(("", *(step.name for step in steps)), body, "The whole backward pass")


def _source(step: CompiledCase) -> str:
    return (
        f"<details><summary>The generated function, {escape(step.name)}, word for word</summary>\n"
        f"{scroll(f'<pre>{escape(step.source)}</pre>', f'Generated function, {step.name}')}\n"
        "</details>"
    )
