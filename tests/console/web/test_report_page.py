"""Reports in a real browser: do they fit, can they be read, in light and in dark, and what does the
first screen show?"""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.report_metrics import compute_metrics
from alerting.reporting.episode_details import BacktestMetrics, SegmentMetrics
from alerting.reporting.report_page import draw, render_page
from alerting.usecases.backtest.backtest import cost_of, events_of, load_of
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, SIDEWAYS
from tests.report_material import THRESHOLD, episode, good_material, problems, threshold_material

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]
MEASURE = """(() => {
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
  const drawings = [...document.querySelectorAll('svg.drawing')].map(s => s.getBoundingClientRect().height);
  return {dim, cut, low: drawings.filter(height => height <= 60),
    isDark: rgb(getComputedStyle(document.body).backgroundColor).slice(0, 3).reduce((a, b) => a + b) < 200,
    first: first && first.getBoundingClientRect().bottom};
})()"""  # noqa: E501


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
    "good": lambda: report(good_material()),
    "long words": lambda: report(long_words(good_material())),
    "too little": lambda: report(
        replace(
            good_material(), problems=problems(40.5), episodes=[episode(38.5, outcome="in_time")]
        )
    ),
    "threshold": lambda: report(
        threshold_material([episode(3, definition=THRESHOLD, said=[("true_alarm", False, "anna")])])
    ),
    "backtest": lambda: backtest_page(good_material()),
}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (800, "dark")])
def test_a_report_fits_and_can_be_read(chromium, tmp_path, width, scheme):
    chromium.resize(width, 900)
    chromium.prefer(scheme)
    found = {}
    for name, make in REPORTS.items():
        file = tmp_path / "report.html"
        file.write_text(make(), encoding="utf-8")
        chromium.open(file.as_uri())
        found[name] = chromium.evaluate(MEASURE) | {"isWide": chromium.evaluate(SIDEWAYS)}
    first = [seen.pop("first") for seen in found.values()]
    assert width == 800 or first[0] < 900  # the first screen has the answer and the key numbers
    right = {"dim": [], "cut": [], "low": [], "isDark": scheme == "dark", "isWide": False}
    assert found == dict.fromkeys(REPORTS, right)
