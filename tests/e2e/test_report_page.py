"""The pages in a real browser: do they fit, can they be read, in light and in dark, and what does the first screen show?"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import pytest

from alerting.console.app import create_app
from alerting.console.rendering import stylesheet
from alerting.reporting.figures import performance_figures
from alerting.reporting.judgement import judge_alert
from alerting.reporting.page import draw, render_page
from tests.unit.reporting.material import THRESHOLD, episode, good_material, problems, threshold_material

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# The pages have no scripts; the copies that are measured get one, which leaves what it saw in the document.
MEASURE = """<script>addEventListener('load', () => {
  const channel = v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => .2126 * channel(c[0]) + .7152 * channel(c[1]) + .0722 * channel(c[2]);
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
  const dim = [], cut = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.tagName === 'SCRIPT') continue;
    const style = getComputedStyle(e), box = e.getBoundingClientRect(), svg = e.closest('svg');
    const a = light(rgb(svg ? style.fill : style.color)), b = light(ground(e));
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) dim.push([e.textContent.trim().slice(0, 40), Math.round(contrast * 10) / 10]);
    const frame = svg ? svg.getBoundingClientRect() : {left: 0, right: innerWidth};
    if (box.left < frame.left - 1 || box.right > frame.right + 1) cut.push(e.textContent.trim().slice(0, 40));
  }
  const first = document.querySelector('.first');
  const seen = {width: document.documentElement.scrollWidth, inner: innerWidth, dim, cut,
    ground: getComputedStyle(document.body).backgroundColor, first: first && first.getBoundingClientRect().bottom,
    drawings: [...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height)};
  document.body.dataset.seen = JSON.stringify(seen); })</script>"""


def look(folder, page, width, dark):
    """What the browser made of a page: its width, texts that are too dim or cut off, heights of the drawings."""
    file = folder / "page.html"
    file.write_text(page.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    scheme = "--blink-settings=preferredColorScheme=" + ("0" if dark else "1")
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", scheme, "--dump-dom"]
    done = subprocess.run([*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return json.loads(unescape(re.search(r'data-seen="([^"]*)"', done.stdout)[1]))


def report(material):
    figures = performance_figures(material)
    return render_page(figures, judge_alert(figures), draw(figures, material.scores))


def long_words(material):
    title = "Feuchte der Kekse am Auslauf des Ofens über dem Grenzwert innerhalb der nächsten vier Stunden"
    definition = material.definition.model_copy(update={"title": title, "name": "feuchte-" + "kekse-" * 12})
    return replace(material, definition=definition)


REPORTS = {
    "good": good_material,
    "long words": lambda: long_words(good_material()),
    "too little": lambda: replace(good_material(), problems=problems(40.5), episodes=[episode(38.5, outcome="in_time")]),
    "threshold": lambda: threshold_material([episode(3, definition=THRESHOLD, said=[("true_alarm", False, "anna")])]),
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_fits_and_can_be_read(tmp_path, name, width, dark):
    seen = look(tmp_path, report(REPORTS[name]()), width, dark)
    assert seen["width"] <= seen["inner"] == width
    assert seen["cut"] == []
    assert seen["dim"] == []
    assert (sum(map(int, re.findall(r"\d+", seen["ground"])[:3])) < 200) == dark
    assert all(height > 60 for height in seen["drawings"])


def test_the_first_screen_holds_the_answer_and_the_key_numbers(tmp_path):
    assert look(tmp_path, report(good_material()), 1280, dark=False)["first"] < 900


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
def test_the_pages_of_the_console_fit_and_can_be_read(tmp_path, width, dark):
    from fastapi.testclient import TestClient

    from tests.integration import test_api as api

    platform = api.pretended_platform()
    severities = ("low", "medium", "high", "critical")
    for minute, severity in enumerate(severities):
        platform.episodes.insert(api.episode(minute, f"oven-{minute}", condition="open", severity=severity))
    platform.episodes.insert(api.episode(9, title="Feuchte der Kekse am Auslauf des Ofens über dem Grenzwert"))
    browser = TestClient(create_app(platform, api.TOKENS))
    browser.post("/login", data={"token": list(api.TOKENS)[1]})
    for path in ("/", f"/episodes/{api.episode(3, 'oven-3').id}", "/reports", "/episodes/nope"):
        page = browser.get(path).text.replace('<link rel="stylesheet" href="/style.css">', f"<style>{stylesheet()}</style>")
        seen = look(tmp_path, page, width, dark)
        assert seen["width"] <= seen["inner"] == width, path
        assert (seen["cut"], seen["dim"]) == ([], []), path
