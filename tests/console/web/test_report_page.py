"""Reports in a real browser: do they fit, can they be read, in light and in dark, and what does the
first screen show?"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html import escape, unescape

import pytest

from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.backtest import BacktestMetrics, SegmentMetrics
from alerting.reporting.page.page import draw, render_page
from alerting.usecases.backtest.metrics import cost_of, events_of, load_of
from tests.report_material import THRESHOLD, episode, good_material, problems, threshold_material

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = [pytest.mark.browser, pytest.mark.skipif(BROWSER is None, reason="needs Chromium")]
FLAGS = (
    *(
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--hide-scrollbars",
    ),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# The pages have no scripts; the copies that are measured get one, which leaves what it saw in the
# document.
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
  document.body.dataset.seen = JSON.stringify(seen); })</script>"""  # noqa: E501


# All pages are looked at in one browser, each in a frame of its own that is as wide as the window
# asked for.
FRAME = (
    '<iframe srcdoc="{}" style="display: block; border: 0; width: {}px; height: 900px"></iframe>'
)
COLLECT = """<script>addEventListener('load', () => {
  const seen = [...document.querySelectorAll('iframe')].map(f => JSON.parse(f.contentDocument.body.dataset.seen));
  document.body.dataset.seen = JSON.stringify(seen); })</script>"""  # noqa: E501


def look(folder, pages, width, dark):
    """Return how the browser shows each page, by name: its width, texts too dim or cut off, heights
    of the drawings."""
    frames = [
        FRAME.format(escape(page.replace("</body>", MEASURE + "</body>")), width)
        for page in pages.values()
    ]
    file = folder / "page.html"
    file.write_text(
        f"<!DOCTYPE html><meta charset=utf-8><body>{''.join(frames)}{COLLECT}</body>",
        encoding="utf-8",
    )
    scheme = "--blink-settings=preferredColorScheme=" + ("0" if dark else "1")
    command = [
        BROWSER,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900",
        scheme,
        "--dump-dom",
    ]
    done = subprocess.run(
        [*command, file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    seen = re.findall(r'data-seen="([^"]*)"', done.stdout)[-1]
    return dict(zip(pages, json.loads(unescape(seen)), strict=True))


def report(material):
    figures = compute_metrics(material)
    return render_page(figures, conclude(figures), draw(figures, material))


def backtest_page(material):
    """The page of a backtest with a training that failed, one that was cut short, and long
    reasons."""
    figures = compute_metrics(material)
    day = timedelta(days=1)
    served = {
        "version": 2,
        "family": "logistic_regression",
        "model_hash": "0123456789abcdef" * 4,
        "training_cutoff": material.start,
    }
    middle = material.start + 7 * day
    short = "the history of 3 days is too short to split; " * 3
    cut = {"cut_short": ("random_forest",), "episodes": 11}
    segments = (
        SegmentMetrics(1, material.start, middle, "not_trained", short),
        SegmentMetrics(2, middle, material.end, "provisional", "first", True, **served, **cut),
    )
    events = events_of(material)
    cost = cost_of(material.definition, events, 4.0)
    words = ("0123456789abcdef", "too-moist revision 3", "It was trained twice.")
    top = BacktestMetrics(*words, segments, load_of(material, flood_above=10), events, cost, 2)
    return render_page(figures, conclude(figures), draw(figures, material), top)


def long_words(material):
    title = (
        "Feuchte der Kekse am Auslauf des Ofens über dem Grenzwert innerhalb der nächsten vier "
        "Stunden"
    )
    definition = material.definition.model_copy(
        update={"title": title, "name": "feuchte-" + "kekse-" * 12}
    )
    return replace(material, definition=definition)


REPORTS = {
    "good": good_material,
    "long words": lambda: long_words(good_material()),
    "too little": lambda: replace(
        good_material(), problems=problems(40.5), episodes=[episode(38.5, outcome="in_time")]
    ),
    "threshold": lambda: threshold_material(
        [episode(3, definition=THRESHOLD, said=[("true_alarm", False, "anna")])]
    ),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Return the measures of every page, by name, at a width of the window, in light or dark."""
    pages = {name: report(make()) for name, make in REPORTS.items()}
    pages |= {"backtest": backtest_page(good_material())}

    @cache
    def at_width(width, dark):
        return look(tmp_path_factory.mktemp("browser"), pages, width, dark)

    return at_width


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_fits_and_can_be_read(seen, name, width, dark):
    found = seen(width, dark)[name]
    assert found["width"] <= found["inner"] == width
    assert found["cut"] == []
    assert found["dim"] == []
    assert (sum(map(int, re.findall(r"\d+", found["ground"])[:3])) < 200) == dark
    assert all(height > 60 for height in found["drawings"])


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800])
def test_the_page_of_a_backtest_fits_and_can_be_read(seen, width, dark):
    found = seen(width, dark)["backtest"]
    assert found["width"] <= found["inner"] == width
    assert (found["cut"], found["dim"]) == ([], [])


def test_the_first_screen_holds_the_answer_and_the_key_numbers(seen):
    assert seen(1280, False)["good"]["first"] < 900
