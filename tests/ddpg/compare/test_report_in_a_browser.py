"""The report in Chromium, where there is one: on a desk, on a phone and on paper nothing is cut."""

import html as html_
import json
import re
import shutil
import subprocess

import pytest

from ddpg.compare.formula import evaluate_formula
from ddpg.compare.measure import Size, measure
from ddpg.compare.report.gather import gather
from ddpg.compare.report.html import render
from ddpg.compare.training import Curve

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

DESK, PHONE, PAPER = 1280, 390, 717
"""Widths in CSS pixels; of paper, that of A4 between a browser's margins."""

FRAME = '<iframe style="border: 0; width: {width}px; height: 900px" srcdoc="{page}"></iframe>'
LOOK = """<!DOCTYPE html>
<body>
{frames}
<pre id="found"></pre>
<script>
const isShown = e => e.getClientRects().length > 0;
const isBeyond = (e, right) => e.getBoundingClientRect().right > right + 1;
const isScrolled = e => e.matches(".scroll, .card") && e.scrollWidth > e.clientWidth + 1;
const name = e => `${e.tagName}: ${e.textContent.slice(0, 60)}`;

function print(page) {
  for (const sheet of page.styleSheets)
    for (const rule of sheet.cssRules)
      if (rule.media && rule.media.mediaText === "print") rule.media.mediaText = "all";
}

function look(frame) {
  const page = frame.contentDocument;
  for (const details of page.querySelectorAll("details")) details.open = true;
  const all = [...page.body.querySelectorAll("*")].filter(isShown);
  const words = all.filter(e => e.tagName === "text");
  const panels = [...page.querySelectorAll(".panel")].filter(isShown);
  return {
    width: page.documentElement.scrollWidth,
    elements: all.length,
    wide: all.filter(e => !e.ownerSVGElement && isBeyond(e, frame.clientWidth)).map(name),
    scrolled: all.filter(isScrolled).map(name),
    cut: words.filter(e => isBeyond(e, e.ownerSVGElement.getBoundingClientRect().right)).map(name),
    panels: panels.map(e => e.querySelector("h3").textContent),
  };
}

onload = () => {
  const [desk, phone, paper] = document.querySelectorAll("iframe");
  print(paper.contentDocument);
  phone.contentDocument.querySelector("label[for=show-joint]")?.click();
  const found = [desk, phone, paper].map(look);
  document.getElementById("found").textContent = JSON.stringify(found);
};
</script>
"""


def look_at(page, folder):
    """What Chromium finds on a desk, a phone and paper, and what it complains about."""
    widths, srcdoc = (DESK, PHONE, PAPER), html_.escape(page)
    frames = "\n".join(FRAME.format(width=width, page=srcdoc) for width in widths)
    path = folder / "look.html"
    path.write_text(LOOK.replace("{frames}", frames), "utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr")
    command = [
        CHROMIUM,
        *flags,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    by_width = dict(zip(widths, json.loads(html_.unescape(found[1])), strict=True))
    return by_width, complaints


@pytest.fixture(scope="module")
def report():
    size = Size(hidden=(32, 32), batch_size=16)
    steps, updates = [1500, 2000], [500, 1000]
    runs = {
        name: [Curve(steps, [-1310.0, last], updates, [-10.0, q])] * 2
        for name, last, q in [("frozen", -174.0, -117.0), ("blocked", -1310.0, -240.0)]
    }
    runs["joint"] = [Curve(steps, [-1310.0, -1263.0], updates, [90.0, 2304.0])] * 2
    rows = list(measure(size, repetitions=1))
    return render(gather(size, range(2), evaluate_formula(size), rows, runs))


@pytest.fixture(scope="module")
def seen(report, tmp_path_factory):
    return look_at(report, tmp_path_factory.mktemp("browser"))


@pytest.mark.parametrize("width", [DESK, PHONE, PAPER], ids=["desk", "phone", "paper"])
def test_nothing_is_wider_than_the_page_or_has_to_be_scrolled(seen, width):
    found = seen[0][width]
    assert found["elements"] > 1000
    assert (found["wide"], found["scrolled"], found["cut"]) == ([], [], [])
    assert found["width"] <= width


def test_the_browser_has_nothing_to_complain_about(seen):
    assert seen[1] == []


def test_one_way_is_shown_the_chosen_one_and_paper_has_all_three(seen):
    panels = {width: found["panels"] for width, found in seen[0].items()}
    assert panels == {DESK: ["Frozen"], PHONE: ["Joint"], PAPER: ["Frozen", "Blocked", "Joint"]}


def test_the_browser_would_find_what_is_cut_and_complain(tmp_path):
    page = """<body><p style="width: 500px">wide</p><div class="scroll" style="width: 100px;
    overflow: auto"><pre style="width: 200px">code</pre></div>
    <svg width="50"><text x="40" y="9">too long</text></svg><script>console.error("no")</script>"""
    by_width, complaints = look_at(page, tmp_path)
    assert by_width[DESK]["wide"] == []
    assert by_width[PHONE]["wide"] == ["P: wide"]
    assert by_width[PHONE]["scrolled"] == ["DIV: code"]
    assert by_width[PHONE]["cut"] == ["text: too long"]
    assert len(complaints) == 3
