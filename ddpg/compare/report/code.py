"""The compiled backward passes as parts of the page: merged, with a mark for each case.

marked(merge_code(steps), steps)        # a table: a column for each case, and the lines
"""

from collections.abc import Iterable, Sequence
from html import escape

from ddpg.compare.listing import cost_text
from ddpg.compare.source import GROUPS, CompiledCase, MergedLine, merge_group
from ddpg.run.look.html.parts import scroll, table


def group(steps: Sequence[CompiledCase], name: str) -> str:
    """The operations of one group, with what they cost in each case."""
    head = "".join(
        f"<li><strong>{step.name}</strong>: {cost_text(step, name)}</li>" for step in steps
    )
    return (
        f"<h3>The gradient runs {GROUPS[name]}</h3>\n"
        f'<ul class="costs">{head}</ul>\n{marked(merge_group(steps, name), steps)}'
    )


def marked(merged: Iterable[MergedLine | None], steps: Sequence[CompiledCase]) -> str:
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
    rows = "\n".join(lines)
    return scroll(
        f'<table class="diff"><thead><tr>{head}<th scope="col">line</th></tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table>",
        "Lines of the backward pass, and which case has them",
    )


def costs(steps: Sequence[CompiledCase]) -> str:
    """Work, and time as multiples of the first case's."""
    times = [step.milliseconds / steps[0].milliseconds for step in steps]
    body = [
        ["as autograd runs it, MFLOP", *(f"{step.recorded_flops / 1e6:.2f}" for step in steps)],
        ["compiled, MFLOP", *(f"{step.flops / 1e6:.2f}" for step in steps)],
        [f"time compiled, forward too, {steps[0].name} = 1", *(f"{time:.2f}" for time in times)],
    ]
    return table(("", *(step.name for step in steps)), body, "The whole backward pass")


def source(step: CompiledCase) -> str:
    """The generated function, folded up."""
    return (
        f"<details><summary>The generated function, {escape(step.name)}, word for word</summary>\n"
        f"{scroll(f'<pre>{escape(step.source)}</pre>', f'Generated function, {step.name}')}\n"
        "</details>"
    )


def _kind(line: MergedLine) -> str:
    """Style of a line: `saved` by freezing, `lost` by blocking, or common to all."""
    if all(line.found_in):
        return "common"
    return "lost" if line.found_in[0] else "saved"
