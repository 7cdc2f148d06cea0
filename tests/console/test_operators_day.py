"""An operator's day in real browsers, on a console in a process of its own with a real database: a
raise seen as it happens, answers in few taps, a flood, a console that is killed; and
questions whose answers stand on the first screen.

Each step once on a phone, in German; the person beside reads English. `ALERTING_PICTURES` names a
folder: then every screen in English, in the light and in the dark, with a picture of each page
(`make pages`).
"""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.usecases.operators.operate import Actor, assign
from tests.helpers.console.chromium import CHROMIUM, NO_CHROMIUM, SIDEWAYS, wait_until
from tests.helpers.console.live_console import console_process, has_mark, reader, shows
from tests.helpers.console.operators_plant import (
    ADVICE,
    HELPED,
    THIRTY,
    add_night,
    add_past,
    flood,
    flood_of_thirty,
    get_hot,
    operators_plant,
    raised,
)
from tests.helpers.console.pages import ADMIN_TOKEN
from tests.support import free_port

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM),
]
PICTURES = os.environ.get("ALERTING_PICTURES")
SCREENS = {"phone": (390, 844), "tablet": (800, 1280), "desk": (1280, 800), "wide": (1920, 1080)}
WALKS = (
    [(name, scheme, "en") for name in SCREENS for scheme in ("light", "dark")]
    if PICTURES
    else [("phone", "dark", "de")]
)
LOOKS = (
    [(language, scheme) for language in ("en", "de") for scheme in ("light", "dark")]
    if PICTURES
    else [("de", "light")]
)
GERMAN = {
    "Flood: 61 alarms": "Alarmflut: 61 Alarme",
    "Hydraulics lose pressure on Press 7": "Hydraulics lose pressure an Press 7",
    "Seen: all 60": "Gesehen: alle 60",
    "The connection was lost": "Die Verbindung ist seit",
    "Your answer: right": "Ihre Antwort: richtig",
}
"""German texts of pages, by their English ones."""
CARD = "#happening article"
SQUEEZED = """[...document.querySelectorAll('ul.rows .when')]
  .filter(e => e.innerText.trim() && e.getBoundingClientRect().width < 80).map(e => e.innerText)"""
TAP = """(e => {
  e.scrollIntoView({block: 'center'});
  const b = e.getBoundingClientRect();
  const top = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
  if (!e.contains(top) && !e.labels?.length) return 'under ' + (top && top.outerHTML);
  if (b.height < 44) return 'small: ' + b.height;
  e.click();
})(document.querySelector(%r))"""
IN_SIGHT = """(() => {
  const found = [...document.querySelectorAll(%r)]
    .find(e => e.innerText.replace(/\\s+/g, ' ').includes(%r));
  if (!found) return 'not there: ' + %r;
  const b = found.getBoundingClientRect();
  const {clientWidth} = document.documentElement;
  if (b.top < 0 || b.bottom > innerHeight || b.right > clientWidth) return [b.top, b.bottom].join();
  const top = document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2);
  return found.contains(top) || 'under ' + top?.outerHTML;
})()"""


class Operator:
    """An operator who taps; each tap counts, and hits nothing but what is meant."""

    def __init__(self, page, base, screen, scheme, language="en"):
        self.page = page
        self.base = base
        self.language = language
        self.taps = 0
        self._screen = screen
        self._folder = Path(PICTURES, scheme) if PICTURES else None

    def words(self, english):
        """Return a text in the language of this operator."""
        return english if self.language == "en" else GERMAN[english]

    def tap(self, selector):
        self.wait_for(selector)
        assert self.page.evaluate(TAP % selector) is None, selector
        self.taps += 1

    def open(self, path):
        self.page.wait_for(self.base)  # what comes of the last tap
        self.page.open(self.base + path)
        self.page.wait_for(self.base + path, "main")

    def has(self, selector):
        is_there = f"document.querySelector({selector!r}) !== null"
        return self.page.evaluate(f"document.readyState === 'complete' && {is_there}")

    def wait_for(self, selector):
        wait_until(lambda: self.has(selector), lambda: f"{selector}: {self.page.text()}")

    def look(self, name):
        assert not self.page.evaluate(SIDEWAYS), name
        assert self.page.evaluate("document.documentElement.lang") == self.language, name
        assert self.page.evaluate(SQUEEZED) == [], name
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.page.picture(self._folder / f"operator-{name}-{self._screen}.png")


def note(measured):
    """Print a time, to be read with `pytest -s`; it depends on what else the machine does."""
    sys.stdout.write(f"{measured}\n")


def in_sight(page, selector, text):
    """Check that a text stands on the first screen of a page, with nothing over it."""
    found = page.evaluate(IN_SIGHT % (selector, text, text))
    assert found is True, (text, found, page.text()[:1500])


def see_a_raise(one, other, platform, screen):
    get_hot(platform, "press-3")
    evaluated = time.monotonic()
    card = f"{CARD}[data-asset=press-3]"
    for operator in (one, other):
        operator.wait_for(card)
        note(f"{screen}: seen {time.monotonic() - evaluated:.2f} s after the evaluation")
        assert operator.page.evaluate("window.isSame")  # the page was not loaded again
    one.look("raised")
    one.tap(f"{card} .now-seen")
    wait_until(lambda: "acknowledged by otto" in other.page.text(), other.page.text)


def answer_in_two_taps(one, platform):
    before = one.taps
    one.tap(f"{CARD}[data-asset=press-3] details:has([value=true_alarm]) summary")
    one.tap(f"{CARD}[data-asset=press-3] button[value=true_alarm]")
    assert one.taps - before == 2
    hot = platform.episodes.find(asset="press-3", open_only=True)[0].id
    wait_until(lambda: [f.verdict for f in platform.episodes.get(hot).feedback] == ["true_alarm"])
    one.wait_for(f"{CARD}[data-asset=press-3] .now-choices .chosen")
    assert one.words("Your answer: right") in one.page.text()
    one.look("answered")


def report_a_miss_in_three_taps(one, platform):
    one.open("/?asset=press-5")
    before = one.taps
    one.tap("a[href^='/miss']")
    one.tap(".now-miss .presets label:nth-of-type(2) input")
    one.tap("button[name=definition]")
    assert one.taps - before == 3
    one.wait_for(".now-noted")
    one.look("miss")
    assert [(m.definition, m.asset) for m in platform.misses.for_interval()] == [
        ("too-hot", "press-5")
    ]


def meet_a_flood(one, other, platform):
    one.open("/")
    other.page.mouse("mouseMoved", 640, 400)
    flood(platform)
    shows(one.page, one.words("Flood: 61 alarms"))
    one.page.evaluate("scrollTo(0, 0)")
    in_sight(one.page, "#flood h2", one.words("Flood: 61 alarms"))
    in_sight(one.page, ".flood-first", one.words("Hydraulics lose pressure on Press 7"))
    in_sight(one.page, ".flood-first .advice", "zone 2")
    in_sight(one.page, "#flood .now-seen", one.words("Seen: all 60"))
    height = one.page.evaluate("document.querySelector('#flood').getBoundingClientRect().bottom")
    assert height < 2 * SCREENS["phone"][1]
    one.look("flood")
    other.wait_for(".live-news")
    assert not other.has("#flood"), "alarms do not move under a finger"
    other.page.click(".live-news")
    other.wait_for("#flood")


def acknowledge_by_keyboard(one, other, platform):
    """Go through the page with the tab key alone, and press what has the focus."""
    one.open("/")
    focused = "document.activeElement.matches('#flood .now-seen')"
    for _ in range(80):
        one.page.key("Tab")
        if one.page.evaluate(focused):
            break
    assert one.page.evaluate(focused), one.page.evaluate("document.activeElement.outerHTML")
    unseen = "document.querySelectorAll('.flood-chip:not(.seen)').length"
    assert other.page.evaluate(unseen) > 0
    one.page.evaluate("window.isLeft = true")
    one.page.key("Enter", "\r")

    def are_seen():
        return all(e.acknowledged for e in platform.episodes.find(open_only=True, limit=100))

    wait_until(are_seen)
    wait_until(lambda: other.page.evaluate(unseen) == 0, other.page.text)
    # with its scripts: a page whose console is killed before has none that tell of it
    wait_until(lambda: one.page.evaluate("!window.isLeft && document.readyState === 'complete'"))


def find_the_console_again(operators, platform, console):
    """After a console was killed, all open pages show the truth once it is there again."""
    lost = {one.page: one.words("The connection was lost") for one in operators}
    for page, text in lost.items():
        shows(page, text)
    meanwhile = raised("oven", timedelta(minutes=2))
    platform.episodes.insert(meanwhile)
    alarms = "[...document.querySelectorAll('#flood .rows li')].map(e => e.dataset.episode)"
    with console_process(*console):
        healthy = time.monotonic()
        for page, text in lost.items():
            wait_until(lambda page=page: meanwhile.id in page.evaluate(alarms), page.text)
            wait_until(lambda page=page, text=text: text not in page.text(), page.text)
            seconds = time.monotonic() - healthy
            note(f"the truth {seconds:.1f} s after the console is there again")
            assert seconds < 30
            ids = page.evaluate(alarms)
            assert len(ids) == len({*ids}) > 1


@pytest.mark.parametrize(("screen", "scheme", "language"), WALKS, ids=map("-".join, WALKS))
def test_from_a_raise_to_a_flood_that_is_acknowledged_and_a_console_that_is_killed(
    tmp_path, real_server, stores, screen, scheme, language
):
    platform = operators_plant(stores)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    console = (real_server, stores.database.name, port, tmp_path)
    with (
        console_process(*console) as process,
        reader(tmp_path / "a", base, size=SCREENS[screen], scheme=scheme) as page,
        reader(tmp_path / "b", base, token=ADMIN_TOKEN) as beside,
    ):
        page.follow(f".languages [value={language}]", base, f"html[lang={language}] main")
        wait_until(lambda: has_mark(page), page.text)
        one = Operator(page, base, screen, scheme, language)
        other = Operator(beside, base, f"beside-{screen}", scheme)
        for operator in (one, other):
            operator.page.evaluate("window.isSame = true")
        one.look("calm")
        see_a_raise(one, other, platform, screen)
        answer_in_two_taps(one, platform)
        report_a_miss_in_three_taps(one, platform)
        meet_a_flood(one, other, platform)
        acknowledge_by_keyboard(one, other, platform)
        complaints = [c for p in (page, beside) for c in p.complaints]
        assert [c for c in complaints if "ContentSecurityPolicy" in str(c)] == []
        process.kill()
        find_the_console_again((one, other), platform, console)


QUESTIONS = {
    "is line 2 all right?": ("/", ".now-chip", "Line 2 normal"),
    "what do I do first?": ("/", f"{CARD}:first-of-type .advice", ADVICE),
    "who has taken this?": ("/", f"{CARD}:first-of-type .tag", "taken over by nina"),
    "what did night shift do?": ("night", "#done li", f"nina acted: {HELPED}"),
    "has this happened before?": ("episode", "#before", "4 alarms like this before"),
}
"""Each question with the page that answers it, the element, and the answer; `episode`: the page of
the open alarm; `night`: of the shift before."""


MORE_PAGES = {
    "now": "/",
    "asset": "/assets/press-3",
    "maintenance": "/new-mute?part=press-3",
    "plant": "/plant",
}
"""Pages of an operator that nothing is asked on; none scrolls sideways."""


def test_questions_are_answered_on_the_first_screen(tmp_path, real_server, stores):
    platform = operators_plant(stores)
    add_past(platform, "press-3")
    night = add_night(platform, "press-3")
    get_hot(platform, "press-3")
    (hot,) = platform.episodes.find(open_only=True)
    assign(platform, hot.id, Actor("nina", "operator"), platform.clock.now(), "nina")
    paths = {"episode": f"/episodes/{hot.id}", "night": night}
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with (
        console_process(real_server, stores.database.name, port, tmp_path),
        reader(tmp_path / "a", base, size=SCREENS["phone"]) as page,
    ):
        for path, selector, answer in QUESTIONS.values():
            page.open(base + paths.get(path, path))
            in_sight(page, selector, answer)
        one = Operator(page, base, "phone", "light")
        for name, path in {**MORE_PAGES, "before": paths["episode"]}.items():
            one.open(path)
            one.look(name)
        assert HELPED in page.text()


LIST_BOTTOM = "document.querySelector('.now-alarms').getBoundingClientRect().bottom + scrollY"
READ_ORDER = """[...document.querySelectorAll('#now :is(section, .card, .flood-group)')]
  .filter(e => e.getClientRects().length)
  .filter(e => !e.closest('.now-side')).map(e => e.getBoundingClientRect().top)"""
ROWS = "[...document.querySelectorAll('[data-group^=too-hot] .rows li')].map(e => e.dataset.asset)"
IS_OPEN = "document.querySelector('[data-group^=too-hot] details').open"


@pytest.mark.parametrize(
    ("language", "scheme"), LOOKS, ids=[f"{language}-{scheme}" for language, scheme in LOOKS]
)
def test_a_flood_of_thirty_is_one_screen_and_what_is_expected_stands_above_it_at_every_width(
    tmp_path, real_server, stores, language, scheme
):
    platform = operators_plant(stores, THIRTY)
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with (
        console_process(real_server, stores.database.name, port, tmp_path),
        reader(tmp_path / "a", base, scheme=scheme) as page,
    ):
        page.follow(f".languages [value={language}]", base, f"html[lang={language}] main")
        flood_of_thirty(platform)
        for seen in ("unseen", "seen"):
            for screen, size in SCREENS.items():
                page.resize(*size)
                one = Operator(page, base, screen, scheme, language)
                one.open("/")
                page.evaluate("scrollTo(0, 0)")
                in_sight(page, "#expected .title", "Biscuits too moist")
                tops = page.evaluate(READ_ORDER)
                assert tops == sorted(tops), "read and tabbed in the order that is seen"
                bottom = page.evaluate(LIST_BOTTOM)
                note(f"{screen} {seen}: the list ends at {bottom:.0f} px")
                assert screen not in ("desk", "wide") or bottom <= 900
                one.look(f"thirty-{seen}-{language}")
            if seen == "unseen":
                one.tap("[data-group^=too-hot] summary")
                assert page.evaluate(ROWS) == list(reversed(THIRTY)), "worst first"
                assert page.evaluate(IS_OPEN)
                one.tap("#flood .flood-head .now-seen")
                one.wait_for(".toast")
                hot = platform.episodes.find(definition="too-hot", open_only=True, limit=40)
                assert all(e.acknowledged for e in hot)
        # a change elsewhere comes without a load: the group that was opened stays so, and the order
        one.tap("[data-group^=too-hot] summary")
        page.evaluate("window.isSame = true")
        platform.episodes.insert(
            raised("oven", timedelta(0), definition="door", title="Oven door open")
        )
        page.evaluate("document.activeElement.blur()")
        shows(page, "Oven door open")
        assert page.evaluate("window.isSame") and page.evaluate(IS_OPEN)
        assert page.evaluate(ROWS) == list(reversed(THIRTY))
        tops = page.evaluate(READ_ORDER)
        assert tops == sorted(tops)
