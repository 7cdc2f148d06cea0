"""The pages in a real browser: do they fit, can they be read, in light and in dark, and what does
the first screen show?"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from functools import cache
from html import escape, unescape

import matplotlib.image
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.channels.links import SignedLinks
from alerting.console.app import create_app
from alerting.console.web.rendering import stylesheet
from alerting.episodes.episode import Feedback
from alerting.notifications.notification import Notification
from alerting.ports import Score
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.backtest import BacktestMetrics, SegmentMetrics
from alerting.reporting.page.page import draw, render_page
from alerting.usecases.backtest.metrics import cost_of, events_of, load_of
from alerting.usecases.definitions.sync import apply
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.operators import operate, shelving
from alerting.usecases.operators.feedback import give_feedback
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.console import api
from tests.helpers.console.episode_page import browser_of, hot_now, read, risky
from tests.helpers.console.pages import csrf_of
from tests.helpers.console.routes_page import NIGHT
from tests.in_memory_platform import Mailbox, in_memory_platform
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
    small: [...document.querySelectorAll('button:not(.unseen), summary, nav a, a.card, a.more, .check, input[name]')]
      .filter(e => !['hidden', 'checkbox'].includes(e.type) && e.checkVisibility() && e.getBoundingClientRect().height < 44)
      .map(e => e.textContent.trim().slice(0, 40)),
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


def routes_pages(platform, browser):
    """Return the page of routes as an engineer sees it, with a faulty one, dead letters and a
    queue; and as an operator does."""
    faulty = {"name": "odd", "channels": []}
    plain = {"name": "everything-to-the-log-of-the-whole-plant", "channels": ["shift"]}
    gone = Notification(
        "k",
        "chief",
        "raised",
        "first",
        at(1),
        None,
        "dead",
        3,
        None,
        "webhook chief at https://plant.example answered 410",
    )
    held = Notification(
        "w", "shift", "severity_rose", "worse", at(2), next_attempt_at=at(900), postponed_by="quiet"
    )
    letters = (
        gone,
        replace(
            gone,
            key="long",
            error="the mail server refuses it, and says at length why it does so " * 5,
        ),
        held,
    )
    apply_routes(
        replace(platform, channels={**platform.channels, "chief": Mailbox("chief")}),
        [NIGHT, plain],
        "emil",
        at(0),
    )
    platform.routes.store_document(faulty)
    platform.episodes.insert(api.episode(-9))
    platform.notifications.add([replace(letter, episode=api.episode(-9).id) for letter in letters])
    pages = {"routes of an operator": browser.get("/routes")}
    browser.post("/login", data={"token": list(api.TOKENS)[2]})
    pages["routes"] = browser.get("/routes")
    csrf = csrf_of(pages["routes"])
    pages["route tested"] = browser.post("/routes/ovens-at-night/test", data={"csrf": csrf})
    pages["retry refused"] = browser.post("/dead-letters/retry", data={"csrf": csrf, "id": "none"})
    return pages


ANN = operate.Actor("ann", "operator")


@pytest.fixture(scope="module")
def console():
    """Pages of a console by name: an open alert of every severity, seen, muted, settled; a banner;
    links; nothing at all."""
    platform = platform_with_alerts()
    muted, seen, new = (api.episode(minute, f"oven-{minute}") for minute in (0, 1, 3))
    answer_and_mute(platform, seen)
    full, bare = (TestClient(create_app(p, api.TOKENS)) for p in (platform, in_memory_platform()))
    for browser in (full, bare):
        browser.post("/login", data={"token": list(api.TOKENS)[1]})
    link = platform.links.answer_links(new.id, "shift")[0].url.removeprefix("https://plant.example")
    pages = {path: full.get(path) for path in ("/", "/reports", "/episodes/nope", "/login")}
    pages |= {
        name: full.get(f"/episodes/{e.id}")
        for name, e in (("muted", muted), ("seen", seen), ("new", new))
    }
    csrf = csrf_of(pages["new"])
    pages["shelving"] = full.post(
        f"/episodes/{new.id}/shelve", data={"csrf": csrf, "lasting": "2h"}
    )
    pages |= {"link": full.get(link), "said": full.post(link, data={"confirm": "yes"})}
    drawn = hot_now()
    [one] = drawn.episodes.find()
    pages["drawn"] = browser_of(drawn).get(f"/episodes/{one.id}")
    pages["predicted"] = page_of_a_prediction(platform, full, csrf)
    pages |= {
        "empty": bare.get("/"),
        "no reports": bare.get("/reports"),
        "no routes": bare.get("/routes"),
    }
    pages |= routes_pages(platform, full)
    style = f"<style>{stylesheet()}</style>"
    return {
        name: page.text.replace('<link rel="stylesheet" href="/style.css">', style)
        for name, page in pages.items()
    }


def platform_with_alerts():
    """Return a platform with an open alert of every severity and one with a long German title."""
    platform = in_memory_platform(Mailbox("shift"))
    platform = replace(
        platform, links=SignedLinks(b"k" * 32, "https://plant.example", timedelta(days=3))
    )
    platform.assets.store_assets(
        [oven().model_copy(update={"name": f"oven-{i}"}) for i in range(4)]
    )
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(assets=["oven-*"]), too_moist()], "engineer", at(0), "test")
    for minute, severity in enumerate(("low", "medium", "high", "critical")):
        platform.episodes.insert(
            api.episode(minute, f"oven-{minute}", condition="open", severity=severity)
        )
    platform.episodes.insert(
        api.episode(9, title="Feuchte der Kekse am Auslauf des Ofens über dem Grenzwert")
    )
    platform.clock.instant = at(20)
    return platform


def answer_and_mute(platform, seen):
    """Acknowledge and answer one alert, mute another, and report an alert of the platform."""
    operate.acknowledge(platform, seen.id, ANN, at(20))
    said = {
        "verdict": "true_alarm",
        "acted": True,
        "action": "opened the damper",
        "comment": "again",
    }
    give_feedback(platform, Feedback(episode=seen.id, actor="ann", at=at(20), **said))
    why = "cleaning of the whole oven, which takes until noon"
    shelving.shelve(platform, "too-hot", "oven-0", ANN, at(20), at(90), why)
    platform.platform_alerts.report(
        "champion unreadable", "too-moist", "the registry does not answer " * 6, at(0)
    )


def page_of_a_prediction(platform, browser, csrf):
    """Return the page of an answered prediction with its readings and scores."""
    predicted = risky(platform, contributions=api.episode(1).contributions * 5)
    read(platform, {m: 3.0 + m / 100 for m in range(400, 551)}, "moisture")
    platform.scores.add(
        "too-moist", "oven-1", [Score(at(m), 0.62, 0.31, 3) for m in range(480, 551, 5)]
    )
    answer = {"csrf": csrf, "verdict": "true_alarm", "acted": "yes"}
    browser.post(f"/episodes/{predicted.id}/feedback", data=answer)
    platform.clock.instant = at(550)
    page = browser.get(f"/episodes/{predicted.id}")
    platform.clock.instant = at(20)
    return page


@pytest.fixture(scope="module")
def seen(tmp_path_factory, console):
    """Return the measures of every page, by name, at a width of the window, in light or dark."""
    pages = {name: report(make()) for name, make in REPORTS.items()}
    pages |= {"backtest": backtest_page(good_material())} | console

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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 800, 390])
def test_the_pages_of_the_console_fit_can_be_read_and_tapped_with_gloves(
    seen, console, width, dark
):
    for name in console:
        found = seen(width, dark)[name]
        assert found["width"] <= found["inner"] == width, name
        assert (found["cut"], found["dim"], found["small"]) == ([], [], []), name


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["drawn", "predicted"])
def test_the_drawing_of_an_episode_is_as_wide_as_the_screen_and_can_be_read(seen, name, dark):
    for width in (1280, 800, 390):
        panels = [height for height in seen(width, dark)[name]["drawings"] if height == 180]
        assert len(panels) >= (2 if name == "predicted" else 1)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_screenshot_of_list_and_episode_is_taken_on_a_phone(tmp_path, console, dark):
    for name in ("/", "drawn"):
        page = tmp_path / "page.html"
        shot = tmp_path / "shot.png"
        page.write_text(console[name], encoding="utf-8")
        scheme = "--blink-settings=preferredColorScheme=" + ("0" if dark else "1")
        command = [
            BROWSER,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=500,1400",
            scheme,
        ]
        subprocess.run(
            [*command, f"--screenshot={shot}", page.as_uri()],
            capture_output=True,
            timeout=120,
            check=True,
        )
        pixels = matplotlib.image.imread(shot)[..., :3]
        assert (pixels.mean() < 0.4) == dark
        assert pixels.std() > 0.05
