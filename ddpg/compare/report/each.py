"""The sections of the page, one for each case and each related mistake, with their pictures."""

import re
from html import escape
from pathlib import Path

import tinygrad_rl as tg
from ddpg.compare.cases import Case
from ddpg.compare.measure import Measurement
from ddpg.compare.report.mistakes import Mistake
from ddpg.compare.verdict import Verdict
from ddpg.run.look.html.parts import prose, scroll

_PROJECT = str(Path(__file__).parents[3]) + "/"


def case_section(
    case: Case,
    row: Measurement,
    verdict: Verdict,
    explanation: tg.Explanation,
    frozen: tg.Explanation,
) -> str:
    """What is done, what becomes of the gradient, how the picture differs from the frozen one's."""
    name = case.name[:1].upper() + case.name[1:]
    said = f'<p class="said">{escape(row.warning)}</p>' if row.warning else ""
    text = explanation.text(88).replace(_PROJECT, "")
    differs = "" if explanation is frozen else f"<p>{prose(difference(explanation, frozen))}</p>\n"
    return f"""<section class="case" id="{anchor(case.name)}">
<h3>{sign(verdict)} {escape(name)}</h3>
<p>{prose(case.meaning)} {escape(explanation.to_dict()["headline"])}</p>
{differs}{said}
{code(case)}
<p>{prose(case.seen)}</p>
<details><summary>Its picture, and all that <code>explain</code> says</summary>
{picture(explanation, "layer" if explanation is frozen else "module")}
{scroll(f"<pre>{escape(text)}</pre>", f"Explanation of the case {case.name}")}
</details>
</section>"""


def mistake_section(mistake: Mistake) -> str:
    """What goes wrong and how it comes about, the line to blame, what `explain` says, the fix."""
    says = (("Seen", mistake.symptom), ("Explained", mistake.diagnosis), ("Mended", mistake.fix))
    items = "\n".join(f"<li><strong>{head}.</strong> {prose(text)}</li>" for head, text in says)
    label = f"The line to blame in {mistake.name}"
    return f"""<section class="case" id="{anchor(mistake.name)}">
<h3>{prose(mistake.title.rstrip("."))}</h3>
<p>{prose(mistake.story)}</p>
{scroll(f"<pre><code>{escape(mistake.culprit)}</code></pre>", label)}
<ul>
{items}
</ul>
<details><summary>The program, <code>{escape(mistake.name)}</code></summary>
{scroll(f"<pre><code>{escape(mistake.code)}</code></pre>", f"Program {mistake.name}")}
</details>
</section>"""


def difference(explanation: tg.Explanation, frozen: tg.Explanation) -> str:
    """What the picture of a case shows that the frozen one's does not: other fates, more boxes."""
    boxes = _boxes(explanation) - _boxes(frozen)
    more = f" It has a box more, “{'”, “'.join(sorted(boxes))}”." if boxes else ""
    return _difference_of_fates(explanation, frozen) + more


def _difference_of_fates(explanation: tg.Explanation, frozen: tg.Explanation) -> str:
    here, there = _fates(explanation), _fates(frozen)
    modules = [module for module in there if here[module] != there[module]]
    if not modules:
        return "In its picture the parameters fare as in the frozen case’s."
    mine, theirs = (
        " and ".join(f"the {module}’s {fates[module]}" for module in modules)
        for fates in (here, there)
    )
    return f"Of the parameters in its picture, {mine}; in the frozen case’s, {theirs}."


def code(case: Case) -> str:
    """The update as it is written."""
    return scroll(f"<pre><code>{escape(case.code)}</code></pre>", f"Code of the case {case.name}")


def picture(explanation: tg.Explanation, detail: str) -> str:
    """The drawing, as wide as the page at most."""
    return f'<div class="card">{explanation.svg(detail)}</div>'


def sign(verdict: Verdict) -> str:
    """Of a case, in its color."""
    name = verdict.name.lower()
    return f'<span class="{name}" title="{verdict.meaning}">{verdict.sign}</span>'


def anchor(name: str) -> str:
    """What a section is linked by."""
    return re.sub(r"\W+", "-", name).strip("-").lower()


def _boxes(explanation: tg.Explanation) -> set[str]:
    """What is written in the boxes of its picture, but for the loss's, which has a number."""
    title = r'font-size="13"[^>]*>([^<=]+)</text>'
    return set(re.findall(title, explanation.svg("module")))


def _fates(explanation: tg.Explanation) -> dict[str, str]:
    """What becomes of each module's parameters, whose fates are alike."""
    fates = {}
    for leaf in explanation.to_dict()["leaves"]:
        fates[leaf["name"].partition(".")[0]] = _FATES[leaf["status"]]
    return fates


_FATES = {
    "reached": "get their gradient",
    "zero": "get a gradient of 0",
    "frozen": "are hatched and locked",
    "blocked": "get nothing",
    "unused": "take no part",
}
